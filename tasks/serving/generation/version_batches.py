"""The answers of one version that are being written: a step writes a token of each, in as few passes as the network allows."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from tasks.serving.batcher import ModelFailure
from tasks.serving.generation.batches import RunningBatch
from tasks.serving.generation.draft import Draft
from tasks.serving.generation.writer import Writer

log = logging.getLogger(__name__)


class VersionBatches:
    """Running batches of one writer: one, where rows may join it at any time."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._batches: list[tuple[RunningBatch, list[Draft]]] = []

    @property
    def rows(self) -> int:
        """How many answers are being written."""
        return sum(len(drafts) for _, drafts in self._batches)

    def admit(self, drafts: Sequence[Draft]) -> None:
        """Read their prompts and write their first tokens; where that fails, one by one, so that one prompt fails alone."""
        batch, others = self._batch_for_new_rows()
        try:
            logits = batch.add([draft.request.prompt.tokens for draft in drafts])
            others.extend(drafts)
            _continue_all(drafts, logits)
        except Exception as error:  # noqa: BLE001  (whatever it is, it belongs to these answers; the thread writes all others)
            if others[len(others) - len(drafts) :] == list(drafts):  # they are rows already: the batch is at fault
                self._fail_batch(batch, others, error)
            elif len(drafts) > 1:
                for draft in drafts:
                    self.admit([draft])
            else:
                _fail(drafts, error)
            return
        if all(known is not batch for known, _ in self._batches):
            self._batches.append((batch, others))

    def step(self) -> int:
        """Write one token of each answer, and let go of those that are done; how many were written."""
        self._retire_done()
        rows = self.rows
        for batch, drafts in list(self._batches):
            try:
                _continue_all(drafts, batch.step([draft.newest for draft in drafts]))
            except Exception as error:  # noqa: BLE001  (as above)
                self._fail_batch(batch, drafts, error)
        self._retire_done()
        return rows

    def _batch_for_new_rows(self) -> tuple[RunningBatch, list[Draft]]:
        for batch, drafts in self._batches:
            if batch.can_join:
                return batch, drafts
        return self._writer.open_batch(), []

    def _retire_done(self) -> None:
        for batch, drafts in list(self._batches):
            rows = [row for row, draft in enumerate(drafts) if not draft.is_done]
            if len(rows) < len(drafts):
                try:
                    batch.keep(rows)
                except Exception as error:  # noqa: BLE001  (as above: memory may be short)
                    self._fail_batch(batch, [drafts[row] for row in rows], error)
                drafts[:] = [drafts[row] for row in rows]
        self._batches = [(batch, drafts) for batch, drafts in self._batches if drafts]

    def _fail_batch(self, batch: RunningBatch, drafts: list[Draft], error: Exception) -> None:
        _fail(drafts, error)
        self._batches = [(known, rows) for known, rows in self._batches if known is not batch]


def _continue_all(drafts: Sequence[Draft], logits: torch.Tensor) -> None:
    for draft, row, likeliest in zip(drafts, logits, logits.argmax(-1).tolist(), strict=True):
        if not draft.is_done:
            draft.continue_with(row, likeliest)


def _fail(drafts: Sequence[Draft], error: Exception) -> None:
    for draft in drafts:
        draft.failure = ModelFailure(str(error))
        draft.failure.__cause__ = error
