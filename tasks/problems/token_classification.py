"""token-classification: an encoder and one linear head over the tags of each token; any number of labelled spans of a text out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from configs.schema import Supervised
from tasks.data.label_sets import all_labels, set_scores
from tasks.data.spans import spans_of, write_spans
from tasks.problems import classifier, metrics
from tasks.problems.baselines import spans as baselines
from tasks.problems.encoder_head import Encoder
from tasks.problems.padding import IGNORED, pad_examples
from tasks.problems.tagger import Window, build_tagger, cut_windows, load_tagger, tag_loss, window_logits
from tasks.problems.tagging import best_tags, best_word_tags, is_within_word, spans_of_tags, tag_count, tags_of, word_starts
from tasks.problems.types import (
    Adapt,
    Autocast,
    DifferenceScale,
    EncodedRows,
    Example,
    Floats,
    Loss,
    Network,
    NetworkAnswer,
    ScoredBaseline,
    ScoredBaselines,
    ScoredRows,
    Scoring,
    Spec,
    Writing,
    stored_columns,
)

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase


WITHIN_WORDS = 0.005  # of the edges of spans, that may lie within a word where spans are said to be of whole ones


class TokenClassification(Encoder):
    """Texts in, labelled spans out. Places count characters of texts as they are stored, which are viewed where they are read."""

    finetuned_class = "AutoModelForTokenClassification"
    finetuned_table = "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES"
    text_columns = ()
    trivial_baseline = baselines.NOTHING
    wanted_network = (
        "token-classification needs a network that reads text, and transformers has none of this kind: name another base"
    )

    # --- the network ---

    def with_targets(self, spec: Spec, targets: Sequence[str]) -> Spec:
        return replace(spec, labels=all_labels(targets))

    def with_rows(self, spec: Spec, rows: pd.DataFrame) -> Spec:
        """Its labels, and whether spans begin and end where words do: then answers do so too."""
        pairs = [(text, span) for text, target in zip(rows["text"], rows["target"], strict=True) for span in spans_of(target)]
        within = sum(is_within_word(text, place) for text, (start, end, _) in pairs for place in (start, end))
        return replace(self.with_targets(spec, rows["target"].tolist()), whole_words=within <= WITHIN_WORDS * 2 * len(pairs))

    def build_model(self, spec: Spec, base: Path, tokenizer: PreTrainedTokenizerBase, adapt: Adapt) -> tuple[nn.Module, Spec]:
        if spec.head == "own":
            return load_tagger(base, spec.labels), spec
        encoder, width, _ = classifier.load_encoder(base, "mean")
        return build_tagger(adapt(encoder), width, tag_count(len(spec.labels))), spec

    # --- rows ---

    def encode_rows(self, tokenizer: PreTrainedTokenizerBase, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        """Each window of each row; a token that two windows hold has its tag in one of them."""
        texts, targets = rows["text"].tolist(), rows["target"].tolist()
        examples = []
        for window in cut_windows(tokenizer, spec, texts):
            tags = [IGNORED] * len(window.ids)
            tags[window.tokens.start : window.tokens.stop] = _window_tags(window, targets[window.row], spec)
            examples.append({"input_ids": window.ids, "labels": tags})
        return examples

    def collator(self, network: Network) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
        return partial(pad_examples, pad_id=network.pad_id)

    def loss_of(self, network: Network, rows: EncodedRows, objective: Supervised) -> Loss:
        return tag_loss

    # --- answers ---

    def answer_texts(
        self, network: Network, texts: Sequence[str], writing: Writing, batch_size: int, autocast: Autocast
    ) -> list[NetworkAnswer]:
        """The spans of each text as it is stored; `parts` are their scores, each the mean probability of its tokens' tags."""
        spec, windows = network.spec, cut_windows(network.tokenizer, network.spec, texts)
        logits = window_logits(network.model, windows, network.pad_id, batch_size, autocast)
        answers = []
        for row, own in groupby(zip(windows, logits, strict=True), key=lambda pair: pair[0].row):
            parts = list(own)
            places = [place for window, _ in parts for place in window.places]
            scores = [values for _, values in parts if len(values)]
            answers.append(_read_logits(np.concatenate(scores) if scores else None, places, spec, texts[row]))
        return answers

    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        answers = self.answer_texts(network, rows["text"].tolist(), Writing(0), how.evaluation.batch_size, how.autocast)
        predictions, targets = [answer.prediction for answer in answers], rows["target"].tolist()
        confidence = np.array([answer.score for answer in answers], dtype=np.float64)
        frame = rows[stored_columns(rows)].assign(
            prediction=predictions, f1=np.array(set_scores(predictions, targets), dtype=np.float64), confidence=confidence
        )
        return ScoredRows(frame, metrics.span_metrics(targets, predictions))

    def difference_scale(self, targets: Sequence[str]) -> DifferenceScale:
        return DifferenceScale(largest=1.0)

    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """F1 of the spans of each row, 1 where there are none and none is answered."""
        return frame["f1"].to_numpy(np.float64)

    def fit_lexical(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[ScoredBaseline, ...]:
        known = train["text"].tolist(), train["target"].tolist()
        test_texts, targets = test["text"].tolist(), test["target"].tolist()
        rules = (
            baselines.nothing(len(test)),
            baselines.dictionary(*known, test_texts),
            baselines.words_in_context(*known, test_texts),
        )
        return tuple(
            ScoredBaseline(
                rule.name,
                np.array(set_scores(rule.predictions, targets), dtype=np.float64),
                metrics.span_metrics(targets, rule.predictions),
                rule.seconds,
            )
            for rule in rules
        )

    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[ScoredBaseline], how: Scoring
    ) -> ScoredBaselines:
        return ScoredBaselines(tuple(lexical))


def _window_tags(window: Window, target: str, spec: Spec) -> list[int]:
    """The tags of a window's own tokens; a span that began in the window before goes on here."""
    if not window.places:
        return []
    first, last = window.places[0][0], window.places[-1][1]
    spans = [span for span in spans_of(target) if span[0] < last and span[1] > first]
    tags = tags_of(window.places, spans, spec.labels)
    if spans and spans[0][0] < first and tags[0] % 2 == 1:
        tags[0] += 1
    return tags


def _read_logits(logits: np.ndarray | None, places: list[tuple[int, int]], spec: Spec, text: str) -> NetworkAnswer:
    """The spans of a text's logits (tokens, tags), and the geometric mean of the probabilities of its tokens' tags."""
    from scipy.special import log_softmax

    if logits is None:
        return NetworkAnswer(write_spans(()), 1.0)
    likely = log_softmax(logits.astype(np.float64), axis=1)
    tags = best_word_tags(likely, word_starts(places, text)) if spec.whole_words else best_tags(likely)
    certain = likely[np.arange(len(tags)), tags]
    spans = spans_of_tags(places, tags.tolist(), spec.answers, text)
    scores = tuple(float(np.exp(certain[tokens]).mean()) for _, tokens in spans)
    return NetworkAnswer(write_spans(span for span, _ in spans), float(np.exp(certain.mean())), scores)
