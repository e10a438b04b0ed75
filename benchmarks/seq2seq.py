"""An encoder-decoder adapted to words that it never saw: US English to GB pronunciations, and GB to US. `python -m benchmarks.seq2seq`

configs/bart_g2p.yaml from the real pretrained model of the one and 6,000 words of the other's lexicon beside it: what base and tuned
model write for held-out words, in letters that the base reads and phonemes that it writes by a tokenizer of its own. A tokenizer lacks
some characters of the other's pronunciations, so a share of the words cannot be right. The second way is told as a translation, written
with four beams. Weights and lexicon lie beside the checkout, or the proof says that it was not run.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks import small
from benchmarks.accuracy import DATA, kept
from configs.schema import Decoding, Full, ProblemName
from tasks.common.bases import find_base
from tasks.learning.network import build_network, spec_of
from tasks.problems import problem_of
from tasks.problems.metrics.generation import chrf, exact_matches
from tasks.problems.types import Writing
from tasks.stats.sign_flip import mcnemar_exact

FOLDER = DATA / "bart_g2p"
WORDS, ALPHA, LENGTH, TOKENIZER = 6_000, 0.01, 40, "target_tokenizer"
CONFIG = Path("configs") / "bart_g2p.yaml"
AS_TRANSLATION = (
    "problem=translation", "evaluation.bleu_tokenizer=char", "evaluation.decoding.beams=4", "model.languages={source: en-GB, target: en-US}",
)  # fmt: skip


@dataclass(frozen=True)
class Way:
    """Which model learns whose words, with what further settings."""

    base: str
    lexicon: str
    problem: ProblemName
    settings: tuple[str, ...] = ()
    decoding: Decoding = field(default_factory=Decoding)


WAYS = (Way("us", "gb", "text2text-generation"), Way("gb", "us", "translation", AS_TRANSLATION, Decoding(beams=4)))


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
    lines = [f"{title}\n"]
    with small.server(home):
        for way in WAYS:
            lines += [*measure(home, way), ""]
    shutil.rmtree(home)
    return "\n".join(lines).rstrip()


def measure(home: Path, way: Way) -> list[str]:
    """One way, as a pipeline of its own."""
    file = home / f"{way.lexicon}.csv"
    words(file, way.lexicon)
    settings = (f"data.source={file}", f"model.base={FOLDER / way.base}", f"evaluation.decode_rows={WORDS}")
    found = kept(home, CONFIG, f"name=words-{way.lexicon}", *settings, *way.settings)
    rows = pd.read_parquet(home / "snapshots" / found["snapshot"] / "test.parquet")
    scored = [pd.read_parquet(each) for each in home.glob("scores/*/scores.parquet")]
    tuned = next(frame for frame in scored if frame["target"].tolist() == rows["target"].tolist())
    return told(way, found, rows, written_by_base(way, rows["text"].tolist()), tuned["prediction"].tolist())


def words(file: Path, lexicon: str) -> None:
    """WORDS words in lower case with one pronunciation, drawn by a fixed seed."""
    said = json.loads((FOLDER / "lexicon" / f"{lexicon}_gold.json").read_text())
    plain = sorted(
        word for word, one in said.items() if isinstance(one, str) and word.isascii() and word.isalpha() and word.islower()
    )
    chosen = random.Random(0).sample([word for word in plain if 2 < len(word) < 20], WORDS)
    pd.DataFrame({"word": chosen, "phonemes": [said[word] for word in chosen]}).to_csv(file, index=False)


def written_by_base(way: Way, texts: list[str]) -> list[str]:
    """What the base, before any training, writes."""
    base = find_base(str(FOLDER / way.base), target_tokenizer=TOKENIZER)
    network = build_network(spec_of(way.problem, Full(), (), LENGTH, 0, base), base.path)
    answers = problem_of(way.problem).answer_texts(network, texts, Writing(LENGTH, way.decoding), 64, nullcontext)
    return [answer.prediction for answer in answers]


def told(way: Way, found: dict[str, Any], rows: pd.DataFrame, base: list[str], tuned: list[str]) -> list[str]:
    """A line a system, then the paired tests of tuned against base."""
    wanted = rows["target"].tolist()
    known = set(json.loads((FOLDER / way.base / TOKENIZER / "tokenizer.json").read_text())["model"]["vocab"])
    within = np.mean([set(text) <= known for text in wanted])
    how = f" with `{' '.join(way.settings)}`" if way.settings else ""
    shown = {name: value for name, value in found["metrics"].items() if name in ("bleu", "chrf", "ter")}
    lines = [
        f"`tunekeeper retrain {CONFIG}`{how} on {WORDS:,} words of the {way.lexicon.upper()} lexicon, base the pretrained "
        f"{way.base.upper()} model (751,488 parameters), {found['training_seconds']:.0f} s of training; verdict {found['verdict']}. "
        f"{len(rows):,} held-out words, of which {within:.0%} have pronunciations that the base's tokenizer can write. Over all of them: "
        f"{', '.join(f'{name} {value:.3f}' for name, value in shown.items())}.\n",
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
