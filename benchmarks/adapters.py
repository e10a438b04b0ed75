"""Which learning rate each adapter should have by default: several rates on several sets, beside `full` and `lora`.

`python -m benchmarks.adapters` prints the section, running what is not in adapters.jsonl yet (an hour on two cores); `... table` prints
it of what is there; `... fit JOB` is one fit.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import recipes
from benchmarks.recipes import SHARED, Job, at_once, run_apart

TOLERANCE = 0.02  # nats of log loss between rates that are as good
FITS = Path(__file__).with_suffix(".jsonl")  # a line a fit
SETS = {  # rows of each set, and epochs, so that no folds are made: as many as make about 250 steps, 12 at the most
    ("numpy_commits, 16 classes", 1000): 6,
    ("banking77, 10 classes", 300): 12,
    ("numpy_commits, DOC or MAINT", 300): 12,
}
RATES: dict[str, tuple[float, ...]] = {
    "full": (1e-4,),
    "lora": (5e-4,),
    "frozen": (3e-4, 1e-3, 3e-3),
    "last_layers": (5e-5, 1e-4, 3e-4),
    "bitfit": (3e-4, 1e-3, 3e-3),
    "rslora": (2e-4, 5e-4, 1e-3),
    "dora": (2e-4, 5e-4, 1e-3),
    "pissa": (1e-4, 2e-4, 5e-4),
    "adalora": (5e-4, 1e-3, 2e-3),
    "ia3": (1e-3, 3e-3, 1e-2),
    "vera": (1e-3, 3e-3, 1e-2),
    "oft": (2e-4, 5e-4, 1e-3),
    "prompt": (3e-3, 1e-2, 3e-2),
    "p_tuning": (3e-4, 1e-3, 3e-3),
    "prefix": (3e-3, 1e-2, 3e-2),
}


def jobs() -> list[Job]:
    """Every set under every adapter and rate; the rate stands where recipes have their name."""
    return [Job(name, rows, adapter, f"{rate:g}", 0) for (name, rows) in SETS for adapter, rates in RATES.items() for rate in rates]


def fit(job: Job) -> dict[str, Any]:
    """One fit at the rate of the job."""
    return recipes.fit(job, {"learning_rate": float(job.recipe), "epochs": SETS[job.name, job.rows]})


def stored() -> dict[Job, dict[str, Any]]:
    """The results in FITS by job."""
    lines = [json.loads(line) for line in FITS.read_text().splitlines()] if FITS.is_file() else []
    return {Job(**{name: line[name] for name in Job.__dataclass_fields__}): line for line in lines}


def run_missing() -> None:
    """Run the jobs that are not in FITS."""

    def run(job: Job) -> None:
        line = run_apart("benchmarks.adapters", job) or json.dumps({**asdict(job), "failed": True})
        with FITS.open("a") as out:
            out.write(line + "\n")

    at_once(run, [job for job in jobs() if job not in stored()])


def main() -> None:
    """Print the section of what is there."""
    from pydantic import TypeAdapter

    from configs.schema import Adapter
    from tasks.learning.adapters import default_learning_rate

    print("## Adapters: their default learning rates\n")
    if not SHARED.is_dir():
        print("Not measured: no folder of texts beside the checkout.")
        return
    fitted = stored()
    complete = [name for name in SETS if all(job in fitted for job in jobs() if (job.name, job.rows) == name)]
    print(
        f"MiniLM on {len(complete)} of {len(SETS)} sets of 300 and 1,000 rows ({', '.join(name for name, _ in complete)}), as for the default "
        "recipe, one seed. A head learns at ten times the rate, at 0.01 at the most.\n"
    )
    print(
        "| adapter | rate | accuracy, mean | worst against TF-IDF | log loss, mean | seconds, mean | |\n|---|--:|--:|--:|--:|--:|---|"
    )
    by_rate: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for job, result in fitted.items():
        if (job.name, job.rows) in complete:
            by_rate[job.adapter, job.recipe].append(result)
    fallen = []
    for adapter, rates in RATES.items():
        default = default_learning_rate(TypeAdapter[Any](Adapter).validate_python({"kind": adapter}))
        means = {rate: _means(by_rate[adapter, f"{rate:g}"]) for rate in rates}
        losses = {rate: mean["log_loss"] for rate, mean in means.items() if mean is not None}
        lowest = min(losses.values(), default=0.0)
        fallen += [adapter] if losses and losses[default] > lowest + TOLERANCE else []
        for rate, mean in means.items():
            cells = "failed | | |" if mean is None else " | ".join(f"{value:.3f}" for value in mean.values())
            print(f"| {adapter} | {rate:g} | {cells} | {'default' if rate == default else ''} |")
    verdict = f"DOES NOT HOLD for {', '.join(fallen)}" if fallen else "holds"
    if len(complete) < len(SETS):
        verdict += f", on {len(complete)} of the sets: not judged yet"
    print(f"\nThe log loss of each default is within {TOLERANCE} nats of the lowest: {verdict}.")


def _means(results: list[dict[str, Any]]) -> dict[str, float] | None:
    """Over the sets; None where a fit failed."""
    if not results or any("failed" in result for result in results):
        return None
    return {
        "accuracy": statistics.mean(result["accuracy"] for result in results),
        "worst": min(result["accuracy"] - result["peer_accuracy"] for result in results),
        "log_loss": statistics.mean(result["log_loss"] for result in results),
        "seconds": statistics.mean(result["seconds"] for result in results),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["fit"]:
        print(json.dumps(fit(Job(**json.loads(sys.argv[2])))))
    else:
        if sys.argv[1:2] != ["table"]:
            run_missing()
        main()
