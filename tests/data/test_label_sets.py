"""One spelling of a set of labels, whatever wrote it."""

import math

import pytest

from tasks.data.label_sets import all_labels, labels_of, read_indicators, read_label_set, set_scores, write_label_set


@pytest.mark.parametrize(
    ("cell", "spelled"),
    [
        ("b, a", '["a","b"]'), ("a,a", '["a"]'), (["b", "a"], '["a","b"]'), ('["b", "a"]', '["a","b"]'), 
        ("['b', 'a']", '["a","b"]'),
        ("", "[]"), (None, "[]"), (math.nan, "[]"), ("[]", "[]"), ([], "[]"), ("a", '["a"]'), ("a,,b,", '["a","b"]'),
        (2.0, '["2"]'), ("['a' 'b']", '["a","b"]'), ("{'b', 'a'}", '["a","b"]'), (True, '["true"]'),
        ([1, 2.0], '["1","2"]'), ("Ärger", '["Ärger"]'),
    ],
)  # fmt: skip
def test_a_set_has_one_spelling(cell, spelled):
    assert read_label_set(cell, ",") == spelled


@pytest.mark.parametrize(
    "cell", ["[a", {"a": 1}, [["a"]], "[{'a': 1}]", "{'a': 1}", b"a", [0, 1, 0], "[1 0 1]", [True, False], "[__import__('os')]"]
)
def test_what_is_no_list_of_labels_is_refused(cell):
    if cell == "[a":
        assert read_label_set(cell, ",") == '["[a"]'  # a label may begin with a bracket
        return
    with pytest.raises(ValueError):
        read_label_set(cell, ",")


def test_the_separator_is_the_configs():
    assert read_label_set("a; b,c", ";") == '["a","b,c"]'


def test_columns_of_ones_and_zeros_are_a_set():
    assert read_indicators(["x", "y", "z"], [1, "0", True]) == '["x","z"]'
    assert read_indicators(["x", "y"], [None, 0.0]) == "[]"
    with pytest.raises(ValueError, match="y"):
        read_indicators(["x", "y"], [1, "maybe"])


def test_labels_come_back_in_order():
    target = write_label_set(["b", "a"])
    assert labels_of(target) == ("a", "b") and all_labels([target, "[]", '["c"]']) == ("a", "b", "c")


def test_sets_are_scored_by_their_f1():
    found = set_scores(['["a","b"]', "[]", '["a"]', "[]", None], ['["b"]', "[]", "[]", '["a"]', "[]"])
    assert math.isnan(set_scores(["[]"], [""])[0])
    assert found[:4] == pytest.approx([2 / 3, 1.0, 0.0, 0.0]) and math.isnan(found[4])
