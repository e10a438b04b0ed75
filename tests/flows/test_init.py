"""`tunekeeper init`: whatever shape a newcomer's rows have, the first config loads and prepares, and says what was guessed."""

import json
import random
from pathlib import Path

import newcomers
import pytest

from configs.load import load_pipeline
from configs.schema import Pipeline
from expectations.run import Context, validate_records
from flows.__main__ import main
from flows.cli.init_yaml import MOST_LINES
from tasks.contract import contract_suites
from tasks.data.preparation.load import loaded_source, redactor_of
from tasks.data.preparation.prepare import prepare_rows
from tasks.data.snapshot.snapshot import Snapshot, write_snapshot


@pytest.fixture
def init(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder: exit code, its JSON object, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEKEEPER_HOME", str(tmp_path / "home"))

    def run(*words: object):
        with pytest.raises(SystemExit) as left:
            main(["init", *map(str, words)])
        printed, said = capsys.readouterr()
        return int(left.value.code or 0), json.loads(printed) if printed else None, said

    return run


def prepared(pipeline: Pipeline, home: Path) -> Snapshot:
    """The snapshot that a run would seal: both contracts are held, and nothing stops it."""
    suites, limit, context = contract_suites(pipeline), pipeline.contract.max_quarantined, Context()
    with loaded_source(pipeline.data, pipeline.problem, home) as raw:
        first = validate_records(raw.reader(), suites, stage="raw", context=context, max_quarantined=limit, docs_dir=None)
        assert first.success, first.stopped
        aside = {row: "; ".join(reasons) for row, reasons in first.quarantined.items()}
        candidate = prepare_rows(raw, pipeline.data, redactor_of(pipeline.data, home), aside)
        second = validate_records(
            candidate.reader(), suites, stage="prepared", context=context, max_quarantined=limit, docs_dir=None
        )
        assert second.success, second.stopped
        return write_snapshot(candidate, home, {"rows": "0" * 64}, None)


@pytest.mark.parametrize("write", newcomers.NEWCOMERS, ids=lambda write: write.__name__)
def test_the_first_config_of_a_newcomers_file_loads_and_prepares(init, tmp_path, write):
    source = write(tmp_path, random.Random(write.__name__))
    code, outcome, said = init("first", "--data", source, "--json")
    assert code == 0, said
    assert outcome["columns"] == newcomers.NEWCOMERS[write] and outcome["fault"] is None and outcome["whole"]
    text = Path("first.yaml").read_text()
    assert len(text.splitlines()) <= MOST_LINES
    pipeline = load_pipeline(Path("first.yaml"))
    counts = prepared(pipeline, tmp_path / "home").manifest["splits"]
    assert min(counts["train"], counts["validation"], counts["test"]) > 0, counts
