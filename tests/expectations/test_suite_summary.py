"""The summary of a million rows answers what the rows themselves would, and shows none of their texts."""

import numpy as np
import pandas as pd

from expectations import summary


def records(n: int, start: int = 0) -> pd.DataFrame:
    return pd.DataFrame({
        "id": [f"r{i}" for i in range(start, start + n)],
        "text": [f"text {i % 7}" if i % 5 else None for i in range(start, start + n)],
        "target": [f"label {i % 3}" for i in range(start, start + n)],
    })  # fmt: skip


def test_equal_texts_stay_equal_across_chunks_and_missing_ones_missing() -> None:
    chunks = [records(30), records(20, 30)]
    whole = summary.merge_summaries([summary.compact_chunk(c, ["text"], None, []) for c in chunks])
    plain = pd.concat(chunks, ignore_index=True)
    assert whole["text"].isna().tolist() == plain["text"].isna().tolist()
    assert whole.groupby("text").size().sort_values().tolist() == plain.groupby("text").size().sort_values().tolist()
    assert whole["id"].tolist() == plain["id"].tolist()
    assert whole["target"].tolist() == plain["target"].tolist()
    assert whole.index.tolist() == list(range(50))


def test_no_text_is_in_the_summary() -> None:
    whole = summary.merge_summaries([summary.compact_chunk(records(30), ["text", "target"], None, [])])
    assert "text 1" not in whole.to_csv() and "label" not in whole.to_csv()


def test_a_column_of_many_values_is_hashed_in_all_chunks_once_it_is_in_one() -> None:
    few = pd.DataFrame({"id": ["a", "b"], "origin": ["x", "x"]})
    many = pd.DataFrame(
        {"id": [f"m{i}" for i in range(summary.MANY + 1)], "origin": [f"o{i}" for i in range(summary.MANY)] + ["x"]}
    )
    whole = summary.merge_summaries([summary.compact_chunk(c, [], None, []) for c in (few, many)])
    assert pd.api.types.is_integer_dtype(whole["origin"].dtype)
    assert whole["origin"].nunique() == summary.MANY + 1
    assert whole["origin"].iloc[0] == whole["origin"].iloc[-1]


def test_words_are_counted_against_the_vocabulary() -> None:
    chunk = pd.DataFrame({"text": ["old new words", None, "old old"]})
    part = summary.compact_chunk(chunk, ["text"], frozenset({"old", "words"}), ["text"])
    assert part["text" + summary.WORDS].tolist() == [3, 0, 2]
    assert part["text" + summary.UNSEEN].tolist() == [1, 0, 0]


def test_a_row_costs_few_bytes_however_long_its_text() -> None:
    chunk = records(5_000).assign(text=lambda f: "long " * 200 + f["id"], group=lambda f: f["id"])
    whole = summary.merge_summaries([summary.compact_chunk(chunk, ["text", "group"], None, [])])
    per_row = (whole.memory_usage(deep=False).sum()) / len(whole)
    assert per_row < 64, f"{per_row:.0f} bytes a row"
    assert whole["target"].iloc[0] is whole["target"].iloc[3], "equal labels share one string"
    assert np.issubdtype(whole["text"].dtype.numpy_dtype, np.int64)
