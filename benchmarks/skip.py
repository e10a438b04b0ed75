"""A run in which nothing changed, beside a ten-line Prefect flow that makes one MLflow query. `python -m benchmarks.skip [pairs]`

Fresh processes in turn, on the same Prefect server and the same MLflow database. The run in which nothing changed hashes its
sources and its base, heals ledger and alias, and finds the earlier verdict.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import small

PAIRS, LIMIT = 11, 1.3
CONFIG = Path("configs") / "helpdesk.yaml"
OVERRIDES = ("training.epochs=1",)
NEVER = ("torch", "transformers", "great_expectations", "datasets", "peft", "sklearn")  # pandas comes with MLflow's client
TEN_LINES = """\
import os
import sys

from mlflow import MlflowClient
from prefect import flow

@flow
def ask() -> str:
    return MlflowClient(os.environ["MLFLOW_TRACKING_URI"]).get_experiment_by_name("helpdesk").name

sys.stdout.write(ask())
"""
IMPORTED = """\
import sys
from flows.__main__ import main
try:
    main(sys.argv[1:])
finally:
    sys.stderr.write("IMPORTED " + " ".join(name for name in {never!r} if name in sys.modules) + "\\n")
"""


def timed(command: Sequence[str], home: Path, **more: str) -> tuple[float, str, str]:
    """Seconds of one fresh process, and what it said; raises where it did not end with 0."""
    began = time.perf_counter()
    process = small.start(command, home, OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", ""), **more)
    said, told = process.communicate()
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command[:4], said, told[-2000:])
    return time.perf_counter() - began, said, told


def section(pairs: int = PAIRS) -> str:
    """The measurement as Markdown; a few minutes, of which one is the training that is then skipped."""
    home = Path(tempfile.mkdtemp(prefix="skip-"))
    (home / "tmp").mkdir()
    retrain = [sys.executable, "-m", "flows", "retrain", str(CONFIG), *OVERRIDES, "--json"]
    script = home / "ten_lines.py"
    script.write_text(TEN_LINES)
    database = {"MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow.db'}"}
    with small.server(home):
        timed(retrain, home)
        ours, theirs, skipped = [], [], 0
        for _ in range(pairs):
            seconds, said, _ = timed(retrain, home)
            ours.append(seconds)
            skipped += json.loads(said)["skipped"]
            theirs.append(timed([sys.executable, str(script)], home, **database)[0])
        _, _, told = timed([sys.executable, "-c", IMPORTED.format(never=NEVER), *retrain[3:]], home)
    shutil.rmtree(home)
    imported = next(line for line in told.splitlines() if line.startswith("IMPORTED")).split()[1:]
    ratio = statistics.median(ours) / statistics.median(theirs)
    good = ratio <= LIMIT and skipped == pairs and not imported
    return (
        f"## Nothing changed\n\n`tunekeeper retrain {CONFIG}` when nothing changed, beside a ten-line Prefect flow that asks "
        f"MLflow for an experiment; {pairs} times each, fresh processes in turn, the same server and database.\n\n"
        "| | median | fastest | slowest |\n|---|--:|--:|--:|\n"
        + "".join(
            f"| {name} | {statistics.median(times):.2f} s | {min(times):.2f} s | {max(times):.2f} s |\n"
            for name, times in (("retrain, skipped", ours), ("ten lines", theirs))
        )
        + f"\nSkipped: {skipped} of {pairs}. Ratio of the medians: {ratio:.2f}, at most {LIMIT}: "
        f"{'holds' if good else 'DOES NOT HOLD'}. Imported of {', '.join(NEVER)}: {', '.join(imported) or 'none'}.\n"
    )


if __name__ == "__main__":
    print(section(*(int(word) for word in sys.argv[1:])))
