"""Scorers of the user's own are tried before work, and given answers in the form in which the problem answers."""

import pytest

from configs.schema.problems import FACTS
from tasks.compare_answers import DRY, input_lines, typed_answer


@pytest.mark.parametrize(
    ("kind", "answer", "text", "expected"),
    [
        ("label", "billing", "x", "billing"),
        ("labels", '["a","b"]', "x", ["a", "b"]),
        ("spans", '[[0,3,"NAME"]]', "Ada wrote", [(0, 3, "NAME")]),
        ("number", "2.5", "x", 2.5),
        ("answer", "[[4,7]]", "who?\x1esays Ada", [" Ad"]),
        ("answer", "[]", "who?\x1esays Ada", []),
        ("text", "It is done.", "x", "It is done."),
    ],
)
def test_an_answer_is_given_in_the_form_of_its_kind(kind, answer, text, expected):
    given = typed_answer(kind, answer, text)
    assert [tuple(each) if isinstance(each, list) else each for each in given] == expected if kind == "spans" else given == expected


def test_what_was_read_holds_no_mark_of_parts():
    assert input_lines("who?\x1esays Ada") == "who?\nsays Ada" and input_lines("a text") == "a text"


def test_there_is_something_to_try_scorers_on_for_every_problem():
    for name, facts in FACTS.items():
        assert all(type(each) is type(DRY[facts.target][0]) for each in DRY[facts.target]), name
