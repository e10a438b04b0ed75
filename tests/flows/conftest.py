"""Small kept models to run flows on, in this process or in one of their own."""

import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forks
import pandas as pd
import pytest
import tiny
from flow_child import HereReload, InProcessHelper, child

from flows.__main__ import main
from tasks import release
from tasks.common import processes
from tasks.common.home import Home
from tasks.context import open_ledger
from tasks.tracking.client import Tracking

SETTINGS = {
    "problem": "text-classification",
    "adapter": {"kind": "full"},
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3, "precision": "fp32"},
    "evaluation": {"bootstrap": 100},
    "gate": {"looks_per_year": 1, "min_rows": 30},
}
DATA = {"id": "ticket", "slices": ["half"], "split": {"by": "hash", "validation": 0.1, "test": 0.4}, "redact": {"enabled": False}}


@dataclass
class Keeping:
    """A pipeline's folder: config, rows, home; `Reload` is the real one, `said` what the last command wrote to standard error."""

    folder: Path
    capture: Any
    Reload: Any
    said: str = ""

    @property
    def home(self) -> Home:
        return Home(self.folder / "home")

    @property
    def config(self) -> Path:
        return self.folder / "keep.yaml"

    @property
    def tracking(self) -> Tracking:
        return Tracking(self.home)

    @property
    def ledger(self) -> Any:
        return open_ledger(self.home)

    def write(self, rows, name="rows.csv"):
        pd.DataFrame(rows).to_csv(self.folder / name, index=False)

    def command(self, *words: str) -> tuple[int, str]:
        """Run a command line in this process: its exit code, and what it printed."""
        self.capture.readouterr()
        with pytest.raises(SystemExit) as left:
            main(words)
        printed, self.said = self.capture.readouterr()
        return int(left.value.code or 0), printed

    def retrain(self, *overrides: str) -> dict[str, Any]:
        code, printed = self.command("retrain", str(self.config), *overrides, "--json")
        assert code == 0, self.said
        found: dict[str, Any] = json.loads(printed)
        return found

    def refused(self, *overrides: str, code: int = 2) -> str:
        """What is said to a retrain that cannot be: one error, no traceback, nothing on standard output, nothing stored."""
        found, printed = self.command("retrain", str(self.config), *overrides, "--json")
        assert found == code, self.said
        assert printed == "" and "Traceback" not in self.said
        assert self.said.count("error: ") == 1
        return self.said[self.said.index("error: ") :]

    def fork(self, *overrides: str, kill: Any = None) -> Any:
        """Begin a retrain in a process of its own; `ended` waits for it."""
        said = self.folder / f"said-{len(list(self.folder.glob('said-*')))}"
        Path(f"{said}.json").touch()
        words = ["retrain", str(self.config), *overrides, "--json"]
        process = forks.start(child, dict(os.environ), words, str(said), kill)
        process.said = said
        return process

    def artifacts(self):
        """What Prefect shows, the newest of each key."""
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.sorting import ArtifactSort

        with get_client(sync_client=True) as client:
            newest_first = client.read_artifacts(sort=ArtifactSort.CREATED_DESC, limit=200)
        return {found.key: found.data for found in reversed(newest_first) if found.key}

    def links(self, wanted: set[tuple[str, str | None]], seconds: float = 20.0) -> bool:
        """Whether Prefect is told in time of these assets: (made, from what), without the scheme."""
        deadline = time.monotonic() + seconds
        while not wanted <= (seen := set(_links())) and time.monotonic() < deadline:
            time.sleep(0.2)
        return wanted <= seen

    def runs(self):
        """The pipeline's MLflow runs, newest first."""
        client = self.tracking.client
        found = client.get_experiment_by_name("tiny")
        return [] if found is None else list(client.search_runs([found.experiment_id]))

    def versions(self):
        return {str(found.version) for found in self.tracking.client.search_model_versions("name = 'tiny'")}

    def champion(self):
        from tasks.tracking.registry import Registry

        return Registry(self.tracking, "champion").champion("tiny")


def _links() -> Iterator[tuple[str, str | None]]:
    from prefect.client.orchestration import get_client

    asked = {"filter": {"event": {"name": ["prefect.asset.materialization.succeeded"]}}, "limit": 50}
    with get_client(sync_client=True) as client:
        found = client._client.post("/events/filter", json=asked).json()["events"]
    scheme, role, key = "tunekeeper://", "prefect.resource.role", "prefect.resource.id"
    for event in found:
        for origin in [each[key].removeprefix(scheme) for each in event["related"] if each.get(role) == "asset"] or [None]:
            yield event["resource"][key].removeprefix(scheme), origin


@pytest.fixture
def bare_keep(tmp_path, monkeypatch, capsys, server):
    """A folder for a kept model, whose home is `home` in it and whose commands run in this process alone."""
    keeping = Keeping(tmp_path, capsys, release.Reload)
    monkeypatch.setenv("TUNEKEEPER_HOME", str(keeping.home.path))
    monkeypatch.setattr(release, "Reload", HereReload)
    monkeypatch.setattr(processes, "HelperProcess", InProcessHelper)
    for name in ("MLFLOW_TRACKING_URI", "TUNEKEEPER_LEDGER_URL"):
        monkeypatch.delenv(name, raising=False)
    return keeping


@pytest.fixture
def keep(tmp_path, bare_keep, empty_database, bert_folder):
    """A kept model of 300 rows that no one has trained yet."""
    keeping = bare_keep
    keeping.home.path.mkdir()
    shutil.copy(empty_database, keeping.home.path / "mlflow.db")
    data = {**DATA, "source": str(tmp_path / "rows.csv")}
    settings = {"name": "tiny", **SETTINGS, "data": data, "model": {"base": str(bert_folder), "max_length": 16}}
    keeping.config.write_text(json.dumps(settings))
    keeping.write(tiny.rows(300))
    return keeping


@pytest.fixture(params=sorted((Path(__file__).parents[1] / "homes").glob("*.tar.xz")), ids=lambda file: file.name.partition(".")[0])
def earlier(request, bare_keep, monkeypatch):
    """A model that an earlier version kept in another folder: champion 1, and a second version that was not promoted."""
    with tarfile.open(request.param) as archive:
        archive.extractall(bare_keep.folder, filter="data")
    monkeypatch.chdir(bare_keep.folder)  # the paths of its config lead from there
    return bare_keep
