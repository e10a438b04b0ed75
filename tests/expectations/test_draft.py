"""A drafted suite holds for the data it was drafted from, and says no to other data."""

import json
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest

from configs.errors import InputError
from expectations.draft import draft_suite
from expectations.run import COMMON, Context, suite_for, validate_records


def records(n: int = 600) -> pd.DataFrame:
    topics = ["printer", "invoice", "password"]
    return pd.DataFrame({
        "id": [f"t-{i}" for i in range(n)],
        "text": [f"My {topics[i % 3]} gives me trouble since day {i} of this month, please help me" for i in range(n)],
        "target": [topics[i % 3] for i in range(n)],
        "time": pd.Series(pd.date_range("2025-01-01", periods=n, freq="h", tz="UTC")).mask(pd.Series(range(n)) % 20 == 0),
        "slice_region": ["north" if i % 4 else "south" for i in range(n)],
    })  # fmt: skip


@pytest.mark.parametrize("problem", ["text-classification", "text-generation"])
def test_a_draft_holds_for_its_own_data(tmp_path: Path, problem: Literal["text-classification", "text-generation"]) -> None:
    frame = records()
    suite = draft_suite([frame[:250], frame[250:]], problem, "mine")
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(suite))
    found = validate_records(
        [frame], [COMMON, suite_for(problem), path], stage="raw", context=Context(), max_quarantined=0, docs_dir=None
    )
    assert found.success and not [w for w in found.warnings if w.startswith("mine")] and not found.quarantined
    assert {o.suite for o in found.outcomes} == {"common", problem, "mine"}


def test_a_draft_says_no_to_other_data(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(draft_suite(lambda: [records()], "text-classification", "mine")))
    other = records(200)
    other["text"] = "Dieser Satz ist ganz auf Deutsch geschrieben, und das von vorne bis hinten."
    other.loc[0, "target"] = "misspelt"
    other.loc[1, "text"] = "x" * 5000
    found = validate_records([other], [path], stage="raw", context=Context(), max_quarantined=1, docs_dir=None)
    assert not found.success and "at least 300 records (today 600)" in found.stopped[0]
    assert set(found.quarantined) == {"t-0", "t-1"}
    assert any("are in en" in w for w in found.warnings)


def test_every_drafted_expectation_has_notes_and_an_action() -> None:
    for expectation in draft_suite([records()], "text-classification", "mine")["expectations"]:
        assert expectation["meta"]["action"] in ("warn", "quarantine", "stop") and expectation["meta"]["notes"].endswith(".")


def test_a_draft_of_free_text_quotes_none_of_it() -> None:
    suite = draft_suite([records().assign(target=lambda f: "SECRET " + f["id"])], "text-generation", "mine")
    assert "SECRET" not in json.dumps(suite) and suite["meta"]["free_text"] == ["target"]


def test_a_draft_needs_records_with_their_columns() -> None:
    with pytest.raises(InputError, match="no records"):
        draft_suite([], "text-classification", "mine")
    with pytest.raises(InputError, match="lack target"):
        draft_suite([records().drop(columns="target")], "text-classification", "mine")


def test_a_draft_of_the_first_records_alone_says_nothing_of_all() -> None:
    suite = draft_suite([records()], "text-classification", "mine", is_whole=False)
    assert "the first 600 records (`tunekeeper draft-contract` reads all)" in suite["meta"]["notes"]
    types = {expectation["type"] for expectation in suite["expectations"]}
    assert "expect_column_value_lengths_to_be_between" in types
    assert not types & {"expect_table_row_count_to_be_between", "expect_column_values_to_be_in_set"}
    assert not any("rarest" in type_ for type_ in types)
