"""On pages answers stand as people read them."""

import pytest

from configs.schema import facts_of
from tasks.data.shown_answers import shown_answer


@pytest.mark.parametrize(
    ("problem", "answer", "text", "shown"),
    [
        ("token-classification", '[[0,3,"NAME"],[10,14,"PLACE"]]', "Ada is in Oslo", "Ada (NAME), Oslo (PLACE)"),
        ("token-classification", "[]", "a text", "no span"),
        ("multi-label-classification", '["billing","login"]', "a text", "billing, login"),
        ("multi-label-classification", "[]", "a text", "no label"),
        ("question-answering", "[[5,8]]", "who?\x1esays Ada", "Ada"),
        ("question-answering", "[]", "who?\x1esays Ada", "no answer"),
        ("text-classification", "billing", "a text", "billing"),
        ("text-regression", "2.5", "a text", "2.5"),
    ],
)
def test_an_answer_is_shown_in_words(problem, answer, text, shown):
    assert shown_answer(facts_of(problem), answer, text) == shown
