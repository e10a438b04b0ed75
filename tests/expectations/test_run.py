"""The real Great Expectations on small records: what is warned of, set aside, and stopped."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from expectations.reference import describe_records
from expectations.run import COMMON, Context, Outcome, Validation, suite_for, validate_records

CLASSIFICATION = [COMMON, suite_for("text-classification")]
ACTIONS = ("warn", "quarantine", "stop")


def records(n: int = 240) -> pd.DataFrame:
    topics = ["printer", "invoice", "password", "router"]
    return pd.DataFrame({
        "id": [f"t-{i}" for i in range(n)],
        "text": [f"My {topics[i % 4]} gives me trouble since day {i} of this month, please help" for i in range(n)],
        "target": [topics[i % 4] for i in range(n)],
        "split": ["test" if i % 5 == 0 else "train" for i in range(n)],
    })  # fmt: skip


def suite(folder: Path, *expectations: dict[str, Any], **meta: Any) -> Path:
    path = folder / "mine.json"
    path.write_text(json.dumps({"name": "mine", "meta": meta, "expectations": list(expectations)}))
    return path


def expect(kind: str, action: str = "warn", **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_{kind}", "kwargs": kwargs, "meta": {"action": action}}


def check(
    frames: Any, suites: list[Path], stage: Any = "raw", limit: float = 0.05, docs: Path | None = None, **context: Any
) -> Validation:
    return validate_records(frames, suites, stage=stage, context=Context(**context), max_quarantined=limit, docs_dir=docs)


def only(validation: Validation) -> Outcome:
    (outcome,) = validation.outcomes
    return outcome


def test_good_records_meet_the_shipped_suites_in_both_stages() -> None:
    for stage in ("raw", "prepared"):
        found = check([records()], CLASSIFICATION, stage)
        assert found.success and not found.stopped and not found.warnings and not found.quarantined
        assert found.rows == 240


def test_bad_rows_are_set_aside_with_their_reasons_while_they_are_few() -> None:
    frame = records()
    frame.loc[3, "text"], frame.loc[4, "text"], frame.loc[5, "text"], frame.loc[6, "target"] = (
        None,
        "n/a",
        "the cafÃ© is closed",
        None,
    )
    found = check([frame], CLASSIFICATION)
    assert found.success
    assert set(found.quarantined) == {"t-3", "t-4", "t-5", "t-6"}
    assert "Every record has a text" in found.quarantined["t-3"][0]
    stopped = check([frame], CLASSIFICATION, limit=0.01)
    assert not stopped.success
    assert "4 of 240 rows (1.67%)" in stopped.stopped[0] and "1.00%" in stopped.stopped[0]


@pytest.mark.parametrize("origin", ["feedback", "audit"])
def test_what_people_said_is_set_aside_row_by_row_and_stops_nothing(origin: str, tmp_path: Path) -> None:
    source, heard = records().assign(origin="source"), records(60).assign(origin=origin)
    heard["id"], heard["target"] = [f"answer:{i}" for i in range(60)], [f"JUNK {i}" for i in range(59)] + ["router"]
    mine = suite(
        tmp_path,
        expect("column_unique_value_count_to_be_between", "stop", column="target", min_value=2, max_value=10),
        expect("column_values_to_match_regex", "quarantine", column="target", regex="^[a-z]+$"),
        expect("column_value_lengths_to_be_between", "stop", column="text", min_value=8),
        expect("column_values_to_be_in_set", column="target", value_set=["printer", "invoice", "password", "router"]),
    )
    heard.loc[59, "text"] = "short"
    for stage in ("raw", "prepared"):
        alone = check([source], [mine], stage)
        found = check([pd.concat([source, heard], ignore_index=True)], [mine], stage)
        assert (found.success, found.rows, found.warnings) == (True, 240, ()) and found.outcomes == alone.outcomes
        assert found.quarantined.keys() == set(heard["id"])
    broken = check([source.assign(target="A B"), heard], [mine])
    assert not broken.success and "All rows fail: 240 of 240 rows" in broken.stopped[-1]


def test_nothing_is_left_where_every_row_fails() -> None:
    found = check([records().assign(text="n/a")], CLASSIFICATION, limit=1.0)
    assert not found.success and "nothing is left" in found.stopped[-1]
    assert len(found.quarantined) == 240, "a list of failing rows cut at some number would let bad rows through"


def test_no_records_stop_the_run() -> None:
    for frames in ([], [records().iloc[:0]]):
        found = check(frames, CLASSIFICATION)
        assert not found.success and "There are no rows" in " ".join(found.stopped)


def test_how_rows_are_cut_into_chunks_changes_nothing() -> None:
    frame = records()
    frame.loc[[3, 77, 200], "text"] = ["n/a", None, "cafÃ© au lait"]
    frame.loc[[10, 230], "id"] = "twice"
    frame.loc[[20, 221], "text"] = "the same words here, whatever the label is"
    frame.loc[221, "target"] = "password"
    whole = check([frame], CLASSIFICATION, "prepared")
    for size in (37, 100):
        cut = check(lambda size=size: (frame[i : i + size] for i in range(0, 240, size)), CLASSIFICATION, "prepared")
        assert cut == whole
    assert "No two records share an id" in whole.stopped[0]
    reasons = whole.quarantined["t-20"]
    assert whole.quarantined["t-221"] == reasons and "password, printer" in reasons[0], "a conflict names both labels"


def test_a_missing_column_is_named_and_stops_unless_it_is_only_a_warning() -> None:
    found = check([records().drop(columns="text")], CLASSIFICATION)
    assert not found.success
    assert all("there is no column `text`" in why for why in found.stopped)
    (outcome,) = [o for o in found.outcomes if o.column == "text" and o.action == "warn" and "commonest" in o.type]
    assert not outcome.evaluated and outcome.reason in found.warnings


def test_what_cannot_be_computed_is_named_without_quoting_records(tmp_path: Path) -> None:
    frame = records().assign(text=[["SECRET"]] * 240)
    found = check([frame], [suite(tmp_path, expect("column_values_to_hold_no_control_characters", "stop", column="text"))])
    assert not found.success and "could not be computed" in found.stopped[0]
    assert "SECRET" not in repr(found)


def test_one_class_is_nothing_to_tell_apart() -> None:
    found = check([records().assign(target="printer")], CLASSIFICATION)
    assert not found.success and "at least two labels" in found.stopped[0]


@pytest.mark.parametrize("action", ACTIONS)
def test_the_action_decides_what_a_failure_does(tmp_path: Path, action: str) -> None:
    frame = records()
    frame.loc[7, "text"] = "x"
    path = suite(tmp_path, expect("column_value_lengths_to_be_between", action, column="text", min_value=5))
    found = check([frame], [path])
    assert (bool(found.warnings), bool(found.quarantined), bool(found.stopped)) == tuple(action == a for a in ACTIONS)
    assert only(found).failing == 1 and only(found).ids == ("t-7",) and not only(found).success


def test_mostly_is_judged_over_all_chunks_and_not_in_each(tmp_path: Path) -> None:
    frame = records(100)
    frame.loc[:4, "text"] = "x"
    path = suite(tmp_path, expect("column_value_lengths_to_be_between", column="text", min_value=5, mostly=0.95))
    assert only(check([frame[:10], frame[10:]], [path])).success
    frame.loc[5, "text"] = "x"
    assert not only(check([frame[:10], frame[10:]], [path])).success


def test_a_sample_counts_the_rows_that_were_looked_at(tmp_path: Path) -> None:
    wanted = expect("column_values_to_match_regex", column="text", regex="never")
    wanted["meta"]["sample"] = 10
    outcome = only(check([records(), records(5)], [suite(tmp_path, wanted)]))
    assert (outcome.checked, outcome.failing) == (15, 15)


def test_stages_choose_what_is_checked(tmp_path: Path) -> None:
    wanted = expect("column_values_to_not_be_null", column="text")
    wanted["meta"]["stages"] = ["prepared"]
    path = suite(tmp_path, wanted)
    assert not check([records()], [path], "raw").outcomes and check([records()], [path], "prepared").outcomes


@pytest.mark.parametrize(
    ("kind", "kwargs", "change", "context"),
    [
        ("column_values_to_hold_text", {"column": "text"}, {"text": "-"}, {}),
        ("column_values_to_hold_no_control_characters", {"column": "text"}, {"text": "bell \x07"}, {}),
        ("column_values_to_be_decoded_soundly", {"column": "text"}, {"text": "cafÃ©"}, {}),
        (
            "column_values_to_be_in_languages",
            {"column": "text"},
            {"text": "Ce texte est écrit en français, sans le moindre doute."},
            {"languages": ("en",)},
        ),
        (
            "column_token_counts_to_be_between",
            {"column": "text"},
            {"text": "a " * 40},
            {"token_lengths": lambda ts: [len(t.split()) for t in ts], "max_tokens": 30},
        ),
    ],
)
def test_our_row_expectations_find_the_planted_row(tmp_path: Path, kind: str, kwargs: Any, change: Any, context: Any) -> None:
    frame = records()
    path = suite(tmp_path, expect(kind, "quarantine", **kwargs))
    assert not check([frame], [path], **context).quarantined
    frame.loc[11, list(change)] = list(change.values())
    assert list(check([frame[:100], frame[100:]], [path], **context).quarantined) == ["t-11"]


@pytest.mark.parametrize(
    ("kind", "column", "change", "observed"),
    [
        ("column_shares_to_match_snapshot", "target", {"target": "router"}, "0.75 (most changed: router 25.0% > 100.0%"),
        ("column_unseen_word_share_to_be_at_most", "text", {"text": "zupfen wackeln my"}, "0.6667 (480 of 720 words)"),
        ("column_commonest_value_share_to_be_at_most", "text", {"text": "same"}, "1 (one value fills 240 of 240 rows)"),
        ("column_rarest_value_count_to_be_at_least", "target", {"target": ["odd"] + ["even"] * 239}, "1 (2 distinct values)"),
    ],
)
def test_our_expectations_of_the_whole_see_the_planted_change(
    tmp_path: Path, kind: str, column: str, change: dict[str, Any], observed: str
) -> None:
    frame = records()
    last = describe_records([frame], labels=True)
    context = {"label_shares": last.label_shares, "vocabulary": frozenset(last.vocabulary)}
    path = suite(tmp_path, expect(kind, column=column))
    assert only(check([frame], [path], **context)).success
    changed = frame.assign(**change)
    outcome = only(check([changed[:100], changed[100:]], [path], **context))
    assert not outcome.success and outcome.observed is not None and outcome.observed.startswith(observed)


def test_without_an_earlier_snapshot_there_is_nothing_to_compare_with() -> None:
    found = check([records()], CLASSIFICATION, "prepared")
    unchecked = {o.type: o.reason for o in found.outcomes if not o.evaluated}
    assert len(unchecked) == 4
    assert "no tokenizer was given" in unchecked["expect_column_token_counts_to_be_between"]
    assert "no tokenizer was given" in unchecked["expect_column_unknown_token_shares_to_be_at_most"]
    assert "no earlier snapshot" in unchecked["expect_column_unseen_word_share_to_be_at_most"]
    assert "no earlier snapshot" in unchecked["expect_column_shares_to_match_snapshot"]


def test_no_text_of_a_record_reaches_the_answer_or_the_data_docs(tmp_path: Path) -> None:
    frame = records().assign(group="anna@secret.example")
    frame.loc[:, "text"] = [f"SECRET{i} SECRET\x07 cafÃ©" for i in range(240)]
    frame.loc[:, "target"] = [f"SECRET answer {i}" for i in range(240)]
    path = suite(
        tmp_path,
        expect("column_values_to_be_in_set", "quarantine", column="text", value_set=["x"]),
        expect("column_distinct_values_to_be_in_set", column="text", value_set=["x"]),
        expect("column_distinct_values_to_be_in_set", column="target", value_set=["x"]),
        expect("column_most_common_value_to_be_in_set", column="group", value_set=["x"]),
        expect("column_values_to_be_unique", column="group"),
        expect("column_max_to_be_between", column="text", max_value=1),
    )
    found = check([frame], [COMMON, suite_for("text-generation"), path], limit=1.0, docs=tmp_path / "docs")
    assert found.docs is not None
    page = found.docs.read_text()
    assert "SECRET" not in page and "secret" not in page
    assert "SECRET" not in repr(found) and "secret" not in repr(found)


def test_data_docs_are_one_page_that_needs_no_network(tmp_path: Path) -> None:
    frame = records()
    frame.loc[3, "text"] = "n/a"
    found = check([frame], CLASSIFICATION, docs=tmp_path / "docs")
    assert found.docs == tmp_path / "docs" / "index.html"
    assert [p.name for p in (tmp_path / "docs").iterdir()] == ["index.html"]
    page = found.docs.read_text()
    assert "http" not in page and "<script" not in page
    assert "t-3" in page and "240 raw records: accepted, 1 quarantined" in page
    assert "Rendering failed" not in page and "render_" not in page


def test_great_expectations_is_not_imported_before_it_is_used_and_adds_no_noise(tmp_path: Path) -> None:
    code = (
        "import sys, pandas as pd\n"
        "from expectations.run import COMMON, Context, validate_records\n"
        "import expectations.draft, expectations.reference\n"
        "assert 'great_expectations' not in sys.modules\n"
        "frame = pd.DataFrame({'id': ['a'], 'text': ['hello there'], 'target': ['x']})\n"
        "v = validate_records([frame], [COMMON], stage='raw', context=Context(), max_quarantined=0, docs_dir=None)\n"
        "sys.exit(0 if v.success else 3)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir()), "nothing is left in the working directory"


@pytest.mark.parametrize("listed", [[0, 1, 2], [0.0, 1.0, 2.0], ["0.0", "1.0", "2.0"], ["0", "1", 2.0]])
def test_labels_that_a_suite_lists_in_another_spelling_are_the_datas(tmp_path: Path, listed: list[Any]) -> None:
    from tasks.data.labels import canonical_label

    frame = records().assign(target=[str(i % 4) for i in range(240)])
    path = suite(tmp_path, expect("column_values_to_be_in_set", "quarantine", column="target", value_set=listed))
    found = check([frame], [path], limit=0.5, label=canonical_label)
    assert found.success and len(found.quarantined) == 60, "those labelled 3"


@pytest.mark.parametrize(
    ("known", "warned", "stopped"),
    [(1.0, 0, 0), (0.85, 0, 0), (0.7, 1, 0), (0.3, 1, 0), (0.05, 1, 1), (0.0, 1, 1)],
)
def test_texts_that_the_base_does_not_know_are_warned_of_and_where_it_knows_next_to_nothing_the_run_stops(
    known: float, warned: int, stopped: int
) -> None:
    def shares(texts: list[str]) -> list[float]:
        return [1 - known] * len(texts)

    found = check([records()], CLASSIFICATION, "prepared", unknown_shares=shares)
    assert (sum("unknown to the base" in why for why in found.warnings), len(found.stopped)) == (warned, stopped)
    assert found.success == (not stopped) and all("model.base has to be another" in why for why in found.stopped)


def test_some_unknown_texts_among_known_ones_are_no_finding() -> None:
    found = check([records()], CLASSIFICATION, "prepared", unknown_shares=lambda texts: [float("day 7" in text) for text in texts])
    assert found.success and not found.warnings


def test_redacted_values_are_no_unknown_tokens() -> None:
    read: list[str] = []

    def shares(texts: list[str]) -> list[float]:
        read.extend(texts)
        return [0.0] * len(texts)

    frame = records().assign(text=lambda rows: rows["text"] + " <EMAIL_ADDRESS:1f3a9c2b>")
    assert check([frame], CLASSIFICATION, "prepared", unknown_shares=shares).success
    assert read and not any("EMAIL" in text for text in read)
