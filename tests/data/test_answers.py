"""Answers that stand in a text: read in the forms that people write them in, held to their places, and moved with their text."""

import json
import random

import pytest
from counting import calls

from tasks.data import answers as a
from tasks.data.alignment import aligned_normalise
from tasks.data.preparation.answer_rows import context_groups, moved_answers
from tasks.data.redaction.aligned_texts import prepare_aligned
from tasks.data.redaction.redact import Redactor
from tasks.data.text_parts import join_parts

CONTEXT = "The meeting is on Thursday. It begins at nine; Thursday's minutes follow."
THURSDAY = CONTEXT.index("Thursday")
AGAIN = CONTEXT.index("Thursday", THURSDAY + 1)
MAIL = "write to ada@example.org or call +49 30 901820 today"


@pytest.mark.parametrize(
    ("cell", "places"),
    [
        ({"text": ["Thursday"], "answer_start": [THURSDAY]}, [[THURSDAY, THURSDAY + 8]]),
        ({"text": ["nine", "Thursday"], "answer_start": [41, AGAIN]}, [[41, 45], [AGAIN, AGAIN + 8]]),
        ({"text": "nine", "answer_start": 41}, [[41, 45]]),
        ('{"text": ["nine"], "answer_start": [41]}', [[41, 45]]),
        ("{'text': ['nine'], 'answer_start': [41]}", [[41, 45]]),
        ('[{"text": "nine", "answer_start": 41}, {"text": "nine", "answer_start": 41}]', [[41, 45]]),
        ([{"text": "Thursday", "answer_start": AGAIN}], [[AGAIN, AGAIN + 8]]),
        (["nine", "Thursday"], [[THURSDAY, THURSDAY + 8], [41, 45]]),
        ("Thursday", [[THURSDAY, THURSDAY + 8]]),
        (" at nine ", [[38, 45]]),
        ({"text": "Thursday", "start": AGAIN}, [[AGAIN, AGAIN + 8]]),
        ({"text": ["Thursday"], "answer_start": [THURSDAY], "start": 7}, [[THURSDAY, THURSDAY + 8]]),
        ("", []),
        (None, []),
        (float("nan"), []),
        ([], []),
        ("[]", []),
        ({"text": [], "answer_start": []}, []),
    ],
)
def test_every_form_of_an_answer_is_read_as_its_places(cell, places):
    assert json.loads(a.read_answers(cell, CONTEXT)) == places
    assert [CONTEXT[start:end] for start, end in places] == a.answer_texts(a.write_places(places), join_parts(("q", CONTEXT)))


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ({"text": ["Thursday"], "answer_start": [THURSDAY + 1]}, "another text stands"),
        ({"text": ["Thursday"], "answer_start": [-3]}, "another text stands"),
        ({"text": ["Thursday", "nine"], "answer_start": [THURSDAY]}, "2 texts and 1 starts"),
        ({"text": ["nine"], "answer_start": ["41"]}, "no whole number"),
        ({"text": ["nine"], "answer_start": [float("inf")]}, "no whole number"),
        ({"answer": "nine"}, "without `text`"),
        ("friday", "does not stand in the context"),
        (["nine", "friday"], "does not stand in the context"),
        ([["nine"]], "names no answers"),
        (b"nine", "names no answers"),
    ],
)
def test_a_cell_that_names_no_answer_of_its_context_is_refused_and_never_repeated(cell, says):
    with pytest.raises(a.WrongAnswer, match=says) as error:
        a.read_answers(cell, CONTEXT)
    assert "friday" not in str(error.value) and "Thursday" not in str(error.value)


def redactor():
    return Redactor(("EMAIL_ADDRESS", "PHONE_NUMBER"), b"k" * 32)


def prepared(question, context, answer):
    raw = join_parts((question, context))
    texts = prepare_aligned([raw], redactor())
    (target,), unusable = moved_answers([raw], texts, [a.read_answers(answer, context)])
    assert bool(unusable) == (target == "")
    return texts[0].kept, target


def test_an_answer_keeps_its_words_where_what_stands_before_it_is_redacted_or_normalised():
    text, target = prepared("who is  ada@example.org?", "Ada  (ada@example.org)\u200b said\tno\u00a0 thanks", "no\u00a0 thanks")
    assert a.answer_texts(target, text) == ["no thanks"] and "example" not in text


def test_an_answer_that_touches_personal_data_covers_the_whole_placeholder():
    for answer in ("ada@example.org", "ada", "to ada@example", "example.org or"):
        text, target = prepared("how?", MAIL, answer)
        (given,) = a.answer_texts(target, text)
        assert "<EMAIL_ADDRESS:" in given and given.count("<") == given.count(">") == 1, answer


