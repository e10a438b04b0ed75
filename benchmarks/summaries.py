"""Summaries of real abstracts, by a network that knows nothing yet: every stage at work. `python -m benchmarks.summaries`

configs/scitldr.yaml on 800 abstracts of SciTLDR with the first sentence that was written of each. The base is a BART of two layers with
random weights and a vocabulary of the same rows, so nothing is claimed of its summaries, but of the pages: ROUGE of the model, of its
base and of the first sentences of each abstract stand side by side over the same rows, and what the stored model answers is what was
scored. The abstracts lie beside the checkout, or the proof says that it was not run.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import small
from benchmarks.accuracy import DATA, kept
from tasks.report.run.data import from_json
from tasks.serving.packaged_model import load_package

FOLDER = DATA / "scitldr"
CONFIG = Path("configs") / "scitldr.yaml"
ROWS, PIECES, LENGTH = 800, 2_000, 128
SETTINGS = (
    f"model.max_length={LENGTH}", "adapter.kind=full", "training.epochs=8", "training.learning_rate=2e-3", "evaluation.decode_rows=40",
    "evaluation.max_new_tokens=32",
)  # fmt: skip
METRICS = ("rouge_1", "rouge_2", "rouge_l")


def main() -> None:
    """Print the section."""
    print(section())


def section() -> str:
    """The measurement as Markdown; minutes on two cores."""
    title = "## Summaries of real abstracts"
    if not FOLDER.is_dir():
        return f"{title}\n\nNot run: the abstracts are not beside this checkout."
    home = Path(tempfile.mkdtemp(prefix="summaries-"))
    (home / "tmp").mkdir()
    rows = abstracts()
    rows.to_json(home / "train.jsonl", orient="records", lines=True)
    make_base(home / "base", [*rows["document"], *rows["summary"]])
    with small.server(home):
        found = kept(home, CONFIG, f"data.source={home / 'train.jsonl'}", f"model.base={home / 'base'}", *SETTINGS)
    lines = [f"{title}\n", *told(found), "", served(home)]
    shutil.rmtree(home)
    return "\n".join(lines)


def abstracts() -> pd.DataFrame:
    """The first ROWS abstracts, sentences joined, with the first summary of each."""
    with (FOLDER / "train.jsonl").open(encoding="utf-8") as file:
        read = [json.loads(next(file)) for _ in range(ROWS)]
    return pd.DataFrame(
        {"paper_id": [row["paper_id"] for row in read], "document": [" ".join(row["source"]) for row in read],
         "summary": [row["target"][0] for row in read]}
    )  # fmt: skip


def make_base(folder: Path, texts: list[str]) -> None:
    """A BART with random weights and a byte-level vocabulary of these texts."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.processors import BertProcessing
    from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

    marks = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = ByteLevelBPETokenizer()
    pieces.train_from_iterator(texts, vocab_size=PIECES, special_tokens=marks)
    pieces._tokenizer.post_processor = BertProcessing(("</s>", 2), ("<s>", 0))
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=pieces._tokenizer, **names).save_pretrained(folder)
    torch.manual_seed(0)
    sides = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in (("layers", 2), ("attention_heads", 4))}
    wide = {"d_model": 128, "encoder_ffn_dim": 256, "decoder_ffn_dim": 256, "max_position_embeddings": LENGTH + 2}
    ends = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2, "forced_eos_token_id": None}
    BartForConditionalGeneration(BartConfig(vocab_size=PIECES, **sides, **wide, **ends)).save_pretrained(folder)


def told(found: dict[str, Any]) -> list[str]:
    """A line a system, as the page has them."""
    report = from_json(Path(found["report"]).with_suffix(".json").read_bytes())
    lines = [
        f"`tunekeeper retrain {CONFIG} {' '.join(SETTINGS)}` on {ROWS} abstracts from random weights, {found['training_seconds']:.0f} s of "
        f"training; verdict {found['verdict']}; NLL per token {found['metrics']['nll_per_token']:.2f}.\n",
        f"| system | {' | '.join(METRICS)} |",
        "|---" + "|--:" * len(METRICS) + "|",
    ]
    for system in report.systems:
        shown = {score.metric: score.value for score in system.scores}
        if METRICS[0] in shown:
            lines.append(f"| {system.name} | {' | '.join(f'{shown[name]:.3f}' for name in METRICS)} |")
    return lines


def served(home: Path) -> str:
    """Whether the stored model answers as was scored."""
    (snapshot,), (package,) = home.glob("snapshots/*/test.parquet"), home.glob("runs/*/kept")
    rows = pd.read_parquet(snapshot)
    scored = next(frame for file in home.glob("scores/*/scores.parquet") if len(frame := pd.read_parquet(file)) == len(rows))
    written = scored["prediction"].dropna().tolist()
    answers = load_package(package, home / "base", home).predict(rows["text"].tolist()[: len(written)], 7)["text"].tolist()
    alike = sum(one == other for one, other in zip(answers, written, strict=True))
    holds = "holds" if alike == len(written) and written else "DOES NOT HOLD"
    return (
        f"The stored model, asked in batches of another size, answers {alike} of {len(written)} abstracts as was scored: {holds}."
    )


if __name__ == "__main__":
    main()
