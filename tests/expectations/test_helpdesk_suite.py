"""The shipped example meets its own contract, with honest warnings, and its later period is noticed."""

from pathlib import Path

import pandas as pd

from configs.load import load_pipeline
from expectations.reference import describe_records
from expectations.run import COMMON, Context, suite_for, validate_records
from tasks.data.preparation.load import loaded_source

EXAMPLE = Path(__file__).parents[2] / "examples" / "helpdesk"
SUITES = [COMMON, suite_for("text-classification"), COMMON.with_name("helpdesk.json")]


def tickets(name: str, home: Path) -> pd.DataFrame:
    """As a retraining reads them."""
    pipeline = load_pipeline(EXAMPLE.parents[1] / "configs" / "helpdesk.yaml", [f"data.source={EXAMPLE / name}"])
    with loaded_source(pipeline.data, pipeline.problem, home) as raw:
        return pd.concat(raw.frames())


def test_the_example_is_accepted_as_it_lies_there_with_a_few_rows_set_aside(tmp_path: Path) -> None:
    first, later = (tickets(name, tmp_path) for name in ("tickets.csv", "later.csv"))
    for frames in ([first], [first, later]):
        found = validate_records(frames, SUITES, stage="raw", context=Context(), max_quarantined=0.05, docs_dir=None)
        assert found.success, found.stopped
        assert 0 < len(found.quarantined) < 0.02 * found.rows
        assert any("copies" in warning for warning in found.warnings)


def test_the_later_period_is_warned_of_once_there_is_a_snapshot_to_compare_with(tmp_path: Path) -> None:
    read = (tickets(name, tmp_path) for name in ("tickets.csv", "later.csv"))
    first, later = (frame.drop_duplicates("text").assign(split="train") for frame in read)
    last = describe_records([first], labels=True)
    context = Context(label_shares=last.label_shares, vocabulary=frozenset(last.vocabulary))
    quiet = validate_records([first], SUITES, stage="prepared", context=context, max_quarantined=0.05, docs_dir=None)
    found = validate_records([first, later], SUITES, stage="prepared", context=context, max_quarantined=0.05, docs_dir=None)
    assert not quiet.warnings
    assert {w.split(" (")[0] for w in found.warnings} and all(w.startswith("helpdesk: At most") for w in found.warnings)


def test_tickets_without_a_region_or_language_are_warned_of(tmp_path: Path) -> None:
    frame = tickets("tickets.csv", tmp_path)
    few = frame.assign(slice_region=frame["slice_region"].where(frame.index % 50 > 0))
    found = validate_records([few], SUITES, stage="raw", context=Context(), max_quarantined=0.05, docs_dir=None)
    assert [warning.split(":")[1].strip() for warning in found.warnings if "region" in warning] == [
        "At least 99 % of tickets name their region"
    ]
