"""Labelled spans: read in the forms that people write, kept in one, moved with their text, refused with a reason."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.alignment import aligned_normalise
from tasks.data.label_sets import all_labels, labels_of, rename_labels, set_scores
from tasks.data.normalise import normalise_text
from tasks.data.redaction.redact import Redactor
from tasks.data.span_cells import IntegerTags, read_spans, read_tagged_words, text_of_words
from tasks.data.spans import (
    UnusableSpans,
    check_spans,
    correction_labels,
    move_spans,
    read_correction,
    rename_correction,
    spans_of,
    spans_of_entities,
    write_correction,
    write_entities,
    write_spans,
)

TEXT = "Ada Byron met Bob in Oslo"
KEPT = '[[0,9,"PERSON"],[21,25,"CITY"]]'
FORMS = [
    [{"start": 0, "end": 9, "label": "PERSON"}, {"start": 21, "end": 25, "label": "CITY"}],
    [
        {"entity_type": "CITY", "start_position": 21, "end_position": 25, "entity_value": "Oslo"},
        {"entity_type": "PERSON", "start_position": 0, "end_position": 9, "entity_value": "Ada Byron"},
    ],
    [{"type": "PERSON", "offset": 0, "length": 9}, {"type": "CITY", "offset": 21, "length": 4}],
    [{"labels": ["PERSON"], "begin": 0, "end": 9}, {"tag": "CITY", "begin": 21, "end": 25, "text": "Oslo"}],
    [[0, 9, "PERSON"], [21, 25, "CITY"]],
    [["PERSON", 0, 9], ("CITY", 21, 25.0)],
    [[0, 10, "PERSON"], [20, 25, "CITY"], [21, 25, "CITY"]],
]


@pytest.mark.parametrize("form", FORMS)
def test_spans_have_one_form_whatever_keys_they_came_with(form):
    assert read_spans(form, TEXT) == read_spans(json.dumps(form), TEXT) == read_spans(str(form), TEXT) == KEPT
    assert write_spans(spans_of(KEPT)) == KEPT


@pytest.mark.parametrize("cell", [None, "", "[]", "[ ]", "null", [], float("nan"), "  "])
def test_an_empty_cell_is_a_text_without_spans(cell):
    assert read_spans(cell, TEXT) == "[]"


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("PERSON", "no list of spans"), ({"start": 0}, "no list of spans"), ([7], "no list of spans"), ("[[0,", "no list of spans"),
        ([{"start": 0, "end": 3}], "without label"), ([{"start": 0, "label": "A"}], "without label, start or end"),
        ([{"start": True, "end": 3, "label": "A"}], "without"), ([{"start": 0.5, "end": 3, "label": "A"}], "without"),
        ([{"start": 0, "end": 3, "label": " "}], "without label"), ([[0, 26, "A"]], "outside the text of 25"),
        ([[-1, 3, "A"]], "outside"), ([[3, 3, "A"]], "is empty"), ([[5, 3, "A"]], "ends before it begins"),
        ([[3, 4, "A"]], "nothing shows"), ([[0, 9, "A"], [4, 12, "A"]], "overlap"), ([[0, 9, "A"], [0, 9, "B"]], "overlap"),
        ([{"start": 1, "end": 10, "label": "A", "entity_value": "Ada Byron"}], "something else stands"),
    ],
)  # fmt: skip
def test_what_is_no_span_of_the_text_is_refused_with_its_form_and_without_its_text(cell, why):
    with pytest.raises(UnusableSpans, match=why) as refused:
        read_spans(cell, TEXT)
    assert "Ada" not in str(refused.value)


WORDS = ["EU", "rejects", "German", "call", "New", "York"]


@pytest.mark.parametrize(
    "tags",
    [
        ["B-ORG", "O", "B-MISC", "O", "B-LOC", "I-LOC"], ["I-ORG", "O", "I-MISC", "O", "I-LOC", "I-LOC"],
        ["S-ORG", "O", "S-MISC", "O", "B-LOC", "E-LOC"], ["U-ORG", "O", "U-MISC", "O", "B-LOC", "L-LOC"],
        ["ORG", "O", "MISC", "O", "LOC", "LOC"], ["ORG", "", "MISC", None, "LOC", "LOC"],
    ],
)  # fmt: skip
def test_words_with_tags_become_a_text_with_spans(tags):
    expected = ("EU rejects German call New York", '[[0,2,"ORG"],[11,17,"MISC"],[23,31,"LOC"]]')
    assert read_tagged_words(WORDS, tags) == expected
    assert read_tagged_words(json.dumps(WORDS), json.dumps(tags)) == expected
    assert text_of_words(json.dumps(WORDS)) == text_of_words(WORDS) == expected[0] and text_of_words(7) == ""
    if all(tags):
        assert read_tagged_words(" ".join(WORDS), " ".join(tags)) == expected


def test_neighbours_are_one_span_or_two_as_their_tags_say():
    def spans(tags):
        return [list(span) for span in spans_of(read_tagged_words(["a", "b", "c"], tags)[1])]

    assert (
        spans(["B-X", "I-X", "B-X"]) == [[0, 3, "X"], [4, 5, "X"]] == spans(["I-X", "I-X", "B-X"]) == spans(["B-X", "E-X", "S-X"])
    )
    assert spans(["X", "X", "Y"]) == [[0, 3, "X"], [4, 5, "Y"]] == spans(["B-X", "I-X", "I-Y"])
    assert spans(["B-cell", "O", "T-cell"]) == [[0, 1, "B-cell"], [4, 5, "T-cell"]], "plain labels may look like a tag"
    assert read_tagged_words(["a", "", "b c"], ["B-X", "O", "I-X"]) == ("a b c", '[[0,5,"X"]]')
    assert read_tagged_words([], []) == ("", "[]")


@pytest.mark.parametrize(
    ("words", "tags", "why"), [(["a"], ["O", "O"], "2 tags for 1 words"), (7, ["O"], "no list"), ([["a"]], ["O"], "no list")]
)
def test_words_and_tags_that_do_not_fit_are_refused(words, tags, why):
    with pytest.raises(UnusableSpans, match=why):
        read_tagged_words(words, tags)


@pytest.mark.parametrize("tags", [[0, 1], "0 1", "[0, 1]", [0.0, 1.0]])
def test_tags_that_are_numbers_are_told_apart(tags):
    with pytest.raises(IntegerTags):
        read_tagged_words(["a", "b"], tags)


def test_spans_move_with_their_text_and_cover_what_was_redacted_whole():
    text = "  Mail  Ada:\u200b ada@example.org, in O\u0308sterreich "
    spans = [(8, 11, "PERSON"), (text.index("ada@"), text.index("@"), "USER"), (text.index("O\u0308"), len(text) - 1, "PLACE")]
    plain, first = aligned_normalise(text)
    ((after, second),) = Redactor(("EMAIL_ADDRESS",), b"k" * 32).redact_aligned([plain])
    moved = spans_of(move_spans(check_spans(spans, text), first.then(second), after))
    assert [(after[start:end].split(":")[0], label) for start, end, label in moved] == [
        ("Ada", "PERSON"), ("<EMAIL_ADDRESS", "USER"), ("\u00d6sterreich", "PLACE"),
    ]  # fmt: skip
    name, host = text.index("ada@"), text.index("example")
    both = [(name, name + 3, "USER"), (host, host + 7, "HOST")]
    with pytest.raises(UnusableSpans, match="two labels within one personal value"):
        move_spans(check_spans(both, text), first.then(second), after)
    same = [(name, name + 3, "MAIL"), (host, host + 7, "MAIL")]
    assert len(spans_of(move_spans(check_spans(same, text), first.then(second), after))) == 1


@settings(derandomize=True, database=None, deadline=None, max_examples=100)
@given(st.text(st.sampled_from("ab \u200b\u00e9\n\r\u00a0"), max_size=30), st.data())
def test_a_span_that_shows_something_shows_it_still_in_the_normalised_text(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    after, alignment = aligned_normalise(text)
    try:
        target = check_spans([(start, end, "X")], text)
    except UnusableSpans:
        return
    try:
        ((new_start, new_end, _),) = spans_of(move_spans(target, alignment, after))
    except UnusableSpans as error:
        assert "nothing shows" in str(error) and not normalise_text(text[start:end])
        return
    assert normalise_text(text[start:end]) == normalise_text(after[new_start:new_end])


def test_labels_of_spans_are_counted_compared_and_renamed_as_those_of_sets():
    assert labels_of(KEPT) == ("CITY", "PERSON") and all_labels([KEPT, "[]", '[[0,1,"A"]]']) == ("A", "CITY", "PERSON")
    assert rename_labels(KEPT, {"CITY": "PLACE", "PERSON": "NAME"}) == '[[0,9,"NAME"],[21,25,"PLACE"]]'
    assert rename_labels('["a","b"]', {"a": "z", "b": "b"}) == '["b","z"]'
    scores = set_scores([KEPT, KEPT, "[]", "[]", None], [KEPT, '[[0,9,"PERSON"],[21,24,"CITY"]]', "[]", KEPT, KEPT])
    assert scores[:4] == [1.0, 0.5, 1.0, 0.0] and scores[4] != scores[4]


def test_a_correction_is_read_for_its_own_text_alone():
    value = write_correction(KEPT, TEXT)
    assert read_correction(value, TEXT) == KEPT and read_correction(value, TEXT + "!") is None and "Ada" not in value
    assert correction_labels(value) == ["PERSON", "CITY"]
    assert read_correction(rename_correction(value, {"PERSON": "NAME", "CITY": "CITY"}), TEXT) == '[[0,9,"NAME"],[21,25,"CITY"]]'
    for broken in ("", "[]", "up", '{"spans":[[0,99,"A"]],"text":"' + json.loads(value)["text"] + '"}', '{"text": 3}', "null"):
        assert read_correction(broken, TEXT) is None


def test_entities_are_spans_with_a_score():
    entities = json.loads(write_entities(spans_of(KEPT), (0.5, 0.25)))
    assert entities[0] == {"label": "PERSON", "start": 0, "end": 9, "score": 0.5} and spans_of_entities(entities) == KEPT


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        (["B-X", "I-X", "O", "X"], "with a prefix and without"), (["b-x", "i-x", "O", "b-x"], "small letters"),
        (["B-X", "I-X", "o", "O"], "not the letter O"), (["B-X", "0", "0", "0"], "not the letter O"), ("X,O,O,O O O O", "commas"),
        ("[X O O O]", "brackets"),
    ],
)  # fmt: skip
def test_tags_of_a_scheme_that_are_written_wrongly_become_no_labels(tags, why):
    with pytest.raises(UnusableSpans, match=why):
        read_tagged_words("a b c d", tags)


def test_a_tag_of_a_word_within_a_span_may_be_an_m():
    assert read_tagged_words("a b c d", "B-X M-X E-X S-X")[1] == '[[0,5,"X"],[6,7,"X"]]'


def test_words_and_tags_as_numpy_writes_them_are_lists():
    assert read_tagged_words("['Ada' 'King'\n 'met']", "['B-X' 'I-X' 'O']") == ("Ada King met", '[[0,8,"X"]]')
