"""Run the long proofs and write benchmarks/RESULTS.md: `python -m benchmarks.prove [name ...]`, or `make prove` for all.

A proof is a module here that prints a Markdown section. It has failed if it says so (FAILED) or does not end with 0.
A run of some replaces their sections alone. Each is a process of its own: none sees what another imported or left in memory.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PROOFS = (
    "fresh",
    "gate",
    "ledger",
    "redaction",
    "recipes",
    "adapters",
    "few_shot",
    "house",
    "slow_tests",
    "training",
    "accuracy",
    "generation",
    "seq2seq",
    "summaries",
    "preference",
    "problems",
    "pair_truths",
    "prepare",
    "kills",
    "disks",
    "triggers",
    "skip",
    "overhead",
    "serving",
    "writing",
    "beside",
    "watch",
    "drift",
    "storm",
    "approval",
    "elsewhere",
    "up",
    "faults",
    "servers",
    "servers_demo",
    "replay",
)
FAILED = re.compile(r"DOES NOT HOLD|\*\*no\*\*|\| NO \||Not (run|measured):")
RESULTS = Path(__file__).parent / "RESULTS.md"
ROOT = Path(__file__).parent.parent
LIBRARIES = ("torch", "transformers", "peft", "datasets", "prefect", "mlflow", "great_expectations", "scikit-learn", "sqlalchemy")
SECTION = re.compile(r"<!-- proof: (\w+) -->\n(.*?)<!-- end: \1 -->\n", re.DOTALL)


def main() -> None:
    """Prove what is named, or all; exit 1 if a claim does not hold."""
    names = tuple(sys.argv[1:]) or PROOFS
    if unknown := sorted(set(names) - set(PROOFS)):
        sys.exit(f"error: no proof is called {', '.join(unknown)}: there are {', '.join(PROOFS)}")
    fallen = []
    for name in names:
        text, holds = prove(name)
        RESULTS.write_text(page({**sections(RESULTS.read_text() if RESULTS.exists() else ""), name: text}))
        fallen += [] if holds else [name]
    if fallen:
        sys.exit(f"error: {', '.join(fallen)}: a claim does not hold, see {RESULTS.relative_to(ROOT)}")


def prove(name: str) -> tuple[str, bool]:
    """One proof's section with when and how long below it, and whether all it claims holds."""
    print(f"proving: {name}", file=sys.stderr, flush=True)
    began, load = time.monotonic(), os.getloadavg()[0]
    run = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    text = run.stdout.strip() or f"## {name.capitalize()}"
    if run.returncode != 0:
        text += f"\n\nDOES NOT HOLD: the proof ended with code {run.returncode}."
    holds = FAILED.search(text) is None
    seconds, when = time.monotonic() - began, datetime.now(UTC).date().isoformat()
    print(f"{name}: {'holds' if holds else 'DOES NOT HOLD'}, {seconds:.0f} s", file=sys.stderr, flush=True)
    where = f"{when}, at {_commit()}, {_processor()}, {seconds:.0f} s, load {load:.1f} at the start"
    return f"{text}\n\n*{where}: `python -m benchmarks.prove {name}`*\n", holds


def _commit() -> str:
    """The commit of the code that was measured, with a + where files differ from it."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def sections(text: str) -> dict[str, str]:
    """The sections of an earlier page, by proof."""
    return dict(SECTION.findall(text))


def page(found: Mapping[str, str]) -> str:
    """The whole page; sections stand in the order of PROOFS whatever order they were proved in."""
    body = [f"<!-- proof: {name} -->\n{found[name]}<!-- end: {name} -->\n" for name in PROOFS if name in found]
    return "\n".join([header(), *body])


def header() -> str:
    """Where it was measured, with what, and how to do it again."""
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        "# Results\n\n"
        "What Tunekeeper claims, measured. `make prove` measures all of it again (hours on a small machine), "
        "`python -m benchmarks.prove NAME ...` some of it; seeds are fixed.\n\n"
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB, of the processor that each section names; "
        f"Python {platform.python_version()}, {versions}.\n"
    )


def _processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
