"""The face of what compares answers beside the problem's own score: a judge of pairs, and scorers of the user's own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from prefect.cache_policies import NO_CACHE

from configs.schema import ModelJudge, Pipeline
from tasks.answered_rows import AddedFindings, AnsweredRows
from tasks.common.home import Home
from tasks.common.orchestration import task
from tasks.context import TrainingRun
from tasks.data.answers import answer_texts
from tasks.data.label_sets import labels_of
from tasks.data.spans import spans_of
from tasks.data.text_parts import split_parts
from tasks.data.turns import shown_turns
from tasks.gate.evidence import AddedScores
from tasks.judge_answers import judge_answers
from tasks.preferences.asking import judge_client
from tasks.preferences.people import read_judgements
from tasks.scorers.own import Answer, ScoredTexts, run_scorer

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from tasks.evaluate import StoredScores

DRY: dict[str, tuple[Answer, Answer]] = {  # by kind of target: what scorers are tried on
    "label": ("a", "b"),
    "labels": (["a"], []),
    "spans": ([(0, 1, "a")], []),
    "number": (1.0, 2.5),
    "answer": (["a"], []),
    "text": ("a", "b c"),
}


def check_scorers(pipeline: Pipeline) -> None:
    """Import each scorer and ask it about two rows; see that the judge's files and key are there. InputError."""
    for place, scorer in enumerate(pipeline.evaluation.scorers):
        dry = DRY[pipeline.facts.target]
        run_scorer(f"evaluation.scorers.{place}", scorer, ScoredTexts(dry, dry, ("a text", "another")))
    judge = pipeline.evaluation.judge
    if isinstance(judge, ModelJudge):
        judge_client(judge, Path(), time.sleep)
        if judge.agreement is not None:
            read_judgements(judge.agreement.source, "evaluation.judge.agreement.source")
    elif judge is not None and Path(judge.source).expanduser().is_file():
        read_judgements(judge.source, "evaluation.judge.source", may_be_open=True)


@task(name="compare-answers", cache_policy=NO_CACHE)
def compare_answers(
    pipeline: Pipeline, home: Home, run: TrainingRun, challenger: StoredScores, champion: StoredScores | None
) -> AddedFindings:
    """Have the judge and the scorers of the config compare the answers to the test rows; nothing where the config names none."""
    evaluation = pipeline.evaluation
    if evaluation.judge is None and not evaluation.scorers:
        return AddedFindings()
    rows = AnsweredRows(pipeline, home, run, challenger.frame, None if champion is None else champion.frame)
    findings = _score_answers(rows)
    if evaluation.judge is None:
        return findings
    judgements = judge_answers(rows, evaluation.judge)
    return AddedFindings(
        (*findings.scores, *judgements.scores),
        findings.metrics | judgements.metrics,
        judgements.judge,
        findings.notices + judgements.notices,
    )


def _score_answers(rows: AnsweredRows) -> AddedFindings:
    """The scorers' numbers of the challenger and, where there is one, of the champion."""
    scores, metrics = list[AddedScores](), dict[str, float]()
    for place, scorer in enumerate(rows.pipeline.evaluation.scorers):
        setting, sign = f"evaluation.scorers.{place}", 1.0 if scorer.higher_is_better else -1.0
        own = np.array(run_scorer(setting, scorer, _scored_texts(rows, rows.frame)))
        metrics[f"scorer/{scorer.name}"] = float(own.mean()) if len(own) else float("nan")
        if rows.champion is None:
            continue
        theirs = np.array(run_scorer(setting, scorer, _scored_texts(rows, rows.champion)))
        metrics[f"scorer/{scorer.name}/champion"] = float(theirs.mean()) if len(theirs) else float("nan")
        ours, other = (_spread(rows, sign * values) for values in (own, theirs))
        scores.append(
            AddedScores(f"scorer {scorer.name}", "champion", ours, other, scorer.counts_as, scorer.margin, scorer.largest)
        )
    return AddedFindings(tuple(scores), metrics)


def _scored_texts(rows: AnsweredRows, frame: pd.DataFrame) -> ScoredTexts:
    answer_frame, texts = frame.iloc[rows.answered], rows.test["text"].iloc[rows.answered].tolist()
    predictions, targets = (
        [typed_answer(rows.pipeline.facts.target, each, text) for each, text in zip(answer_frame[name], texts, strict=True)]
        for name in ("prediction", "target")
    )
    return ScoredTexts(predictions, targets, [input_lines(text) for text in texts])


def input_lines(text: str) -> str:
    """What was read, as scorers are given it: a conversation as people read it, of two texts each on a line of its own."""
    return "\n".join(split_parts(shown_turns(text)))


def typed_answer(kind: str, answer: str, text: str) -> Answer:
    """An answer to a text, as it is kept, in the form that scorers are given."""
    match kind:
        case "labels":
            return list(labels_of(answer))
        case "spans":
            return list(spans_of(answer))
        case "answer":
            return answer_texts(answer, text)
        case "number":
            return float(answer)
    return answer


def _spread(rows: AnsweredRows, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n,) over all test rows; NaN where no answer was written."""
    spread = np.full(len(rows.frame), np.nan)
    spread[rows.answered] = values
    return spread
