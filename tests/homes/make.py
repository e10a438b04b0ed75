"""Makes a small kept model as a user has one, and packs its folder: the homes that every later version has to open.

`python tests/homes/make.py NAME` in a checkout of the version to be kept writes tests/homes/NAME.tar.xz: the config, the rows, the
base and the home, with champion version 1 and the decision on a second training.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "name": "tiny",
    "problem": "text-classification",
    "data": {
        "source": "rows.csv", "id": "ticket", "slices": ["half"], "split": {"by": "hash", "validation": 0.1, "test": 0.4},
        "redact": {"enabled": False},
    },
    "model": {"base": "base", "max_length": 16},
    "adapter": {"kind": "full"},
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3, "precision": "fp32"},
    "evaluation": {"bootstrap": 100},
    "gate": {"looks_per_year": 1, "min_rows": 30},
}  # fmt: skip
LEFT_OUT = {"locks", "logs", "prefect", "work"}  # what a process leaves of itself, and a database of Prefect's of a megabyte


def main() -> None:
    """Keep a model in a folder that is nobody's, retrain it once more on other rows, pack it."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import tiny

    folder = Path(tempfile.gettempdir()) / "earlier"
    folder.mkdir()
    try:
        tiny.bert(folder / "base")
        (folder / "keep.yaml").write_text(yaml.safe_dump(SETTINGS, sort_keys=False))
        versions = []
        for rows in (tiny.rows(300), tiny.rows(330)):
            pd.DataFrame(rows).to_csv(folder / "rows.csv", index=False)
            versions.append(_retrain(folder)["model"]["version"])
        assert versions[0] == "1", versions
        with tarfile.open(Path(__file__).with_name(f"{sys.argv[1]}.tar.xz"), "w:xz") as archive:
            archive.add(folder, "", filter=_plain)
    finally:
        shutil.rmtree(folder)


def _retrain(folder: Path) -> dict:
    command = [sys.executable, "-m", "flows", "retrain", "keep.yaml", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TUNEKEEPER_HOME": str(folder / "home"), "LOGNAME": "somebody"}
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Of nobody and of no time, without what only its processes needed."""
    parts = Path(member.name).parts
    if parts[:1] == ("home",) and len(parts) > 1 and parts[1] in LEFT_OUT:
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main()
