"""The test rows of a decision with the answers of both models, and what was found out by comparing those."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from configs.schema import Full, Pipeline
from tasks.common.files import atomic_folder, is_valid
from tasks.common.home import Home
from tasks.context import TrainingRun
from tasks.gate.evidence import AddedScores
from tasks.identity.keys import json_sha256, scores_key
from tasks.preferences.pairs import AgreementResult
from tasks.snapshots import open_snapshot
from tasks.train import training_material

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from tasks.data.redaction.redact import Redactor

BASE = "base model"  # the opponent before the first release


@dataclass(frozen=True)
class JudgeFindings:
    """What a judge said of pairs: counts, its agreement with people where that was measured, and what it counts for.

    `note` says why it counts for less than was asked.
    """

    name: str
    opponent: str
    pairs: int
    wins: int
    losses: int
    ties: int
    turned: int
    unreadable: int
    counts_as: str
    agreement: AgreementResult | None = None
    note: str = ""

    @property
    def win_rate(self) -> float:
        """The share of judged pairs that the challenger wins, a tie being half of one."""
        judged_rows = self.wins + self.losses + self.ties
        return (self.wins + self.ties / 2) / judged_rows if judged_rows else float("nan")


@dataclass(frozen=True)
class AddedFindings:
    """Added scores for the gate, metrics of the run, what the judge preferred, and notices."""

    scores: tuple[AddedScores, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    judge: JudgeFindings | None = None
    notices: tuple[str, ...] = ()


class AnsweredRows:
    """The test rows with the answers of the challenger and of its opponent."""

    def __init__(
        self, pipeline: Pipeline, home: Home, run: TrainingRun, frame: pd.DataFrame, champion: pd.DataFrame | None
    ) -> None:
        self.pipeline, self.home, self.run, self.frame, self.champion = pipeline, home, run, frame, champion
        self.test = open_snapshot(home, run.snapshot).frame("test")
        self.opponent = BASE if champion is None else "champion"
        self.answered = np.flatnonzero(frame["prediction"].notna().to_numpy())

    def redacted(self, texts: Sequence[str]) -> list[str]:
        """Texts without personal data, where the config redacts; empty where that is over its budget."""
        redactor = self.redactor()
        return list(texts) if redactor is None else [text or "" for text in redactor.redact_each(list(texts))]

    def redactor(self) -> Redactor | None:
        from tasks.data.preparation.load import redactor_of

        return redactor_of(self.pipeline.data, self.home.path)

    def opponents_answers(self, places: npt.NDArray[np.int64]) -> list[str]:
        """The champion's answers, or those of the base before any training, which are kept."""
        if self.champion is not None:
            return [str(answer) for answer in self.champion["prediction"].iloc[places]]
        key = scores_key(json_sha256([self.run.base.digest, self.run.snapshot, places.tolist(), "answers"]), "", self.pipeline)
        folder = self.home.path / "scores" / key
        if is_valid(folder) is not None:
            answers = self._write_base_answers(places)
            with atomic_folder(folder) as aside:
                (aside / "answers.json").write_text(json.dumps(answers))
        stored_answers: list[str] = json.loads((folder / "answers.json").read_text())
        return stored_answers

    def _write_base_answers(self, places: npt.NDArray[np.int64]) -> list[str]:
        from tasks.learning.device import autocast, numerics
        from tasks.learning.network import build_network
        from tasks.problems import problem_of
        from tasks.problems.types import Writing

        pipeline, evaluation = self.pipeline, self.pipeline.evaluation
        spec = training_material(pipeline, self.home, self.run.base, self.run.snapshot).spec
        network = build_network(replace(spec, adapter=Full().model_dump(mode="json")), self.run.base.path)
        writing = Writing(evaluation.max_new_tokens, evaluation.decoding)
        how = autocast(numerics(pipeline.training.precision))
        texts = self.test["text"].iloc[places].tolist()
        answers = problem_of(pipeline.problem).answer_texts(network, texts, writing, evaluation.batch_size, how)
        return [answer.prediction for answer in answers]
