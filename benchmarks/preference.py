"""A decoder that learns which answers are preferred: `python -m benchmarks.preference`, or `... pairs FILE` for the pairs alone.

configs/gsm8k_preference.yaml on school sums: the worked answer to a question is preferred to one of the same length to another
question. It is measured on held-out pairs, whose rejected answers training has not seen. Weights and data lie beside the checkout,
or the proof says that it was not run.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from benchmarks import small
from benchmarks.accuracy import DATA, kept
from tasks.stats.sign_flip import mcnemar_exact

BASE, SUMS = DATA / "stories260K", DATA / "gsm8k" / "train.jsonl"
ROWS, ALPHA = 3_000, 0.01
CONFIG = Path("configs") / "gsm8k_preference.yaml"


def main() -> None:
    """Print the section, or write the pairs."""
    if sys.argv[1:2] == ["pairs"]:
        pairs().to_json(sys.argv[2], orient="records", lines=True)
    else:
        print(section())


def section() -> str:
    """The measurement as Markdown; minutes on two cores."""
    title = "## Preference on real pairs"
    if not BASE.is_dir() or not SUMS.is_file():
        return f"{title}\n\nNot run: weights and data are not beside this checkout."
    home = Path(tempfile.mkdtemp(prefix="preference-"))
    (home / "tmp").mkdir()
    pairs().to_json(home / "pairs.jsonl", orient="records", lines=True)
    with small.server(home):
        found = kept(home, CONFIG, f"data.source={home / 'pairs.jsonl'}", f"model.base={BASE}", "evaluation.decode_rows=0")
    (file,) = home.glob("snapshots/*/test.parquet")
    rows = len(pd.read_parquet(file))
    frames = [pd.read_parquet(file) for file in home.glob("scores/*/scores.parquet")]
    tuned = next(frame["margin"].to_numpy() for frame in frames if len(frame) == rows)
    (baselines,) = home.glob("scores/*/scores.npz")
    with np.load(baselines, allow_pickle=False) as held:
        base = held["arr_0"]
    shutil.rmtree(home)
    return "\n".join(told(title, found, base, tuned))


def pairs() -> pd.DataFrame:
    """The first ROWS sums with their answers; as rejected answers of other sums, each once, those of like length together."""
    sums = pd.DataFrame([json.loads(line) for line in SUMS.read_text().splitlines()])
    asked = sums[:ROWS].sort_values("answer", key=lambda texts: texts.str.len(), kind="stable")
    others = sums["answer"][ROWS:].sample(ROWS, random_state=0).sort_values(key=lambda texts: texts.str.len(), kind="stable")
    return asked.assign(rejected=others.to_numpy()).sort_index()


def told(title: str, found: dict[str, Any], base: npt.NDArray[np.float64], tuned: npt.NDArray[np.float64]) -> list[str]:
    """A line a system, then the paired tests of tuned against base."""
    lines = [
        f"{title}\n",
        f"`tunekeeper retrain {CONFIG}` on {ROWS:,} pairs, base stories260K (260,032 parameters), {found['training_seconds']:.0f} s of "
        f"training; verdict {found['verdict']}. {len(base):,} held-out pairs: how much likelier the preferred answer is than the "
        "rejected one, and how often.\n",
        "| system | margin, nats a token | preference accuracy |",
        "|---|--:|--:|",
        f"| base | {base.mean():.3f} | {(base > 0).mean():.1%} |",
        f"| tuned | {tuned.mean():.3f} | {(tuned > 0).mean():.1%} |",
    ]
    wins, losses = int(((tuned > 0) & (base <= 0)).sum()), int(((tuned <= 0) & (base > 0)).sum())
    for name, p, rise in (
        ("The margin rises (Wilcoxon's signed ranks)", stats.wilcoxon(tuned, base, alternative="greater").pvalue, True),
        (
            f"Preference accuracy rises ({wins} pairs won, {losses} lost; McNemar, exact)",
            mcnemar_exact(wins, losses),
            wins > losses,
        ),
    ):
        lines.append(f"\n{name}: p = {float(p):.1e}, at most {ALPHA}: {'holds' if rise and p < ALPHA else 'DOES NOT HOLD'}.")
    return lines


if __name__ == "__main__":
    main()
