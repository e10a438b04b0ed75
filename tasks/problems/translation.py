"""translation: an encoder-decoder that reads a text in one language and writes it in another."""

from __future__ import annotations

from pathlib import Path

from configs.errors import InputError
from tasks.problems import seq2seq
from tasks.problems.languages import marks_languages
from tasks.problems.text2text_generation import Text2TextGeneration


class Translation(Text2TextGeneration):
    """Texts in, their translations out: scored by BLEU, chrF and TER, beside the text as it is."""

    text_scores = ("exact_match", "bleu", "chrf", "ter")

    def check_languages(self, base: Path, target_tokenizer: str, languages: tuple[str, ...]) -> None:
        """Where the tokenizers mark languages, both have to be named."""
        if not languages and any(map(marks_languages, seq2seq.read_plain(base, target_tokenizer))):
            raise InputError(
                f"model.languages: the tokenizer of {base} marks the languages of texts, and none is named: write "
                "languages: {source: CODE, target: CODE} under model, with its own codes"
            )
        super().check_languages(base, target_tokenizer, languages)
