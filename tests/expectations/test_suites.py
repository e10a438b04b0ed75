"""A suite that cannot be meant is refused with its file, its place and a remedy."""

import json
from pathlib import Path
from typing import Any

import pytest

from configs.errors import InputError
from expectations.run import COMMON, Context, suite_for, validate_records
from expectations.suites import read_suite

NULLS = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "text"}}


def written(folder: Path, *expectations: Any) -> Path:
    path = folder / "mine.json"
    path.write_text(json.dumps({"name": "mine", "expectations": list(expectations)}))
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "no valid JSON.*line 1"),
        ("[]", "list `expectations`"),
        ("[" * 100_000, "nested too deeply"),
        ('{"expectations": [{"kwargs": {}}]}', "expectation 1 is no expectation.*`type`"),
        ('{"expectations": [{"type": "x", "meta": {"action": "drop"}}]}', "'drop'.*warn, quarantine, stop"),
        ('{"expectations": [{"type": "x", "meta": {"stages": ["late"]}}]}', "raw, prepared"),
        ('{"expectations": [{"type": "x", "meta": {"sample": 0}}]}', "meta.sample is 0"),
    ],
)
def test_a_malformed_suite_is_refused_by_file_and_place(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(InputError, match=said) as refused:
        read_suite(path)
    assert str(path) in str(refused.value)


def test_a_missing_suite_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no suite at .*none\.json.*draft-contract"):
        read_suite(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("expectation", "said"),
    [
        ({**NULLS, "type": "expect_column_values_to_not_be_nul"}, "did you mean expect_column_values_to_not_be_null"),
        ({**NULLS, "kwargs": {"colum": "text"}}, "`kwargs` are refused.*colum"),
        ({**NULLS, "kwargs": {"column": "text", "mostly": 7}}, "`kwargs` are refused"),
        ({"type": "expect_table_row_count_to_be_between", "kwargs": {}, "meta": {"action": "quarantine"}}, "names no rows"),
        ({"type": "expect_table_row_count_to_be_between", "kwargs": {}, "meta": {"sample": 5}}, "meta.sample has no meaning"),
        ({"type": "expect_column_values_to_match_regex", "kwargs": {"column": "text", "regex": "("}}, "no regular expression"),
    ],
)
def test_an_expectation_that_cannot_be_checked_is_refused(tmp_path: Path, expectation: Any, said: str) -> None:
    path = written(tmp_path, NULLS, expectation)
    with pytest.raises(InputError, match=said) as refused:
        validate_records([], [path], stage="raw", context=Context(), max_quarantined=1, docs_dir=None)
    assert f"{path}, expectation 2" in str(refused.value)


def test_severity_decides_where_no_action_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, {**NULLS, "severity": "critical"}, {**NULLS, "severity": "warning"}, NULLS)
    assert [c.action for c in read_suite(path).checks] == ["stop", "warn", "warn"]


def test_an_expectation_without_notes_is_still_said_in_words(tmp_path: Path) -> None:
    assert read_suite(written(tmp_path, NULLS)).checks[0].words == "text: values to not be null"


@pytest.mark.parametrize(
    "path", [COMMON, suite_for("text-classification"), suite_for("text-generation"), COMMON.with_name("helpdesk.json")]
)
def test_every_expectation_of_the_shipped_suites_says_what_it_wants_and_what_it_does(path: Path) -> None:
    for raw in json.loads(path.read_text())["expectations"]:
        assert raw["meta"]["action"] in ("warn", "quarantine", "stop")
        assert raw["meta"]["notes"].endswith(".")
        assert (raw["severity"] == "critical") == (raw["meta"]["action"] == "stop")
