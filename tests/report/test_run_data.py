"""A report survives its file: as it was, from an older version, and not from something else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from run_samples import EVERY, classification

from configs.errors import InputError
from tasks.report.run.data import from_json, to_json


@pytest.mark.parametrize("name", EVERY)
def test_a_stored_report_is_read_back_equal(name: str) -> None:
    report = EVERY[name]()
    assert from_json(to_json(report)) == report


def test_a_number_that_is_not_finite_is_stored_as_absent() -> None:
    report = classification()
    score = replace(report.systems[0].scores[0], value=float("nan"), high=float("inf"))
    stored = to_json(replace(report, systems=(replace(report.systems[0], scores=(score,)),)))
    json.loads(stored, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    read = from_json(stored).systems[0].scores[0]
    assert (read.value, read.high, read.low) == (None, None, score.low)


def test_fields_of_a_later_version_are_passed_over() -> None:
    stored = json.loads(to_json(classification())) | {"invented_later": 1}
    assert from_json(json.dumps(stored)) == classification()


@pytest.mark.parametrize(
    ("text", "named"), [("{}", "pipeline"), ("not json", "the file"), ('{"pipeline": 3}', "pipeline"), ("", "the file")]
)
def test_another_file_is_refused_with_the_place_and_the_remedy(text: str, named: str) -> None:
    with pytest.raises(InputError, match=rf"no stored report: {named}.*report\.json that a retrain wrote"):
        from_json(text)


def test_a_verdict_that_does_not_exist_is_refused() -> None:
    stored = json.loads(to_json(classification())) | {"verdict": "MAYBE"}
    with pytest.raises(InputError, match="verdict"):
        from_json(json.dumps(stored))
