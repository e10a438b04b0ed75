"""What a snapshot's manifest says of the files that its rows came from."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from configs.load import load_pipeline
from tasks.common.home import Home
from tasks.data.preparation.load import loaded_source, redactor_of
from tasks.data.preparation.prepare import prepare_rows
from tasks.data.redaction.pseudonyms import PSEUDONYM
from tasks.data.sources.fingerprints import fingerprint_files
from tasks.data.sources.source_files import data_files
from tasks.prepare import Inputs, seal_snapshot

MAIL = "anna@example.com"


@pytest.mark.parametrize(("name", "redact", "is_personal"), [(MAIL, True, True), (MAIL, False, False), ("rows", True, False)])
def test_a_manifest_names_no_person_that_a_file_is_named_after(tmp_path, monkeypatch, name, redact, is_personal):
    monkeypatch.chdir(tmp_path)
    home = Home(tmp_path / "home")
    rows = [{"text": f"text {i} of {i * 31 % 97}", "label": "ab"[i % 2]} for i in range(60)]
    pd.DataFrame(rows).to_csv(tmp_path / f"{name}.csv", index=False)
    data = {"source": "*.csv", "redact": {"enabled": redact}}
    values = {"name": "tiny", "problem": "text-classification", "model": {"base": "x"}, "data": data}
    (tmp_path / "keep.yaml").write_text(yaml.safe_dump(values))
    pipeline = load_pipeline(tmp_path / "keep.yaml")
    sources = fingerprint_files(data_files(pipeline.data)[0])
    with loaded_source(pipeline.data, pipeline.problem, home.path) as raw:
        candidate = prepare_rows(raw, pipeline.data, redactor_of(pipeline.data, home.path))
        contract = SimpleNamespace(quarantined={}, outcomes=(), stage="source")
        inputs = Inputs(sources, None, (), None, "0" * 64)
        sealed = seal_snapshot.fn(pipeline, home, inputs, candidate, (contract, contract))
    manifest = json.loads((home.snapshots / sealed.snapshot / "manifest.json").read_text())
    assert [PSEUDONYM.fullmatch(source) is not None for source in manifest["sources"]] == [is_personal]
    assert list(manifest["sources"].values()) == list(sources.values())
