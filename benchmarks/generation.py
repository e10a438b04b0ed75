"""Text generation on real texts: a small decoder adapted by `tunekeeper retrain` to worked answers. `python -m benchmarks.generation`

configs/gsm8k.yaml from the real stories260K: the perplexity of held-out answers under the base as it came and after training, and
whether the difference can be chance. The data sets lie beside the checkout, or the proof says that it was not run.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks import small
from benchmarks.accuracy import DATA, kept
from tasks.stats.intervals import ratio_interval

ALPHA = 0.01


def main() -> None:
    """Print the section."""
    print(section())


def section() -> str:
    """The measurement as Markdown; minutes on two cores."""
    if not DATA.is_dir():
        return "## Text generation on real texts\n\nNot run: the data sets are not beside this checkout."
    home = Path(tempfile.mkdtemp(prefix="generation-"))
    (home / "tmp").mkdir()
    folder = DATA / "gsm8k"
    with small.server(home):
        found = kept(
            home,
            Path("configs") / "gsm8k.yaml",
            f"data.source={folder / 'train.jsonl'}",
            f"data.test={folder / 'test.jsonl'}",
            f"model.base={DATA / 'stories260K'}",
        )
    lines = told(found, *scores(home))
    shutil.rmtree(home)
    return "\n".join(lines)


def scores(home: Path) -> tuple[pd.DataFrame, dict[str, np.ndarray[Any, Any]]]:
    """The tuned model's per-example scores, and the baselines' log-likelihood per token of the same rows."""
    (frame,) = home.glob("scores/*/scores.parquet")
    (folder,) = (file.parent for file in home.glob("scores/*/scores.npz"))
    names = json.loads((folder / "metrics.json").read_text())
    with np.load(folder / "scores.npz", allow_pickle=False) as held:
        return pd.read_parquet(frame), {name: held[f"arr_{place}"] for place, name in enumerate(names)}


def told(found: dict[str, Any], tuned: pd.DataFrame, baselines: dict[str, np.ndarray[Any, Any]]) -> list[str]:
    """A line a system, then the paired test of tuned against untuned."""
    tokens = tuned["tokens"].to_numpy(np.float64)
    own = tuned["log_likelihood"].to_numpy(np.float64) / tokens
    lines = [
        "## Text generation on real texts\n",
        f"`tunekeeper retrain configs/gsm8k.yaml` on {len(tuned):,} held-out answers of gsm8k, base stories260K (260,032 parameters), "
        f"{found['training_seconds']:.0f} s of training; verdict {found['verdict']}.\n",
        "| system | perplexity of the answers | 95 % interval |",
        "|---|--:|---|",
    ]
    for name, each in {**baselines, "tuned": own}.items():
        interval = ratio_interval(-each * tokens, tokens)
        low, high = np.exp([interval.low or np.nan, interval.high or np.nan])
        lines.append(f"| {name} | {np.exp(interval.value):.2f} | {low:.2f} to {high:.2f} |")
    p = stats.wilcoxon(own, baselines["base model"], alternative="greater").pvalue
    falls = own @ tokens > baselines["base model"] @ tokens and p < ALPHA
    lines.append(
        f"\nHeld-out perplexity falls, Wilcoxon's signed-rank test over rows: p = {p:.1e}, at most {ALPHA}: "
        f"{'holds' if falls else 'DOES NOT HOLD'}. Exact match {found['metrics']['exact_match']:.3f}, "
        f"ROUGE-L {found['metrics']['rouge_l']:.3f} of the decoded rows."
    )
    return lines


if __name__ == "__main__":
    main()
