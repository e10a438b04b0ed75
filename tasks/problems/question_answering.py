"""question-answering (extractive): a question beside a context, and the stretch of the context that answers it, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.errors import InputError
from configs.schema import Supervised
from tasks.data.alignment import Alignment
from tasks.data.answers import NO_ANSWER, Place, answer_texts, context_of, move_answers, move_place, places_of, write_places
from tasks.data.redaction.placeholders import aligned_view
from tasks.problems import classifier, metrics
from tasks.problems.answer_spans import (
    Span,
    build_span_network,
    confidence,
    find_spans,
    fit_temperature,
    fit_threshold,
    load_span_network,
    span_loss,
)
from tasks.problems.answer_windows import Window, collate_windows, encode_windows
from tasks.problems.baselines import answers as baselines
from tasks.problems.encoder_head import Encoder
from tasks.problems.metrics.answers import answer_scores, row_scores
from tasks.problems.types import (
    Adapt,
    AnswerCalibration,
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
    read_tokenizer,
    stored_columns,
)

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tasks.problems.classifier import Pooling

ALWAYS = -1e9  # the log-odds above which a network answers that has seen no row without an answer
BATCH = 32  # windows that are read at once where no setting says how many


@dataclass(frozen=True)
class NetworkInput:
    """An input as it is kept, as the network reads it, and where the one lies in the other."""

    stored: str
    read: str
    alignment: Alignment

    def stored_place(self, place: Place) -> Place:
        """A place in the context as it is read, in the one that is kept."""
        return move_place(place, self.alignment.back, self.read, self.stored)


class QuestionAnswering(Encoder):
    """Inputs of question and context, targets and answers as places in the context as it is kept (tasks/data/answers.py)."""

    finetuned_class = "AutoModelForQuestionAnswering"
    finetuned_table = "MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES"
    text_columns = ()  # places are of the texts as they are kept: each is read with them in sight
    trivial_baseline = baselines.CONSTANT
    wanted_network = "question-answering needs a network that reads text, and transformers has none of this kind: name another base"

    # --- the network ---

    def with_targets(self, spec: Spec, targets: Sequence[str]) -> Spec:
        """The characters of the longest answer, and the share of rows without any."""
        answers = [places_of(target) for target in targets]
        longest = max((place.end - place.start for places in answers for place in places), default=0)
        return replace(spec, longest_answer=longest, shares=(sum(not places for places in answers) / max(1, len(answers)),))

    def load_tokenizer(self, base: Path, target_tokenizer: str, languages: tuple[str, ...] = ()) -> PreTrainedTokenizerBase:
        tokenizer = read_tokenizer(base)
        if not tokenizer.is_fast:
            raise InputError(
                f"model.base {base}: its tokenizer does not tell where in a text its tokens stand, so no answer could be told: "
                "name a base with a tokenizer.json"
            )
        return tokenizer

    def build_model(self, spec: Spec, base: Path, tokenizer: PreTrainedTokenizerBase, adapt: Adapt) -> tuple[nn.Module, Spec]:
        if spec.head == "own":
            return load_span_network(base), spec
        encoder, width, own = classifier.load_encoder(base, spec.pooling)  # type: ignore[arg-type]
        pooling = spec.pooling or _pooling_of_none(own, tokenizer)
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # type: ignore[assignment]
        return build_span_network(adapt(encoder), width, pooling), replace(spec, pooling=pooling)  # type: ignore[arg-type]

    def model_logits(self, model: PreTrainedModel, ids: torch.Tensor) -> Any:
        outputs = model(input_ids=ids, attention_mask=ids.new_ones(ids.shape))
        return outputs.start_logits + outputs.end_logits

    # --- rows ---

    def encode_rows(self, tokenizer: PreTrainedTokenizerBase, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        """One example for each window of a row; `answers` are places in its context as it is read, which is `text`."""
        inputs = [_read_input(spec, text) for text in rows["text"]]
        answers = [
            places_of(move_answers(target, each.alignment, each.stored, each.read) or NO_ANSWER)
            for target, each in zip(rows["target"], inputs, strict=True)
        ]
        return [
            {
                "input_ids": window.ids,
                "labels": list(window.labels(answers[window.row])),
                "window": window,
                "text": inputs[window.row].read,
                "answers": answers[window.row],
            }
            for window in encode_windows(tokenizer, [each.read for each in inputs], spec.max_length)
        ]

    def collator(self, network: Network) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
        return collate_windows(network.pad_id)

    def loss_of(self, network: Network, rows: EncodedRows, objective: Supervised) -> Loss:
        return span_loss

    def calibrate(self, network: Network, held_out: list[Example], autocast: Autocast) -> AnswerCalibration:
        """The log-odds above which an answer is given, by the F1 of held-out rows; and how sure an answer then is, by it too."""
        rows = {example["window"].row: (context_of(example["text"]), example["answers"]) for example in held_out}
        numbers = {row: number for number, row in enumerate(rows)}
        windows: list[Window] = [replace(each["window"], row=numbers[each["window"].row]) for each in held_out]
        contexts = [context for context, _ in rows.values()]
        spans = find_spans(network, windows, contexts, BATCH, autocast)
        accepted = [[place.text(context) for place in places] for context, places in rows.values()]
        answered = [
            answer_scores(span.place.text(context), texts)[1]
            for span, context, texts in zip(spans, contexts, accepted, strict=True)
        ]
        unanswered = [float(not texts) for texts in accepted]
        margins = [span.margin for span in spans]
        threshold = ALWAYS if network.spec.shares == (0.0,) else fit_threshold(margins, answered, unanswered)
        scores = [each if margin > threshold else none for each, none, margin in zip(answered, unanswered, margins, strict=True)]
        sure = [confidence(span, answered=span.margin > threshold) for span in spans]
        return AnswerCalibration(fit_temperature(sure, scores), (threshold,))

    # --- answers ---

    def answer_texts(
        self, network: Network, texts: Sequence[str], writing: Writing, batch_size: int, autocast: Autocast
    ) -> list[NetworkAnswer]:
        inputs = [_read_input(network.spec, text) for text in texts]
        windows = encode_windows(network.tokenizer, [each.read for each in inputs], network.spec.max_length)
        spans = find_spans(network, windows, [context_of(each.read) for each in inputs], batch_size, autocast)
        return [_answer_of(network.spec, span, each) for span, each in zip(spans, inputs, strict=True)]

    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        texts = rows["text"].tolist()
        answers = self.answer_texts(network, texts, Writing(0), how.evaluation.batch_size, how.autocast)
        predictions = [answer.prediction for answer in answers]
        accepted = [answer_texts(target, text) for target, text in zip(rows["target"], texts, strict=True)]
        answer_strings = ["".join(answer_texts(prediction, text)) for prediction, text in zip(predictions, texts, strict=True)]
        exact, f1 = row_scores(answer_strings, accepted)
        confidences = np.array([answer.score for answer in answers], dtype=np.float64)
        frame = rows[stored_columns(rows)].assign(prediction=predictions, f1=f1, exact_match=exact, confidence=confidences)
        return ScoredRows(frame, metrics.answer_metrics(answer_strings, accepted))

    def difference_scale(self, targets: Sequence[str]) -> DifferenceScale:
        return DifferenceScale(largest=1.0)

    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """F1 of each row's answer."""
        return frame["f1"].to_numpy(np.float64)

    def fit_lexical(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[ScoredBaseline, ...]:
        known = baselines.KnownAnswers.of(train["text"].tolist(), train["target"].tolist())
        texts = test["text"].tolist()
        accepted = [answer_texts(target, text) for target, text in zip(test["target"], texts, strict=True)]
        return tuple(
            ScoredBaseline(
                each.name,
                row_scores(each.predictions, accepted)[1],
                metrics.answer_metrics(each.predictions, accepted),
                each.seconds,
            )
            for each in baselines.all_baselines(known, texts)
        )

    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[ScoredBaseline], how: Scoring
    ) -> ScoredBaselines:
        """Those that need no network: what an untuned base knows of a text does not say where in it an answer stands."""
        return ScoredBaselines(tuple(lexical))


def _read_input(spec: Spec, text: str) -> NetworkInput:
    return NetworkInput(text, *aligned_view(text, spec.text_view))


def _answer_of(spec: Spec, span: Span, of: NetworkInput) -> NetworkAnswer:
    """The span of the context that is kept, and its probability; or no answer, and that of none."""
    threshold = ALWAYS if spec.shares == (0.0,) else (spec.thresholds or (0.0,))[0]
    place = of.stored_place(span.place)
    answered = span.margin > threshold and place.start < place.end
    return NetworkAnswer(
        write_places([place] if answered else []), confidence(span, answered=answered, temperature=spec.temperature)
    )


def _pooling_of_none(own: Pooling, tokenizer: PreTrainedTokenizerBase) -> Pooling:
    """The vector that tells that there is no answer, of a base with this pooling of its own.

    It is the first token's where the tokenizer puts a mark of its own before a pair of texts; else the last token's, if that alone
    has seen all others, or the mean.
    """
    if own == "last":
        return "last"
    ids = tokenizer("a", "a")["input_ids"]
    return "first" if ids and ids[0] in tokenizer.all_special_ids else "mean"
