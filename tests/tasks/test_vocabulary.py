"""Which labels were known before a run: of this machine's last snapshot, of another machine's newer one, and of the champion."""

import json
from types import SimpleNamespace

import pytest

from configs.schema import Data, Model, Pipeline
from tasks.common.home import Home
from tasks.context import PipelineContext
from tasks.ledger.decisions import NewDecision, record_decision
from tasks.ledger.promotions import Ledger
from tasks.snapshots import latest_snapshot, note_latest
from tasks.vocabulary import known_labels

PIPELINE = Pipeline(name="tiny", problem="text-classification", data=Data(source="x.csv"), model=Model(base="x"))


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def manifest(**counts):
    return {"label_counts": {label: {"train": n, "validation": 0, "test": 1} for label, n in counts.items()}}


def seal(home, name, content):
    """A snapshot's folder as far as it is looked at."""
    folder = home.path / "snapshots" / name
    folder.mkdir(parents=True)
    for part in ("train", "validation", "test"):
        for end in (".parquet", ".signatures.npy"):
            (folder / f"{part}{end}").touch()
    (folder / "reference.parquet").touch()
    (folder / "manifest.json").write_text(json.dumps(content))
    note_latest(PIPELINE, home, name)


class Elsewhere:
    """The tracking server, with another machine's manifest in its runs."""

    def __init__(self, folder, content):
        self.folder, self.content = folder, content

    def artifact_uri(self, run_id, path):
        return f"{run_id}/{path}"

    def fetch(self, uri, target):
        assert uri == "run 7/snapshot/manifest.json"
        target.mkdir(parents=True)
        (target / "manifest.json").write_text(json.dumps(self.content))
        return target / "manifest.json"


def known(home, tmp_path, content=None):
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    tracking, registry = Elsewhere(tmp_path, content), SimpleNamespace(champion=lambda _: None)
    return known_labels(PipelineContext(PIPELINE, home, tracking, registry, ledger))


def decide(tmp_path, snapshot):
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    new = NewDecision("tiny", f"decision on {snapshot}", "t", None, "HOLD", "run 7", {"snapshot": snapshot})
    record_decision(ledger, new)


def test_before_the_first_snapshot_nothing_is_known(home, tmp_path):
    assert known(home, tmp_path).all == frozenset() and latest_snapshot(PIPELINE, home) is None


def test_labels_of_an_old_manifest_are_spelled_as_today(home, tmp_path):
    seal(home, "a", manifest(**{"1.0": 5, "1": 2, "True": 9}))
    found = known(home, tmp_path)
    assert found.earlier == {"1": 9, "true": 10} and found.snapshot == "a"


def test_another_machines_newer_snapshot_is_what_the_next_is_compared_with(home, tmp_path):
    seal(home, "mine", manifest(billing=9))
    decide(tmp_path, "theirs")
    assert known(home, tmp_path, manifest(Billing=19)).earlier == {"Billing": 20}
    note_latest(PIPELINE, home, "mine")  # this machine's again
    assert known(home, tmp_path, manifest(Billing=19)).earlier == {"billing": 10}


def test_a_machine_without_snapshots_reads_the_manifest_of_the_newest_decisions_run(home, tmp_path):
    decide(tmp_path, "theirs")
    assert known(home, tmp_path, manifest(billing=19)).earlier == {"billing": 20}
