"""The stages that flows share, and the values that the steps of one run hand to one another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from configs.errors import InfraError
from tasks import base_check, compare_answers, contract, evaluate, prepare, reference, release, train, vocabulary
from tasks.common.processes import HelperProcess
from tasks.common.terminal import print_notice, stage
from tasks.context import PipelineContext, TrainingRun
from tasks.ledger.retrain_requests import RetrainRequest
from tasks.opponent import Opponent, find_opponent
from tasks.snapshots import PreparedSnapshot
from tasks.tracking.client import Tracking

if TYPE_CHECKING:
    from concurrent.futures import Future

    import pandas as pd

    from tasks.learning.fit import TrainingResult
    from tasks.problems.types import ScoredBaseline


@dataclass(frozen=True)
class Run(PipelineContext):
    """The context that the steps of one run share."""

    inputs: prepare.Inputs
    turn: RetrainRequest
    seconds: dict[str, float] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        with stage(name) as facts:
            yield facts
        self.seconds[name] = facts["seconds"]


@dataclass(frozen=True)
class Challenger:
    """A model that is trained and stored, and waits for its verdict."""

    run: TrainingRun
    trained: TrainingResult
    packed: release.PackedModel


@dataclass(frozen=True)
class BackgroundResults:
    """The results that another process computes for judging: baselines without a network, statistics of the reference's texts."""

    lexical: Future[tuple[ScoredBaseline, ...]] | None
    text_stats: Future[pd.DataFrame]


def check_base(run: Run) -> None:
    """Refuse a base that cannot work with these settings before anything is done with the data."""
    compare_answers.check_scorers(run.pipeline)
    notices = base_check.earlier_notices(run.pipeline, run.home, run.inputs.base)
    if notices is None:
        with run.stage("check") as facts:
            notices = base_check.check_base(run.pipeline, run.home, run.inputs.base)
            facts["note"] = f"{run.pipeline.model.base} fits"
    for notice in notices:
        print_notice(notice)
    run.notices.extend(notices)


def meet_opponent(run: Run, prepared: PreparedSnapshot) -> Opponent:
    """The opponent of the challenger; notices of what was mended on the way are printed once, and stand in the report."""
    against = find_opponent(run, prepared, run.inputs.base)
    for notice in dict.fromkeys(against.notices):
        if notice not in run.notices:
            print_notice(notice)
            run.notices.append(notice)
    return against


def prepare_snapshot(run: Run, side: HelperProcess) -> PreparedSnapshot:
    """Load > raw contract, labels > candidate > prepared contract, labels > seal."""
    pipeline, home, inputs = run.pipeline, run.home, run.inputs
    for sentence in contract.without_earlier(pipeline, home):
        print_notice(sentence)
        run.notices.append(sentence)
    with prepare.open_source(pipeline, home, inputs) as raw:
        with run.stage("validate") as facts:
            greet = partial(run.registry.champion, pipeline.name)  # a registry that is away is found out now, and MLflow imported
            first = contract.validate(pipeline, home, inputs, raw, side, greet)
            for sentence in prepare.changed_key(run, inputs.redactor):
                print_notice(sentence)
                run.notices.append(sentence)
            labels = _check_labels(run, raw, first)
            facts["note"] = f"{first.rows:,} rows, {len(first.warnings)} warnings"
        with run.stage("prepare") as facts:
            candidate = prepare.prepare(pipeline, home, raw, first, labels.refused if labels else {})
            second = contract.validate(pipeline, home, inputs, candidate, side, train.warm_up)
            if labels is not None:
                vocabulary.check_prepared(pipeline, candidate, second, labels)
            prepared = prepare.seal_snapshot(pipeline, home, inputs, candidate, (first, second))
            facts["note"] = f"snapshot {prepared.snapshot[:12]}, {len(second.warnings)} warnings"
    return prepared


def warn_before_training(run: Run, prepared: PreparedSnapshot, run_id: str) -> None:
    """Warn of rows that are odd, and of languages that the base's tokenizer does not fit: in the log, the report and MLflow."""
    sentences, metrics = contract.tokenizer_warnings(run.pipeline, run.home, run.inputs.base, prepared.snapshot)
    run.tracking.log_metrics(run_id, metrics, 0)
    if sentences:
        run.tracking.tag(run_id, {"tokenizer.warning": "; ".join(sentences)[:4000]})
    for sentence in (*sentences, *contract.row_warnings(run.pipeline, run.home, prepared.snapshot)):
        print_notice(f"WARNING: {sentence}")
        run.notices.append(sentence)


def _check_labels(run: Run, raw: Any, contract: Any) -> vocabulary.LabelCheck | None:
    """Compare the data's labels with those known before, where they have labels, and print how they changed."""
    if not run.pipeline.facts.has_labels:
        return None
    known = vocabulary.known_labels(run)
    checked = vocabulary.check_raw(run.pipeline, run.home, raw, contract, known)
    for notice in checked.notices:
        print_notice(notice)
    run.notices.extend(checked.notices)
    return checked


def start_background(run: Run, prepared: PreparedSnapshot, side: HelperProcess) -> BackgroundResults:
    """Let another process compute what judging needs."""
    lexical = evaluate.lexical_baselines(run.pipeline, run.home, run.inputs.base, prepared.snapshot, side)
    return BackgroundResults(lexical, reference.begin_text_stats(run.home, prepared.snapshot, side))


@contextmanager
def close_on_error(tracking: Tracking, run_id: str) -> Iterator[None]:
    """Where the block fails, close the MLflow run: as KILLED where a signal stopped it, else as FAILED."""
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit) or type(error).__name__ in (
            "StoppedEarlyError",
            "TerminationSignal",
        )
        with suppress(InfraError):  # the error that is on its way says more than that MLflow is away too
            tracking.close_run(run_id, "KILLED" if stopped else "FAILED")
        raise
