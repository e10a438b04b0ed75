"""The tests that `make test` leaves out: further combinations of what quicker ones show. `python -m benchmarks.slow_tests`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    command = [sys.executable, "-m", "pytest", "-m", "slow", "-p", "no:xdist", "-p", "no:cacheprovider", "-r", "N", "--no-header"]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    summary = run.stdout.strip().splitlines()[-1] if run.stdout.strip() else "no output"
    verdict = "holds" if run.returncode == 0 else "DOES NOT HOLD"
    print(
        f"## Slow tests\n\nThe tests marked `slow`, further combinations of what `make test` shows: {summary.strip('= ')}: {verdict}."
    )


if __name__ == "__main__":
    main()
