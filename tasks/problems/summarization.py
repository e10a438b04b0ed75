"""summarization: an encoder-decoder that reads a document and writes what it says in short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.problems.baselines import written
from tasks.problems.text2text_generation import Text2TextGeneration

if TYPE_CHECKING:
    import pandas as pd


class Summarization(Text2TextGeneration):
    """Documents in, summaries out: scored by ROUGE, beside the first sentences of the document."""

    text_scores = (*Text2TextGeneration.text_scores, "rouge_1", "rouge_2", "rouge_lsum")

    def written_baselines(self, train: pd.DataFrame, test: pd.DataFrame, new_tokens: int) -> tuple[written.WrittenBaseline, ...]:
        """The first sentences."""
        documents = (train["text"].tolist(), train["target"].tolist(), test["text"].tolist())
        return (written.lead_sentences(*documents, new_tokens),)
