"""Which rows take part, on a few marks."""

import numpy as np

from tasks.data.preparation.deduplicate import minhash_signatures, text_keys
from tasks.data.preparation.row_filters import (
    EXACT,
    KEPT,
    LATER_GROUP,
    LEAKS_TEST,
    LEAKS_VALIDATION,
    NEAR,
    conflicting_rows,
    filter_rows,
    later_groups,
)
from tasks.data.preparation.row_index import Marks
from tasks.data.preparation.split import TEST, TRAIN, VALIDATION

LONG = " ".join(f"word{i}" for i in range(40))


def marks(folder, rows):
    """Rows are (text, target, group)."""
    made = Marks.blank(len(rows), folder)
    made.text[:] = text_keys([text for text, _, _ in rows])
    made.target[:] = text_keys([target for _, target, _ in rows])[:, 0]
    made.group[:] = [0 if group is None else group for _, _, group in rows]
    made.signatures[:] = minhash_signatures([text for text, _, _ in rows])
    return made


def sifted(folder, rows, splits, threshold=0.85, given=False):
    fate = np.zeros(len(rows), dtype=np.uint8)
    made = marks(folder, [(*row, None) if len(row) == 2 else row for row in rows])
    overlap = filter_rows(made, np.arange(len(rows)), np.array(splits, dtype=np.int8), fate, threshold, given)
    return fate.tolist(), overlap


def test_copies_within_a_split_go_and_the_first_stays(tmp_path):
    fate, _ = sifted(tmp_path, [(LONG, "a"), (LONG, "a"), (LONG + " end", "a"), ("other", "a")], [TRAIN] * 4)
    assert fate == [KEPT, EXACT, NEAR, KEPT]


def test_near_texts_with_another_target_are_no_copies(tmp_path):
    assert sifted(tmp_path, [(LONG, "a"), (LONG + " end", "b")], [TRAIN] * 2)[0] == [KEPT, KEPT]


def test_what_test_has_goes_from_train_and_validation_and_stays_in_test(tmp_path):
    rows = [(LONG + " x", "b"), (LONG, "a"), (LONG + " y", "a"), ("lone", "a")]
    fate, overlap = sifted(tmp_path, rows, [TRAIN, TEST, VALIDATION, TRAIN])
    assert fate == [LEAKS_TEST, KEPT, LEAKS_TEST, KEPT] and overlap.test_rows_with_a_neighbour == 1


def test_what_validation_has_goes_from_train(tmp_path):
    assert sifted(tmp_path, [(LONG, "a"), (LONG, "a")], [TRAIN, VALIDATION])[0] == [LEAKS_VALIDATION, KEPT]


def test_a_given_test_set_is_used_as_given_and_its_neighbours_are_counted(tmp_path):
    rows = [(LONG, "a"), (LONG, "a"), (LONG, "a"), ("lone", "a")]
    fate, overlap = sifted(tmp_path, rows, [TRAIN, TEST, TEST, TRAIN], given=True)
    assert fate == [KEPT] * 4 and overlap.test_rows_with_a_neighbour == 2


def test_without_deduplication_copies_stay_but_exact_leaks_still_go(tmp_path):
    rows = [(LONG, "a"), (LONG, "a"), (LONG, "a"), (LONG + " end", "a")]
    assert sifted(tmp_path, rows, [TRAIN, TRAIN, TEST, TRAIN], threshold=None)[0] == [LEAKS_TEST, LEAKS_TEST, KEPT, KEPT]


def test_a_test_group_seen_in_training_is_counted(tmp_path):
    assert (
        sifted(tmp_path, [("x", "a", 5), ("y", "a", 5), ("z", "a", None)], [TRAIN, TEST, TEST])[1].test_rows_with_a_known_group == 1
    )


def test_a_group_stays_in_its_latest_split(tmp_path):
    made = marks(tmp_path, [("x", "a", 5), ("y", "a", 5), ("z", "a", 7), ("v", "a", None)])
    fate = np.zeros(4, dtype=np.uint8)
    later_groups(made, np.array([TRAIN, TEST, TRAIN, TRAIN], dtype=np.int8), fate)
    assert fate.tolist() == [LATER_GROUP, KEPT, KEPT, KEPT]


def test_equal_texts_with_different_targets_are_conflicts(tmp_path):
    made = marks(tmp_path, [("x", "a", None), ("y", "a", None), ("x", "b", None), ("x", "a", None), ("y", "a", None)])
    assert conflicting_rows(made, np.zeros(5, dtype=np.uint8)).tolist() == [0, 2, 3]
