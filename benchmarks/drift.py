"""Tunekeeper's monitors beside Evidently, alibi-detect, NannyML and Frouros on the same embeddings. `python -m benchmarks.drift`

Each peer runs in an environment of its own, made by pip in the user's cache folder where it is absent, never in this one. It needs a
package index and half an hour.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.banking import CACHE, Banking, absent, banking
from configs.schema import Effects, Monitor
from tasks.drift.monitors import Sample, run_monitors

SEED, ROWS = 20240702, 2000
SECONDS = 240  # of the processor; a peer begins no further window after these
PEERS = {  # what pip is asked for; the bounds are those without which the newest releases did not import
    "evidently": ("evidently", "pandas<3"),
    "alibi-detect": ("alibi-detect", "torch==2.13.0"),
    "nannyml": ("nannyml", "statsmodels<0.15"),
    "frouros": ("frouros",),
}
RULES = {
    "evidently": "data drift preset: half of the columns drift",
    "alibi-detect": "MMD, 100 permutations, p < 0.05",
    "nannyml": "domain classifier: AUROC over 0.65",
    "frouros": "MMD, 100 permutations, p <= 0.05",
}
THREE = "Tunekeeper, three monitors of embeddings and rows, alpha 0.05 a look"
CASES = ("no change", "no change, 400 texts told 5 times", "5 % new intents", "10 % new intents", "20 % new intents")
REPEATS = 12  # windows of each case, in turns, so that one that is slow has done some of each


@dataclass(frozen=True)
class Result:
    """Windows judged and alarmed per case, and cpu seconds per window."""

    judged: tuple[int, ...]
    alarmed: tuple[int, ...]
    seconds: float


def main() -> None:
    print(section())


def section() -> str:
    """The comparison as Markdown."""
    if why := absent():
        return f"## Drift: side by side\n\nNot measured: {why}.\n"
    world = banking()
    reference, windows = draw(world)
    rows = []
    for name, rule, monitor in (
        (THREE, "any difference: nearly no minimum effect", Monitor(looks_per_year=1, effects=Effects(embedding=1e-6))),
        (THREE, "over the minimum effect", Monitor(looks_per_year=1)),
        ("Tunekeeper, the same, alpha 0.05 a *year* of 365 looks", "over the minimum effect", Monitor()),
    ):
        rows.append(line(name, rule, ours(world, reference, windows, monitor, whole=False)))
    rows.append(
        line(
            "Tunekeeper, all twelve monitors, alpha 0.05 a year",
            "over the minimum effect",
            ours(world, reference, windows, Monitor(), True),
        )
    )
    for name, packages in PEERS.items():
        found = peer(name, packages, world, reference, windows)
        rows.append(
            f"| {name} | {RULES[name]} | did not run: {found} |" + " |" * len(CASES)
            if isinstance(found, str)
            else line(f"{name} {version(name)}", RULES[name], found)
        )
    header = f"| | alarm | cpu-s a window | {' | '.join(CASES)} |\n|{'---|' * (3 + len(CASES))}"
    return (
        "## Drift: side by side\n\n"
        f"Windows of {ROWS:,} real questions (banking77) against one reference of {ROWS:,}, as MiniLM's embeddings of 384 dimensions, float32, on one "
        f"core; each with the defaults of its documentation. Windows that alarmed, of those judged (up to {REPEATS} of each kind, as many as {SECONDS} cpu-s "
        "allowed). The first two kinds hold no drift: an alarm there is a false one. Peers judge one look; none of them states "
        "the chance of a false alarm over a year of looks.\n\n"
        f"{header}\n" + "\n".join(rows) + "\n\n"
        f"What is smaller than the minimum (by default a distance of {Monitor().effects.embedding:g} standard deviations) is no drift to Tunekeeper by intent; "
        "the minimum is a line of the YAML (`monitor.effects.embedding`).\n"
    )


def line(name: str, rule: str, result: Result) -> str:
    cells = [f"{alarmed} of {judged}" for alarmed, judged in zip(result.alarmed, result.judged, strict=True)]
    return f"| {name} | {rule} | {result.seconds:.2f} | {' | '.join(cells)} |"


def draw(world: Banking) -> tuple[np.ndarray, list[np.ndarray]]:
    """Rows of the reference, and of the windows: case 0, 1, ... and again."""
    rng = np.random.default_rng(SEED)
    reference = rng.choice(world.reference, ROWS, replace=False)
    windows = []
    for _ in range(REPEATS):
        for case in CASES:
            usual = rng.choice(world.pool, ROWS, replace=False)
            new = round(ROWS * int(case.split()[0]) / 100) if "new" in case else 0
            if "told" in case:
                windows.append(np.repeat(usual[: ROWS // 5], 5))
            else:
                windows.append(np.concatenate([usual[new:], rng.choice(world.drifted["topic"], new, replace=False)]))
    return reference, windows


def ours(world: Banking, reference: np.ndarray, windows: list[np.ndarray], monitor: Monitor, whole: bool) -> Result:
    def sample(rows: np.ndarray) -> Sample:
        full = world.all.sample(rows)
        return full if whole else Sample(texts=full.texts, embeddings=full.embeddings)

    held, verdicts = sample(reference), []
    for number, rows in enumerate(windows):
        window, start = sample(rows), time.process_time()
        findings = run_monitors(held, window, monitor, 1, number)
        seconds = time.process_time() - start
        told = "told" in CASES[number % len(CASES)]
        verdicts.append((any(f.alarm for f in findings if not (told and f.monitor == "inputs.duplicates")), seconds))
    return summed(verdicts)


def peer(name: str, packages: tuple[str, ...], world: Banking, reference: np.ndarray, windows: list[np.ndarray]) -> Result | str:
    """What a peer says in its own environment, or why it does not."""
    python = CACHE / "peers" / name / "bin" / "python"
    print(f"{name} ...", file=sys.stderr, flush=True)
    if not python.exists():
        venv.create(python.parents[1], with_pip=True)
        installed = subprocess.run([python, "-m", "pip", "install", "-q", *packages], capture_output=True, text=True)
        if installed.returncode != 0:
            return last_line(installed.stderr)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.json"
        arrays = {f"window_{number}": world.all.embeddings[rows] for number, rows in enumerate(windows)}
        np.savez(source, reference=world.all.embeddings[reference], **arrays)
        script = Path(__file__).with_name("drift_peers.py")
        one_core = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "DO_NOT_TRACK": "1",
            "NML_DISABLE_USAGE_LOGGING": "1",
        }
        run = subprocess.run([python, script, name, source, target, str(SECONDS)], capture_output=True, text=True, env=one_core)
        if run.returncode != 0 or not target.exists():
            return last_line(run.stderr)
        return summed([(alarm, seconds) for alarm, seconds, _ in json.loads(target.read_text())])


def summed(verdicts: list[tuple[bool, float]]) -> Result:
    by_case = [[alarm for alarm, _ in verdicts[case :: len(CASES)]] for case in range(len(CASES))]
    return Result(
        judged=tuple(len(case) for case in by_case),
        alarmed=tuple(sum(case) for case in by_case),
        seconds=float(np.mean([seconds for _, seconds in verdicts])),
    )


def version(name: str) -> str:
    """The peer's release, as its own environment has it."""
    python = CACHE / "peers" / name / "bin" / "python"
    code = f"from importlib.metadata import version; print(version({name!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1][:120].replace("|", "/")


if __name__ == "__main__":
    main()
