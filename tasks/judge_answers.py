"""Has a judge compare the answers of two models: a model behind an address, or people."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.schema import HumanJudge, ModelJudge
from tasks.answered_rows import AddedFindings, AnsweredRows, JudgeFindings
from tasks.common.files import replaced_file
from tasks.data.turns import shown_turns
from tasks.gate.evidence import AddedScores
from tasks.preferences.asking import JudgeAwayError, judge_client
from tasks.preferences.pairs import Judgements, agreement_of, judge_pairs
from tasks.preferences.people import add_open_pairs, human_preferences, read_judgements
from tasks.preferences.prompt import AnswerPair

if TYPE_CHECKING:
    import numpy.typing as npt


def judge_answers(rows: AnsweredRows, judge: ModelJudge | HumanJudge) -> AddedFindings:
    """What the judge prefers of a part of the answered test rows, each pair of answers redacted as texts are."""
    draw = np.random.default_rng(judge.seed)
    places = rows.answered
    if len(places) > judge.rows:
        places = np.sort(draw.choice(places, judge.rows, replace=False))
    prompts = [shown_turns(text) for text in rows.test["text"].iloc[places]]
    answers = (rows.frame["prediction"].iloc[places].tolist(), rows.opponents_answers(places))
    pairs = [AnswerPair(*texts) for texts in zip(rows.redacted(prompts), *map(rows.redacted, answers), strict=True)]
    if isinstance(judge, HumanJudge):
        return _judged_by_people(rows, judge, places, pairs)
    try:
        return _judged_by_model(rows, judge, places, pairs)
    except JudgeAwayError as error:
        if judge.counts_as != "nothing":
            raise  # a gate that was to hear it does not decide without it
        return AddedFindings(notices=(f"{error}; the run goes on without it, as it counts for nothing",))


def _judged_by_model(
    rows: AnsweredRows, settings: ModelJudge, places: npt.NDArray[np.int64], pairs: Sequence[AnswerPair]
) -> AddedFindings:
    judge = judge_client(settings, rows.home.path / "judgements", time.sleep)
    agreement, counts_as, note = None, settings.counts_as, ""
    if settings.agreement is not None:
        people = read_judgements(settings.agreement.source, "evaluation.judge.agreement.source")
        their_pairs = [AnswerPair(*rows.redacted([each.pair.prompt, each.pair.a, each.pair.b])) for each in people]
        judged = judge_pairs(their_pairs, judge.ask_preference).preferred
        agreement = agreement_of(
            judged, [each.preferred for each in people], settings.agreement.minimum, settings.agreement.confidence
        )
        if not agreement.holds and counts_as != "nothing":
            counts_as = "nothing"
            note = (
                f"it agrees with people on {agreement.share:.0%} of {agreement.n} pairs, at least {agreement.low:.0%} by the "
                f"bound, where {agreement.minimum:.0%} is asked for"
            )
    judgements = judge_pairs(pairs, judge.ask_preference)
    if not judgements.is_readable and counts_as != "nothing":
        counts_as, note = "nothing", f"{judgements.unreadable} of {len(pairs)} judgements cannot be read"
    findings = _judge_findings(rows, f"judge {settings.model}", judgements, counts_as)
    return _findings_of(rows, replace(findings, agreement=agreement, note=note), judgements, places, settings.margin)


def _judged_by_people(
    rows: AnsweredRows, settings: HumanJudge, places: npt.NDArray[np.int64], pairs: Sequence[AnswerPair]
) -> AddedFindings:
    """What people said of these pairs; those that nobody has judged are written out for them."""
    there, place = Path(settings.source).expanduser().is_file(), "evaluation.judge.source"
    judged = read_judgements(settings.source, place, may_be_open=True) if there else []
    judgements = Judgements(tuple(human_preferences(pairs, judged)), 0)
    findings = _judge_findings(rows, "people", judgements, settings.counts_as)
    open_pairs = [pair for pair, preference in zip(pairs, judgements.preferred, strict=True) if preference is None]
    findings_of_pairs = _findings_of(rows, findings, judgements, places, settings.margin)
    if not open_pairs:
        return findings_of_pairs
    file = rows.home.path / "judgements" / rows.pipeline.name / "pairs.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    with replaced_file(file) as aside:
        aside.write_text(add_open_pairs(file, open_pairs, settings.seed), encoding="utf-8")
    notice = (
        f"{len(open_pairs)} pairs of answers wait for people's judgement in {file}: write a, b or tie into `preferred`, and name "
        "the file in evaluation.judge.source"
    )
    return replace(findings_of_pairs, notices=(notice,))


def _judge_findings(rows: AnsweredRows, name: str, judgements: Judgements, counts_as: str) -> JudgeFindings:
    preferred = judgements.preferred
    return JudgeFindings(
        name, rows.opponent, len(preferred), preferred.count("a"), preferred.count("b"), preferred.count("tie"), judgements.turned,
        judgements.unreadable, counts_as,
    )  # fmt: skip


def _findings_of(
    rows: AnsweredRows, findings: JudgeFindings, judgements: Judgements, places: npt.NDArray[np.int64], margin: float
) -> AddedFindings:
    spread = np.full(len(rows.frame), np.nan)
    spread[places] = judgements.scores
    counts_as: Any = findings.counts_as
    scores = AddedScores(f"preferences of {findings.name}", findings.opponent, spread, 1 - spread, counts_as, margin, 1.0)
    metrics = {"judge/win_rate": findings.win_rate, "judge/pairs": float(findings.pairs), "judge/turned": float(findings.turned)}
    if findings.agreement is not None:
        metrics |= {"judge/agreement": findings.agreement.share, "judge/agreement_low": findings.agreement.low}
        metrics |= {} if findings.agreement.kappa is None else {"judge/kappa": findings.agreement.kappa}
    return AddedFindings((scores,), {name: value for name, value in metrics.items() if value == value}, findings)