def test_an_answer_of_which_nothing_is_left_is_no_target_and_none_stays_none():
    assert prepared("why?", "it \u200b\u200b is", "\u200b\u200b")[1] == ""
    assert prepared("why?", MAIL, "")[1] == a.NO_ANSWER


def test_places_go_to_the_prepared_text_and_back_to_the_one_that_came():
    draw = random.Random(0)
    pieces = ("word", "two  spaces", "ada@example.org", "é", "e\u0301", "\u200b", "\u00a0", "+49 30 901820", "Ω", "\n\n\n", "end.")
    for _ in range(200):
        context = " ".join(draw.choices(pieces, k=8))
        words = [word for word in ("word", "two", "spaces", "end.") if word in context]
        if not words:
            continue
        answer = draw.choice(words)
        raw = join_parts((" ".join(draw.choices(pieces, k=3)), context))
        plain, first = aligned_normalise(raw)
        ((text, second),) = redactor().redact_aligned([plain])
        alignment = first.then(second)
        start = context.index(answer)
        (place,) = a.places_of(a.move_answers(a.write_places([(start, start + len(answer))]), alignment, raw, text))
        assert place.text(a.context_of(text)) == answer
        back = a.move_place(place, alignment.back, text, raw)
        assert back.text(a.context_of(raw)) == answer


def test_a_persons_answer_is_looked_for_in_the_logged_context_nearest_to_where_it_was_said_to_start():
    text = join_parts(("when?", CONTEXT))
    assert a.right_places(a.write_right_answer("Thursday"), text) == a.write_places([(THURSDAY, THURSDAY + 8)])
    assert a.right_places(a.write_right_answer("Thursday", AGAIN + 3), text) == a.write_places([(AGAIN, AGAIN + 8)])
    assert a.right_places(a.write_right_answer(None), text) == a.NO_ANSWER
    assert a.right_places(a.write_right_answer("friday"), text) is None
    assert a.right_places("nine", text) == a.write_places([(41, 45)]) and a.right_places("{}", text) is None
    changed = a.map_right_answer(str.upper, a.write_right_answer('say "x"', 7))
    assert json.loads(changed) == {"text": 'SAY "X"', "start": 7}
    assert a.map_right_answer(str.upper, "up") == "up" and a.map_right_answer(str.upper, a.NO_ANSWER) == a.NO_ANSWER


def test_the_nearest_place_is_that_of_all_places_and_costs_no_more_where_there_are_many():
    draw = random.Random(0)
    for _ in range(300):
        context, text = "".join(draw.choices("ab", k=12)), "".join(draw.choices("ab", k=draw.randint(1, 3)))
        start, places = draw.randrange(16), list(a.find_places(text, context))
        nearest = sorted(places, key=lambda place: abs(place.start - start))[:1]
        expected = a.write_places(nearest) if nearest else None
        assert a.right_places(a.write_right_answer(text, start), join_parts(("q", context))) == expected
    many = join_parts(("q", "a" * 100_000))
    for start, expected in ((7, "[[7,50007]]"), (None, "[[0,50000]]")):
        answer = a.write_right_answer("a" * 50_000, start)
        assert a.right_places(answer, many) == expected and calls(a.right_places, answer, many) < 10_000


def test_a_context_that_is_its_rows_group_is_kept_as_a_hash_of_what_is_kept_of_it():
    raw = [join_parts(parts) for parts in (("a?", MAIL), ("b?", MAIL), ("c?", CONTEXT), ("d?", CONTEXT))]
    texts = [prepared("a?", a.context_of(text), "")[0] for text in raw]
    first, second, third, own = context_groups([MAIL, MAIL, CONTEXT, "own"], raw, texts)
    assert first == second != third and own == "own" and context_groups([None], raw[:1], texts[:1]) == [None]
    assert not any(letter.isdigit() for letter in first) and len(first) == 24


@pytest.mark.parametrize(
    ("answer", "context", "start"),
    [
        ("art", "A party, an art of its own.", 12), ("20", "In 2000, or at 20.", 15), ("is", "This is it", 5),
        ("art", "A party", 3), ("no", "Not now: no", 9), ("\u6771", "\u5317\u6771\u6771", 1),
        ("C", "ABC, C++", 5), (" is", "This is", 5),
    ],
)  # fmt: skip
def test_an_answer_without_a_place_is_a_word_of_its_own_where_there_is_one(answer, context, start):
    place = [[start, start + len(answer.strip())]]
    assert json.loads(a.read_answers(answer, context)) == place
    assert json.loads(a.right_places(a.write_right_answer(answer.strip()), join_parts(("q", context)))) == place
