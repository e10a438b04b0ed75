"""The span of a context that a network takes for the answer: a head over its tokens, and the best span over all windows.

A window's score of a span is its log-odds against no answer there. Windows are read apart, so these are what can be compared
between them: the highest of all is the input's answer, if it is above a threshold that held-out rows choose.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.data.answers import Place, trimmed
from tasks.problems.answer_windows import Window, collate_windows
from tasks.problems.classifier import pool_tokens
from tasks.problems.padding import batches_by_length

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tasks.problems.classifier import Pooling
    from tasks.problems.types import Autocast, Network

Logits = npt.NDArray[np.float64]
FEW_ROWS = 30  # held-out rows that choose no threshold, and no temperature
TEMPERATURES: tuple[float, ...] = tuple(np.geomspace(1, 10, 41).tolist())  # networks are too sure of themselves, not too modest


class Span(NamedTuple):
    """The best span of an input: its place in the context, its log-odds against no answer, and those of any answer at all."""

    place: Place
    margin: float
    any_answer: float


NOTHING = Span(Place(0, 0), -np.inf, -np.inf)  # of a context without a token


def build_span_network(encoder: nn.Module, width: int, pooling: Pooling) -> nn.Module:
    """An encoder with a fresh head of shape (3, width): where an answer starts, where it ends, and that there is none.

    The last is read from the input's pooled vector, the others from each token of the context. The caller seeds.
    """
    import torch
    from torch import nn

    class SpanNetwork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder
            self.head = nn.Linear(width, 3)
            nn.init.normal_(self.head.weight, std=0.02)
            nn.init.zeros_(self.head.bias)
            self.pooling = pooling
            self.segments = segments_of(encoder)

        def forward(
            self,
            input_ids: torch.Tensor,
            attention_mask: torch.Tensor,
            context_mask: torch.Tensor,
            token_type_ids: torch.Tensor,
            **_: object,
        ) -> dict[str, torch.Tensor]:
            """Logits (batch, 1 + tokens, 2) of starts and ends: no answer at place 0, -inf where no context is."""
            segments = {"token_type_ids": token_type_ids.clamp(max=self.segments - 1)} if self.segments > 1 else {}
            outputs = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **segments)
            spans = self.head(outputs.last_hidden_state)[..., :2].float()
            none = self.head(pool_tokens(outputs, attention_mask, self.pooling))[:, 2].float()
            spans = spans.masked_fill(context_mask.unsqueeze(-1) == 0, -torch.inf)
            return {"logits": torch.cat([none[:, None, None].expand(-1, 1, 2), spans], dim=1)}

    return SpanNetwork()


def load_span_network(path: Path) -> nn.Module:
    """A model with the head that it was fine-tuned with, as `save_pretrained` wrote both; `forward` as a span network's.

    Such models tell that there is no answer by their first token, as SQuAD 2.0 has it.
    """
    import torch
    from transformers import AutoModelForQuestionAnswering

    network = AutoModelForQuestionAnswering.from_pretrained(
        path, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
    )

    class OwnSpans(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.encoder = network.base_model
            self.pooling = "own"
            self.segments = segments_of(network)

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor, context_mask: torch.Tensor, token_type_ids: torch.Tensor
        ) -> dict[str, torch.Tensor]:
            segments = {"token_type_ids": token_type_ids.clamp(max=self.segments - 1)} if self.segments > 1 else {}
            outputs = self.network(input_ids=input_ids, attention_mask=attention_mask, **segments)
            edge_logits = torch.stack([outputs.start_logits, outputs.end_logits], dim=-1).float()
            spans = edge_logits.masked_fill(context_mask.unsqueeze(-1) == 0, -torch.inf)
            return {"logits": torch.cat([edge_logits[:, :1], spans], dim=1)}

    return OwnSpans()


def segments_of(encoder: nn.Module) -> int:
    """How many segments a network tells texts apart by; 0 where it reads none."""
    inner = encoder.get_base_model() if hasattr(encoder, "get_base_model") else encoder  # type: ignore[operator]
    reads = "token_type_ids" in inspect.signature(inner.forward).parameters
    return int(getattr(inner.config, "type_vocab_size", 0)) if reads else 0


def span_loss(
    outputs: dict[str, torch.Tensor], labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
) -> torch.Tensor:
    """Cross-entropy of the start and of the end, their mean, summed over windows and divided by those of the accumulated batch.

    `num_items_in_batch` counts two labels a window.
    """
    from torch.nn.functional import cross_entropy

    edge_logits = outputs["logits"].transpose(1, 2).flatten(0, 1)  # (batch, 2, places) -> (2 batch, places)
    summed = cross_entropy(edge_logits, labels.flatten(), reduction="sum")
    return summed / (labels.numel() if num_items_in_batch is None else num_items_in_batch)


def find_spans(
    network: Network, windows: Sequence[Window], contexts: Sequence[str], batch_size: int, autocast: Autocast
) -> list[Span]:
    """The best span of each input, whose contexts these are, over its windows."""
    spans = [NOTHING] * len(contexts)
    for window, logits in _window_logits(network, windows, batch_size, autocast):
        best = best_span(window, logits, network.spec.longest_answer)
        before = spans[window.row]
        chosen = best if best.margin > before.margin else before
        spans[window.row] = chosen._replace(any_answer=float(np.logaddexp(best.any_answer, before.any_answer)))
    return [span._replace(place=trimmed(span.place, context)) for span, context in zip(spans, contexts, strict=True)]


def best_span(window: Window, logits: Logits, longest: int) -> Span:
    """The best span of a window of so many characters at the most (0: of any length); logits are (1 + tokens, 2)."""
    if not window.offsets:
        return NOTHING
    of_context = slice(1 + window.first, 1 + window.first + len(window.offsets))
    starts, ends = logits[of_context].T
    first, last = np.array(window.offsets).T
    lengths = last[None, :] - first[:, None]
    allowed = np.triu(lengths > 0) & (
        (lengths <= (longest or np.inf)) | np.eye(len(lengths), dtype=bool)
    )  # a token is never too long
    if not allowed.any():
        return NOTHING
    odds = np.where(allowed, starts[:, None] + ends[None, :] - logits[0].sum(), -np.inf)
    start, end = np.unravel_index(int(odds.argmax()), odds.shape)
    highest = float(odds[start, end])
    return Span(Place(int(first[start]), int(last[end])), highest, highest + float(np.log(np.exp(odds - highest).sum())))


def fit_threshold(margins: Sequence[float], answered: Sequence[float], unanswered: Sequence[float]) -> float:
    """The log-odds above which to answer that gives rows the highest mean score, of equals the nearest to 0; 0 of few rows.

    `answered` and `unanswered` are the scores of each row with its answer and without any.
    """
    if len(margins) < FEW_ROWS:
        return 0.0
    order = np.argsort(-np.asarray(margins), kind="stable")
    ordered = np.clip(np.asarray(margins, dtype=np.float64)[order], -1e6, 1e6)
    gains = np.concatenate([[0.0], np.cumsum(np.asarray(answered)[order] - np.asarray(unanswered)[order])])
    cuts = np.concatenate([[ordered[0] + 1], (ordered[1:] + ordered[:-1]) / 2, [ordered[-1] - 1]])
    usable = np.concatenate([[True], ordered[1:] < ordered[:-1], [True]])
    return float(min(zip(-np.round(gains[usable], 9), np.abs(cuts[usable]), cuts[usable], strict=True))[2])


def confidence(span: Span, *, answered: bool, temperature: float = 1.0) -> float:
    """The probability of the answer that is given: of its span, or of none, among all spans of all windows and none.

    `temperature` divides its log-odds.
    """
    likely = np.exp((span.margin if answered else 0.0) - np.logaddexp(0.0, span.any_answer))
    return float(_tempered(np.array([likely]), temperature)[0])


def fit_temperature(confidences: Sequence[float], scores: Sequence[float]) -> float:
    """The temperature with the lowest log loss of rows' confidences against their scores (0 to 1); 1 of few rows."""
    if len(confidences) < FEW_ROWS:
        return 1.0
    given, right = np.asarray(confidences, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    likely = [_tempered(given, temperature) for temperature in TEMPERATURES]
    losses = [-float(np.mean(right * np.log(each) + (1 - right) * np.log(1 - each))) for each in likely]
    return float(TEMPERATURES[int(np.argmin(np.round(losses, 9)))])


def _tempered(likely: Logits, temperature: float) -> Logits:
    """Probabilities with their log-odds divided."""
    sure = np.clip(likely, 1e-9, 1 - 1e-9)
    return np.asarray(1 / (1 + ((1 - sure) / sure) ** (1 / temperature)))


def _window_logits(
    network: Network, windows: Sequence[Window], batch_size: int, autocast: Autocast
) -> Iterator[tuple[Window, Logits]]:
    """Each window with its logits (1 + tokens, 2), the longest windows first."""
    import torch

    model, collate = network.model, collate_windows(network.pad_id)
    device = next(model.parameters()).device
    rows = [{"input_ids": window.ids, "window": window} for window in windows]
    model.eval()
    for places, batch in batches_by_length(rows, collate, batch_size, device):
        with torch.inference_mode(), autocast():
            logits = model(**batch)["logits"].float().cpu().numpy().astype(np.float64)
        yield from zip([windows[place] for place in places], logits, strict=True)
