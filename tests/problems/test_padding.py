"""Rows of tokens as batches: padded on the right, rows of like length together, every row in one of them."""

from functools import partial

import torch

from tasks.problems.padding import IGNORED, batches_by_length, pad_examples, pad_tokens

ROWS = [{"input_ids": list(range(1, length + 1))} for length in (3, 9, 1, 8, 4, 9, 2)]
CPU = torch.device("cpu")


def test_rows_are_padded_on_the_right_with_a_mask_of_what_is_read():
    batch = pad_tokens([[5, 6, 7], [8]], 0)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]] and batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    labelled = pad_examples([{"input_ids": [5, 6], "labels": [1, 2]}, {"input_ids": [7], "labels": [3]}], 0)
    assert labelled["labels"].tolist() == [[1, 2], [3, IGNORED]] and "labels" not in pad_examples([{"input_ids": [5]}], 0)


def test_the_longest_rows_come_first_and_equally_long_ones_in_their_order():
    batches = list(batches_by_length(ROWS, partial(pad_examples, pad_id=0), 5, CPU))
    assert [places for places, _ in batches] == [[1, 5, 3, 4, 0], [6, 2]]
    for places, batch in batches:
        assert batch["attention_mask"].sum(1).tolist() == [len(ROWS[place]["input_ids"]) for place in places]


def test_no_row_stands_beside_one_more_than_twice_as_long():
    batches = [places for places, _ in batches_by_length(ROWS, partial(pad_examples, pad_id=0), 9, CPU, shortest=0.5)]
    assert batches == [[1, 5, 3], [4, 0, 6], [2]]
    assert not list(batches_by_length([], partial(pad_examples, pad_id=0), 3, CPU))
