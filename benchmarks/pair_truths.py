"""The gate on scores that rows share: false alarms where two models are equally good. `python -m benchmarks.pair_truths`"""

from __future__ import annotations

import sys

from scipy import stats
from simulations.shared_scores import ALPHA, Draw, correlations, false_alarms, partners, queries

from benchmarks import small  # noqa: F401  (finds the simulations)

WORLDS: dict[str, Draw] = {
    "nDCG@10, 400 queries of 2 to 60 documents, random order": queries(0.0),
    "nDCG@10, 400 queries of 2 to 60 documents, good order": queries(3.0),
    "reciprocal rank, 300 anchors with a partner each": partners(300, 300, 0.0),
    "reciprocal rank, 300 anchors with a partner each, candidates that models like": partners(300, 300, 0.7),
    "reciprocal rank, 1,000 anchors of 60 partners": partners(1_000, 60, 0.0),
    "reciprocal rank, 1,000 anchors of 60 partners, candidates that models like": partners(1_000, 60, 0.7),
    "rank correlation 0.3, 200 rows": correlations(200, 0.3),
    "rank correlation 0.8, 200 rows": correlations(200, 0.8),
    "rank correlation 0.95, 1,500 rows": correlations(1_500, 0.95),
    "rank correlation with two scores, 200 rows": correlations(200, 0.8, binary=True),
}


def section(trials: int = 400) -> str:
    """The table as Markdown; ten minutes on a core."""
    most = int(stats.binom.ppf(0.999, trials, ALPHA))
    lines = [
        "## Scores that rows share\n",
        f"False alarms of the gate's test at {ALPHA}, two equally good models, {trials} trials each; at most {most} are explained by it.\n",
        "| rows | false alarms | share | holds |",
        "|---|--:|--:|---|",
    ]
    for name, draw in WORLDS.items():
        found = false_alarms(draw, trials)
        lines.append(f"| {name} | {found} | {found / trials:.3f} | {'yes' if found <= most else 'NO'} |")
        sys.stderr.write(f"{lines[-1]}\n")
    return "\n".join(lines)


if __name__ == "__main__":
    print(section())
