"""text-retrieval: texts find what belongs to them among others, by the cosines of their vectors, learned from pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from configs.errors import InputError
from configs.schema import Supervised
from tasks.data.numbers import format_number, round_answers
from tasks.problems.baselines.ranking import tfidf_vectors
from tasks.problems.encoder_head import text_vectors
from tasks.problems.metrics.similarity import chance_of_ranks, first_right_ranks
from tasks.problems.types import (
    DifferenceScale,
    EncodedRows,
    Floats,
    Loss,
    Network,
    NetworkAnswer,
    ScoredBaseline,
    ScoredBaselines,
    ScoredRows,
    Scoring,
    Spec,
    stored_columns,
)
from tasks.problems.vector_encoder import NO_CODE, SCALE, VectorEncoder, both_parts, cosines, groups_of, text_code, vectors_of

if TYPE_CHECKING:
    import pandas as pd
    import torch

RANDOM = "candidates in random order"


@dataclass(frozen=True, eq=False)
class Search:
    """Rows (n) that look for their partners among distinct texts (m): all that stand as second texts, or are held against pairs.

    `right`: by row the candidates that are partners of rows with the same first text, or of the same group. `left_out` (n,): the
    candidate that is the first text itself, or -1. `takes_part` (n,): rows that belong together; feedback may say of a pair that
    it does not.
    """

    anchors: tuple[str, ...]
    candidates: tuple[str, ...]
    right: tuple[tuple[int, ...], ...]
    left_out: npt.NDArray[np.int64]
    takes_part: npt.NDArray[np.bool_]


class TextRetrieval(VectorEncoder):
    """Pairs of texts in, the cosine of their vectors out."""

    trivial_baseline = RANDOM
    wanted_network = "text-retrieval needs a network that reads text, and transformers has none of this kind: name another base"

    def encode_labels(self, spec: Spec, texts: Sequence[Sequence[int]], target: str, group: str | None) -> list[int]:
        """Whether the pair belongs together, then what its texts and its group are known by."""
        anchor, partner, other = (*map(text_code, texts), NO_CODE)[:3]
        return [int(_belongs(target)), anchor, partner, other, text_code(list(group.encode())) if group else NO_CODE]

    def loss_of(self, network: Network, rows: EncodedRows, objective: Supervised) -> Loss:
        return partner_loss

    def read_logits(self, spec: Spec, logits: npt.NDArray[np.float32]) -> list[NetworkAnswer]:
        return [NetworkAnswer(format_number(number), None) for number in round_answers(cosines(logits)).tolist()]

    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        pairs = vectors_of(network, self.network_inputs(rows["text"].tolist()), how)
        predictions = [answer.prediction for answer in self.read_logits(network.spec, pairs)]
        search = _search(rows, network.spec)
        candidate_vectors = vectors_of(network, search.candidates, how)
        ranks, before = first_right_ranks(pairs[::2], candidate_vectors, search.right, search.left_out)
        ids = _ids_of(search.candidates, rows)
        frame = rows[stored_columns(rows)].assign(
            prediction=predictions,
            rank=np.where(search.takes_part, ranks, np.nan),
            before=[ids[place] if place >= 0 else "" for place in before.tolist()],
        )
        return ScoredRows(frame, _metrics(1 / ranks[search.takes_part], ranks[search.takes_part], search))

    def difference_scale(self, targets: Sequence[str]) -> DifferenceScale:
        return DifferenceScale(largest=1.0)

    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """The reciprocal rank of the first right partner; none of a pair that does not belong together."""
        return 1 / frame["rank"].to_numpy(np.float64)

    def draw_rows(self, rows: pd.DataFrame, most: int) -> pd.DataFrame:
        """None: among fewer candidates ranks are better."""
        return rows[:0]

    def fit_lexical(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[ScoredBaseline, ...]:
        search = _search(test)
        chances = np.array([chance_of_ranks(len(right), len(search.candidates)) for right in search.right])
        part = chances[search.takes_part].mean(axis=0).tolist()
        metrics = dict(zip(("mrr", "recall_at_1", "recall_at_10"), part, strict=True))
        chance = ScoredBaseline(RANDOM, np.where(search.takes_part, chances[:, 0], np.nan), metrics, 0.0)
        known = [part for text in train["text"] for part in both_parts(text)]
        (first, second), seconds = tfidf_vectors([*known, *search.candidates], search.anchors, search.candidates)
        return chance, _scored_vectors("TF-IDF cosine", first, second, search, seconds)

    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[ScoredBaseline], how: Scoring
    ) -> ScoredBaselines:
        search = _search(test, network.spec)
        pooled = (text_vectors(network, texts, how) for texts in (search.anchors, search.candidates))
        first, second = (each / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-12) for each in pooled)
        return ScoredBaselines((*lexical, _scored_vectors("base embeddings, cosine", first, second, search, 0.0)))


def _belongs(target: str) -> bool:
    return float(target) > 0.5


def _search(rows: pd.DataFrame, spec: Spec | None = None) -> Search:
    """The search of test rows, read already; `spec` reads what pairs are held against."""
    anchors, partners = zip(*map(both_parts, rows["text"]), strict=True)
    others = [text for text in (rows["rejected"].fillna("").tolist() if "rejected" in rows else []) if text]
    candidates = tuple(dict.fromkeys([*partners, *(spec.read(others) if spec else others)]))
    place = {text: number for number, text in enumerate(candidates)}
    takes_part = np.array([_belongs(target) for target in rows["target"]], dtype=bool)
    if not takes_part.any():
        raise InputError("data: none of these pairs belongs together: add pairs that do")
    groups = groups_of(rows)
    partners_of: dict[tuple[str, object], set[int]] = {}
    for anchor, partner, group, part in zip(anchors, partners, groups, takes_part, strict=True):
        for key in (("text", anchor), ("group", group)):
            if part and key[1] is not None:
                partners_of.setdefault(key, set()).add(place[partner])
    right = tuple(
        tuple({place[partner], *partners_of.get(("text", anchor), ()), *partners_of.get(("group", group), ())})
        for anchor, partner, group in zip(anchors, partners, groups, strict=True)
    )
    own = (place.get(anchor, -1) for anchor in anchors)
    left_out = np.array([-1 if number in partners else number for number, partners in zip(own, right, strict=True)], np.int64)
    return Search(anchors, candidates, right, left_out, takes_part)


def _ids_of(candidates: Sequence[str], rows: pd.DataFrame) -> list[str]:
    """For each candidate the id of the first row whose second text it is; empty for one that pairs are held against."""
    first: dict[str, str] = {}
    for name, text in zip(rows["id"], rows["text"], strict=True):
        first.setdefault(both_parts(text)[1], name)
    return [first.get(candidate, "") for candidate in candidates]


def _metrics(reciprocal: Floats, ranks: npt.NDArray[np.int64], search: Search) -> dict[str, float]:
    return {
        "mrr": float(reciprocal.mean()),
        "recall_at_1": float((ranks <= 1).mean()),
        "recall_at_10": float((ranks <= 10).mean()),
        "candidates": float(len(search.candidates)),
    }


def _scored_vectors(
    name: str, first: npt.NDArray[np.floating], second: npt.NDArray[np.floating], search: Search, seconds: float
) -> ScoredBaseline:
    ranks, _ = first_right_ranks(first, second, search.right, search.left_out)
    part = ranks[search.takes_part]
    return ScoredBaseline(name, np.where(search.takes_part, 1 / ranks, np.nan), _metrics(1 / part, part, search), seconds)


def partner_loss(
    outputs: dict[str, torch.Tensor], labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
) -> torch.Tensor:
    """Cross-entropy of a text's own partner among those of all rows in memory at once, by SCALE times their cosines.

    In-batch negatives (Henderson et al. 2017, arXiv:1705.00652); what rows are held against stands among them too. A candidate that
    is the row's partner, the row's own text, or belongs to the same text or group is no negative.
    """
    import torch
    from torch.nn.functional import cross_entropy

    n = len(labels)
    vectors = outputs["logits"].view(-1, n, outputs["logits"].shape[-1])
    belongs, anchor, partner, other, group = labels.unbind(dim=1)
    texts = torch.cat([partner, other][: len(vectors) - 1])
    alike = SCALE * vectors[0] @ vectors[1:].flatten(0, 1).T
    related = (anchor[:, None] == anchor) | ((group[:, None] == group) & (group[:, None] != NO_CODE))
    related = torch.cat([related & (belongs == 1), *[torch.zeros_like(related)] * (len(vectors) - 2)], dim=1)
    no_negative = related | (texts == partner[:, None]) | (texts == anchor[:, None])
    if len(vectors) > 2:
        no_negative[:, n:] |= other == partner  # rows that are held against nothing
    own = torch.arange(n, device=labels.device)
    no_negative[own, own] = False
    losses = cross_entropy(alike.masked_fill(no_negative, -torch.inf), own, reduction="none")
    rows = n if num_items_in_batch is None else num_items_in_batch / labels.shape[1]
    return torch.where(belongs == 1, losses, 0.0).sum() / rows
