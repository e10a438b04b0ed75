"""The main job: banking77 as it is published, `tunekeeper retrain` as a user runs it, three seeds. `python -m benchmarks.accuracy`

Test accuracy and seconds of training of configs/banking77.yaml, beside the published numbers. The data set lies beside the checkout,
or the proof says that it was not run.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import small

DATA = small.ROOT.parent / "shared" / "data"
SEEDS, LEAST, MOST_SECONDS = (0, 1, 2), 0.932, 360.0
ADAPTERS = {"lora": ("adapter.kind=lora",), "full": ("adapter.kind=full", "training.learning_rate=1e-4")}


def main() -> None:
    """Print the section."""
    print(section())


def section() -> str:
    """The measurement as Markdown; half an hour on two cores that nobody else uses."""
    if not DATA.is_dir():
        return "## Accuracy on real texts\n\nNot run: the data sets are not beside this checkout."
    home = Path(tempfile.mkdtemp(prefix="accuracy-"))
    (home / "tmp").mkdir()
    with small.server(home):
        lines = banking(home)
    shutil.rmtree(home)
    return "\n".join(lines)


def banking(home: Path) -> list[str]:
    """One line a run, then the median of the seeds."""
    source = [f"data.{name}={DATA / 'banking77' / file}" for name, file in (("source", "train.csv"), ("test", "test.csv"))]
    lines = [
        "## Accuracy on real texts\n",
        "`tunekeeper retrain configs/banking77.yaml data.source=.../train.csv data.test=.../test.csv`: 77 intents, the published split. "
        "Published: BERT-large 0.9366, USE+ConveRT 0.9336 (Casanueva et al. 2020). The standard error of one accuracy is 0.0044.\n",
        "| adapter | seed | accuracy | F1 macro | training, s | peak memory | precision |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    seen: dict[str, list[dict[str, Any]]] = {}
    for adapter, more in ADAPTERS.items():
        for seed in SEEDS if adapter == "lora" else SEEDS[:1]:
            found = kept(
                home,
                Path("configs") / "banking77.yaml",
                *source,
                f"name=banking-{adapter}-{seed}",
                f"training.seed={seed}",
                *more,
            )
            seen.setdefault(adapter, []).append(found)
            lines.append(
                f"| {adapter} | {seed} | {found['metrics']['accuracy']:.4f} | {found['metrics']['f1_macro']:.4f} "
                f"| {found['training_seconds']:.0f} | {found['peak_memory_bytes'] / 1e9:.1f} GB | {precision()} |"
            )
    accuracy = statistics.median(found["metrics"]["accuracy"] for found in seen["lora"])
    seconds = statistics.median(found["training_seconds"] for found in seen["lora"])
    lines.append(
        f"\nLoRA, median of {len(seen['lora'])} seeds: {accuracy:.4f}, at least {LEAST}: {'holds' if accuracy >= LEAST else 'DOES NOT HOLD'}; "
        f"{seconds:.0f} s of training, at most {MOST_SECONDS:.0f}: {'holds' if seconds <= MOST_SECONDS else 'DOES NOT HOLD'}."
    )
    return lines


def precision() -> str:
    """What `training.precision: auto` is on this machine."""
    from tasks.learning.device import numerics

    how = numerics("auto")
    return f"{how.dtype} on {how.hardware}"


def kept(home: Path, config: Path, *overrides: str) -> dict[str, Any]:
    """The outcome of one run, in a process of its own; with the threads that a user has."""
    process = small.retrain(config, home, *overrides, OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", ""))
    said, told = process.communicate()
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, str(config), said, told[-2000:])
    found: dict[str, Any] = json.loads(said)
    sys.stderr.write(f"  {' '.join(overrides)}: {found['metrics']}\n")
    return found


if __name__ == "__main__":
    main()
