"""An encoder-decoder adapted to words that it never saw: US English to GB pronunciations. `python -m benchmarks.seq2seq`

configs/bart_g2p.yaml from the real pretrained US model and 6,000 words of the GB lexicon beside it: what base and tuned model write for
held-out words, in letters that the base reads and phonemes that it writes by a tokenizer of its own. The US tokenizer lacks some
characters of GB pronunciations, so a share of the words cannot be right. Weights and lexicon lie beside the checkout, or the
proof says that it was not run.
"""

from __future__ import annotations

import json
import random
import shutil
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
from tasks.problems.metrics.generation import chrf, exact_matches
from tasks.problems.types import Writing
from tasks.stats.sign_flip import mcnemar_exact

FOLDER = DATA / "bart_g2p"
WORDS, ALPHA, LENGTH, TOKENIZER = 6_000, 0.01, 40, "target_tokenizer"
CONFIG = Path("configs") / "bart_g2p.yaml"


def main() -> None:
    """Print the section."""
    print(section())


def section() -> str:
    """The measurement as Markdown; minutes on two cores."""
    title = "## Text to text on real words"
    if not FOLDER.is_dir():
        return f"{title}\n\nNot run: weights and lexicon are not beside this checkout."
    home = Path(tempfile.mkdtemp(prefix="seq2seq-"))
    (home / "tmp").mkdir()
    words(home / "words.csv")
    with small.server(home):
        settings = (f"data.source={home / 'words.csv'}", f"model.base={FOLDER / 'us'}", f"evaluation.decode_rows={WORDS}")
        found = kept(home, CONFIG, *settings)
    (snapshot,) = home.glob("snapshots/*/test.parquet")
    rows = pd.read_parquet(snapshot)
    tuned = next(frame for file in home.glob("scores/*/scores.parquet") if len(frame := pd.read_parquet(file)) == len(rows))
    lines = told(title, found, rows, written_by_base(rows["text"].tolist()), tuned["prediction"].tolist())
    shutil.rmtree(home)
    return "\n".join(lines)


def words(file: Path) -> None:
    """WORDS words in lower case with one GB pronunciation, drawn by a fixed seed."""
    lexicon = json.loads((FOLDER / "lexicon" / "gb_gold.json").read_text())
    plain = sorted(
        word for word, said in lexicon.items() if isinstance(said, str) and word.isascii() and word.isalpha() and word.islower()
    )
    chosen = random.Random(0).sample([word for word in plain if 2 < len(word) < 20], WORDS)
    pd.DataFrame({"word": chosen, "phonemes": [lexicon[word] for word in chosen]}).to_csv(file, index=False)


def written_by_base(texts: list[str]) -> list[str]:
    """What the base, before any training, writes."""
    base = find_base(str(FOLDER / "us"), target_tokenizer=TOKENIZER)
    network = build_network(spec_of("text2text-generation", Full(), (), LENGTH, 0, base), base.path)
    answers = problem_of("text2text-generation").answer_texts(network, texts, Writing(LENGTH), 64, nullcontext)
    return [answer.prediction for answer in answers]


def told(title: str, found: dict[str, Any], rows: pd.DataFrame, base: list[str], tuned: list[str]) -> list[str]:
    """A line a system, then the paired tests of tuned against base."""
    wanted = rows["target"].tolist()
    known = set(json.loads((FOLDER / "us" / TOKENIZER / "tokenizer.json").read_text())["model"]["vocab"])
    within = np.mean([set(text) <= known for text in wanted])
    lines = [
        f"{title}\n",
        f"`tunekeeper retrain {CONFIG}` on {WORDS:,} words, base the pretrained US model (751,488 parameters), "
        f"{found['training_seconds']:.0f} s of training; verdict {found['verdict']}. {len(rows):,} held-out words, of which {within:.0%} "
        "have pronunciations that the base's tokenizer can write.\n",
        "| system | exact match | chrF, mean of words |",
        "|---|--:|--:|",
    ]
    exact = {name: exact_matches(each, wanted) for name, each in (("base", base), ("tuned", tuned))}
    near = {name: chrf(each, wanted) for name, each in (("base", base), ("tuned", tuned))}
    lines += [f"| {name} | {exact[name].mean():.1%} | {near[name].mean():.3f} |" for name in exact]
    wins, losses = int((exact["tuned"] > exact["base"]).sum()), int((exact["tuned"] < exact["base"]).sum())
    p_exact = float(mcnemar_exact(wins, losses))
    p_near = float(stats.wilcoxon(near["tuned"], near["base"], alternative="greater").pvalue)
    for name, p, rise in (
        (f"Exact match rises ({wins} words won, {losses} lost; McNemar, exact)", p_exact, wins > losses),
        ("chrF rises (Wilcoxon's signed ranks)", p_near, near["tuned"].mean() > near["base"].mean()),
    ):
        lines.append(f"\n{name}: p = {p:.1e}, at most {ALPHA}: {'holds' if rise and p < ALPHA else 'DOES NOT HOLD'}.")
    return lines


if __name__ == "__main__":
    main()
