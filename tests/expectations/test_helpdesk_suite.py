"""The shipped example meets its own contract, with honest warnings, and its later period is noticed."""

from pathlib import Path

import pandas as pd

from expectations.reference import describe
from expectations.run import COMMON, Context, suite_for, validate

EXAMPLE = Path(__file__).parents[2] / "examples" / "helpdesk"
SUITES = [COMMON, suite_for("text-classification"), COMMON.with_name("helpdesk.json")]


def tickets(name: str) -> pd.DataFrame:
    raw = pd.read_csv(EXAMPLE / name)
    renamed = raw.rename(columns={"ticket_id": "id", "created_at": "time", "customer": "group", "intent": "target"})
    renamed["time"] = pd.to_datetime(renamed["time"], utc=True, format="ISO8601")
    return renamed.rename(columns={"region": "slice_region", "language": "slice_language"})


def test_the_example_is_accepted_as_it_lies_there_with_a_few_rows_set_aside() -> None:
    for frames in ([tickets("tickets.csv")], [tickets("tickets.csv"), tickets("later.csv")]):
        found = validate(frames, SUITES, stage="raw", context=Context(), max_quarantined=0.05, docs_dir=None)
        assert found.success, found.stopped
        assert 0 < len(found.quarantined) < 0.02 * found.rows
        assert any("copies" in warning for warning in found.warnings)


def test_the_later_period_is_warned_of_once_there_is_a_snapshot_to_compare_with() -> None:
    first, later = (tickets(n).drop_duplicates("text").assign(split="train") for n in ("tickets.csv", "later.csv"))
    last = describe([first], labels=True)
    context = Context(label_shares=last.label_shares, vocabulary=frozenset(last.vocabulary))
    quiet = validate([first], SUITES, stage="prepared", context=context, max_quarantined=0.05, docs_dir=None)
    found = validate([first, later], SUITES, stage="prepared", context=context, max_quarantined=0.05, docs_dir=None)
    assert not quiet.warnings
    assert {w.split(" (")[0] for w in found.warnings} and all(w.startswith("helpdesk: At most") for w in found.warnings)
