"""A decoder that learns which answers are preferred: `python -m benchmarks.preference`, or `... pairs FILE` for the pairs alone.

configs/gsm8k_preference.yaml on school sums: a worked answer by a person is preferred to what the base itself writes, as where
people correct a model. It is measured on held-out pairs, and on what is written for their questions. Weights and data lie beside the
checkout, or the proof says that it was not run.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks import small
from benchmarks.accuracy import DATA, kept
from configs.schema import Full
from tasks.common.bases import find_base
from tasks.learning.network import build_network, spec_of
from tasks.problems import problem_of
from tasks.problems.metrics.generation import rouge_l
from tasks.stats.paired import mcnemar_exact

BASE, SUMS = DATA / "stories260K", DATA / "gsm8k" / "train.jsonl"
ROWS, ALPHA, LENGTH, NEW_TOKENS = 1_500, 0.01, 384, 64
CONFIG = Path("configs") / "gsm8k_preference.yaml"


def main() -> None:
    """Print the section, or write the pairs."""
    if sys.argv[1:2] == ["pairs"]:
        write_pairs(Path(sys.argv[2]))
    else:
        print(section())


def section() -> str:
    """The measurement as Markdown; minutes on two cores."""
    title = "## Preference on real pairs"
    if not BASE.is_dir() or not SUMS.is_file():
        return f"{title}\n\nNot run: weights and data are not beside this checkout."
    home = Path(tempfile.mkdtemp(prefix="preference-"))
    (home / "tmp").mkdir()
    write_pairs(home / "pairs.jsonl")
    with small.server(home):
        settings = (f"data.source={home / 'pairs.jsonl'}", f"model.base={BASE}", f"evaluation.decode_rows={ROWS}")
        found = kept(home, CONFIG, *settings)
    (file,) = home.glob("snapshots/*/test.parquet")
    rows = pd.read_parquet(file)
    tuned = next(frame for file in home.glob("scores/*/scores.parquet") if len(frame := pd.read_parquet(file)) == len(rows))
    (baselines,) = home.glob("scores/*/scores.npz")
    with np.load(baselines, allow_pickle=False) as held:
        base = held["arr_0"]
    lines = told(title, found, rows, base, tuned)
    shutil.rmtree(home)
    return "\n".join(lines)


def write_pairs(file: Path) -> None:
    """The first ROWS sums: question, a person's answer, and as rejected one what the base writes."""
    sums = [json.loads(line) for line in SUMS.read_text().splitlines()[:ROWS]]
    rejected = written_by_base([each["question"] for each in sums])
    pd.DataFrame(sums).assign(rejected=rejected).to_json(file, orient="records", lines=True)


def written_by_base(texts: list[str]) -> list[str]:
    """What the base, before any training, writes: the likeliest token each time."""
    base = find_base(str(BASE))
    network = build_network(spec_of("text-generation", Full(), (), LENGTH, 0, base), base.path)
    answers = problem_of("text-generation").answer_texts(network, texts, NEW_TOKENS, 64, nullcontext)
    return [answer.prediction for answer in answers]


def told(title: str, found: dict[str, Any], rows: pd.DataFrame, base: np.ndarray, tuned: pd.DataFrame) -> list[str]:
    """A line a system, then the paired tests of tuned against base."""
    right, wanted = tuned["preferred"].to_numpy(), rows["target"].tolist()
    near = {"base": rouge_l(rows["rejected"].tolist(), wanted), "tuned": rouge_l(tuned["prediction"].tolist(), wanted)}
    lines = [
        f"{title}\n",
        f"`tunekeeper retrain {CONFIG}` on {ROWS:,} pairs, base stories260K (260,032 parameters), {found['training_seconds']:.0f} s of "
        f"training; verdict {found['verdict']}. {len(rows):,} held-out pairs: how often the preferred answer is likelier, token for "
        "token, than what the base wrote; and how near to it what is written is.\n",
        "| system | preference accuracy | ROUGE-L, mean of answers |",
        "|---|--:|--:|",
        f"| base | {base.mean():.1%} | {near['base'].mean():.3f} |",
        f"| tuned | {right.mean():.1%} | {near['tuned'].mean():.3f} |",
    ]
    wins, losses = int((right > base).sum()), int((right < base).sum())
    p_right = float(mcnemar_exact(wins, losses))
    p_near = float(stats.wilcoxon(near["tuned"], near["base"], alternative="greater").pvalue)
    for name, p, rise in (
        (f"Preference accuracy rises ({wins} pairs won, {losses} lost; McNemar, exact)", p_right, wins > losses),
        ("ROUGE-L rises (Wilcoxon's signed ranks)", p_near, near["tuned"].mean() > near["base"].mean()),
    ):
        lines.append(f"\n{name}: p = {p:.1e}, at most {ALPHA}: {'holds' if rise and p < ALPHA else 'DOES NOT HOLD'}.")
    return lines


if __name__ == "__main__":
    main()
