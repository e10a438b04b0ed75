"""What the flow costs beside a bare script that trains and evaluates the same model with the same code on the same rows.

Run: python -m benchmarks.overhead [pairs] [epochs ...]

Fresh processes in turn, with a Prefect server up. Both train, score and fit the baselines; the flow does besides all it does for new
rows: load, validate, prepare, seal, MLflow, reload in a fresh process, register, report. Its home has been used before, so MLflow's database and the base are there.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import small
from benchmarks.skip import CONFIG, timed
from configs.load import load_pipeline

PAIRS, EPOCHS = 9, (1, 4)
FIXED, RATIO = 4.0, 1.10  # seconds more, of any job; times as long, of one that takes about a minute
LONG = 45.0  # seconds of the bare script from which on a job takes about a minute: four epochs do on two cores
FIT = "(fit alone)"  # the one call that trains, the same in both


def source(folder: Path, number: int) -> Path:
    """The pipeline's rows, one of them changed: a new snapshot, of the same size."""
    with Path(str(load_pipeline(CONFIG).data.source)).open(newline="") as file:
        head, *rows = csv.reader(file)
    place = head.index("text")
    rows[number][place] = f"{rows[number][place]} {number}"
    path = folder / f"rows-{number}.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def flow(home: Path, number: int, epochs: int) -> tuple[float, dict[str, Any]]:
    """Seconds of one run of a pipeline that is new by name, seed and a row, and its outcome."""
    new = (f"name=new-{number}", f"data.source={source(home, number)}", f"training.seed={number}", f"training.epochs={epochs}")
    seconds, said, _ = timed([sys.executable, "-m", "flows", "retrain", str(CONFIG), *new, "--json"], home)
    outcome: dict[str, Any] = json.loads(said)
    return seconds, outcome


def bare(home: Path, snapshot: str, number: int, epochs: int) -> tuple[float, dict[str, Any]]:
    """The same for the bare script, on the rows of a snapshot that is there."""
    place = [str(home / "snapshots" / snapshot), str(home / f"bare-{number}")]
    settings = [f"training.seed={number}", f"training.epochs={epochs}"]
    seconds, said, _ = timed([sys.executable, "-m", "benchmarks.bare", str(CONFIG), *place, *settings], home)
    shutil.rmtree(home / f"bare-{number}")
    return seconds, json.loads(said)


def pairs(home: Path, snapshot: str, count: int, epochs: int) -> dict[str, Any]:
    """Medians of both, and of the flow's stages."""
    flows, bares, stages, parts = [], [], [], []
    for turn in range(count):
        number = 10 * epochs + turn + 1
        order = (True, False) if turn % 2 == 0 else (False, True)
        for first in order:
            if first:
                seconds, outcome = flow(home, number, epochs)
                report = json.loads(Path(outcome["report"]).with_suffix(".json").read_text())
                named = {stage["name"]: stage["seconds"] for stage in report["cost"]["stages"]}
                flows.append(seconds)
                stages.append({**named, "the rest": seconds - sum(named.values()), FIT: outcome["training_seconds"]})
            else:
                seconds, outcome = bare(home, snapshot, number, epochs)
                bares.append(seconds)
                parts.append({**outcome["seconds"], FIT: outcome["fit"]})
        print(
            f"  {epochs} epochs: flow {flows[-1]:.1f} s {stages[-1]}, bare {bares[-1]:.1f} s {parts[-1]}",
            file=sys.stderr,
            flush=True,
        )
    apart = [_apart(*both) for both in zip(flows, stages, bares, parts, strict=True)]
    return {"flow": flows, "bare": bares, "stages": _medians(stages), "parts": _medians(parts), "apart": apart}


def _apart(ours: float, stages: dict[str, float], theirs: float, parts: dict[str, float]) -> float:
    """Seconds that a flow takes more than its script, each without the training itself."""
    return (ours - stages[FIT]) - (theirs - parts[FIT])


def _holds(good: bool) -> str:
    return "holds" if good else "DOES NOT HOLD"


def _medians(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(row.get(name, 0.0) for row in rows) for name in rows[0]}


def section(count: int = PAIRS, epochs: tuple[int, ...] = EPOCHS) -> str:
    """The measurement as Markdown; about half an hour on two cores that nobody else uses."""
    home = Path(tempfile.mkdtemp(prefix="overhead-"))
    (home / "tmp").mkdir()
    with small.server(home):
        _, warm = flow(home, 0, 1)
        load_before = os.getloadavg()[0]
        found = {each: pairs(home, warm["snapshot"], count, each) for each in epochs}
    shutil.rmtree(home)
    lines = [
        f"## Overhead\n\n`tunekeeper retrain {CONFIG}` on new rows, beside a script that trains and evaluates with the same code on the "
        f"same rows; {count} times each, fresh processes in turn, a Prefect server up. Load after the first run: {load_before:.1f}. The script "
        "that both claims are held against is `benchmarks/bare.py` whole: it trains, scores the test rows, fits and scores the baselines.\n",
        f"| job | bare script | flow | more | at most {FIXED:.0f} s | times as long | at most {RATIO:.2f}, from {LONG:.0f} s on |\n|---|--:|--:|--:|---|--:|---|",
    ]
    for each, seen in found.items():
        ours, theirs = statistics.median(seen["flow"]), statistics.median(seen["bare"])
        share = _holds(ours / theirs <= RATIO) if theirs >= LONG else "too short for it"
        lines.append(
            f"| {each} epochs | {theirs:.1f} s | {ours:.1f} s | {ours - theirs:.1f} s | {_holds(ours - theirs <= FIXED)} "
            f"| {ours / theirs:.2f} | {share} |"
        )
    if all(statistics.median(seen["bare"]) < LONG for seen in found.values()):
        lines.append(f"\nNot measured: {RATIO:.2f} times as long, for no bare script took {LONG:.0f} s: give more epochs.")
    for each, seen in found.items():
        ours, alone = statistics.median(seen["flow"]), statistics.median(seen["bare"]) - seen["parts"]["baselines"]
        lines.append(
            f"\n{each} epochs, beside a script that leaves out the baselines ({alone:.1f} s): {ours - alone:.1f} s more, "
            f"{ours / alone:.2f} times as long."
        )
    for each, seen in found.items():
        apart = seen["apart"]
        lines.append(
            f"\n{each} epochs, each without the call that trains (the same in both; {seen['stages'][FIT]:.1f} s in the flow, "
            f"{seen['parts'][FIT]:.1f} s in the script): {statistics.median(apart):.1f} s more, {min(apart):.1f} to {max(apart):.1f} s in the {count} pairs."
        )
    lines += ["\nWhere it goes, medians in seconds:\n"]
    for each, seen in found.items():
        for who, named in (("flow", seen["stages"]), ("bare script", seen["parts"])):
            lines.append(f"- {each} epochs, {who}: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in named.items()))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the section."""
    words = [int(word) for word in sys.argv[1:]]
    print(section(*words[:1], *([tuple(words[1:])] if words[1:] else [])))


if __name__ == "__main__":
    main()
