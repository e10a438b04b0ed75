"""What challenger, champion and baselines score on the test rows, as the plain values of a report, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from configs.schema import NLL_OF_ROWS, Metric
from tasks.decide import compared_rows
from tasks.evaluate import StoredScores, groups_of, primary_of
from tasks.report.run import data as page
from tasks.stats.intervals import IntervalSettings, macro_f1, mean_interval, metric_interval, ratio_interval

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from tasks.collect.run import Findings


def scores_of_systems(findings: Findings) -> tuple[page.System, ...]:
    """The challenger, the champion where there is one, then the baselines."""
    systems = [_trained_system("challenger", findings.version, findings.challenger, findings)]
    if findings.champion is not None:
        systems.append(_trained_system("champion", findings.against, findings.champion, findings))
    for name, metrics in findings.scores.baselines.metrics.items():
        page_scores = _page_scores(findings.scores.baselines.scores.get(name), metrics, findings.challenger.frame, findings)
        systems.append(page.System(name=name, role="baseline", version=None, scores=page_scores))
    return tuple(systems)


def better_rules(findings: Findings) -> Iterator[str]:
    """Notices of baselines that write better texts than the challenger, and that the gate does not compare."""
    own, baselines = findings.challenger.metrics, findings.scores.baselines
    for name in [name for name in baselines.metrics if name not in baselines.scores]:
        texts = baselines.metrics[name]
        metric = next((each for each in findings.pipeline.facts.metrics if each.name in texts and each.name in own), None)
        if metric is not None and _metric_sign(metric) * (texts[metric.name] - own[metric.name]) > 0:
            yield (
                f"A rule writes better texts: {name} has {metric.title} {texts[metric.name]:.1%}, the challenger "
                f"{own[metric.name]:.1%}; the gate compares likelihoods, of which a rule has none"
            )


def _trained_system(
    role: Literal["challenger", "champion"], version: str | None, scores: StoredScores, findings: Findings
) -> page.System:
    """A model's row, F1 with its interval too."""
    pipeline = findings.pipeline
    page_scores = _page_scores(primary_of(pipeline, scores), scores.metrics, scores.frame, findings)
    if not pipeline.facts.has_classes:
        return page.System(name=role, role=role, version=version, scores=page_scores)
    labels = sorted({*scores.frame["target"], *scores.frame["prediction"]})
    target, predictions = (np.searchsorted(labels, scores.frame[name].to_numpy(str)) for name in ("target", "prediction"))
    interval = metric_interval(target, predictions, macro_f1, groups_of(findings.challenger), _settings(findings))
    with_f1 = tuple(
        replace(score, low=interval.low, high=interval.high) if score.metric == "f1_macro" else score for score in page_scores
    )
    return page.System(name=role, role=role, version=version, scores=with_f1)


def _page_scores(
    scores: npt.NDArray[np.float64] | None, metrics: Mapping[str, float], frame: pd.DataFrame, findings: Findings
) -> tuple[page.Score, ...]:
    """The metrics that pages show of a system, the leading ones with their intervals; `scores` None: it is no opponent."""
    facts = findings.pipeline.facts
    intervals = {} if scores is None else _metric_intervals(scores, frame, findings)
    page_scores = [_score(metric, metrics[metric.name], intervals) for metric in facts.metrics if metric.name in metrics]
    if scores is not None and facts.primary not in facts.metrics:
        page_scores.insert(1, _score(facts.primary, _metric_sign(facts.primary) * float(np.nanmean(scores)), intervals))
    return tuple(page_scores)


def _metric_intervals(scores: npt.NDArray[np.float64], frame: pd.DataFrame, findings: Findings) -> dict[str, tuple[float, float]]:
    """The ends of the leading metrics; over a corpus each row's likelihood counts for its tokens, those of `frame`."""
    groups, how, primary = groups_of(findings.challenger), _settings(findings), findings.pipeline.facts.primary
    compared = compared_rows(scores)
    scores, frame = scores[compared], frame[compared]
    groups = None if groups is None else [group for group, is_compared in zip(groups, compared, strict=True) if is_compared]
    by_row = mean_interval(_metric_sign(primary) * scores, groups, how)
    if by_row.low is None or by_row.high is None:
        return {}
    ends = {primary.name: (by_row.low, by_row.high)}
    if primary != NLL_OF_ROWS:
        return ends
    tokens = frame["tokens"].to_numpy(np.float64)
    interval = ratio_interval(-scores * tokens, tokens, groups, how)
    if interval.low is None or interval.high is None:
        return ends
    perplexity = (float(np.exp(interval.low)), float(np.exp(interval.high)))
    return {**ends, "nll_per_token": (interval.low, interval.high), "perplexity": perplexity}


def _settings(findings: Findings) -> IntervalSettings:
    return IntervalSettings(findings.pipeline.evaluation.confidence, findings.pipeline.evaluation.bootstrap)


def _metric_sign(metric: Metric) -> int:
    """What turns scores, of which more is better, into the metric."""
    return 1 if metric.higher_is_better else -1


def _score(metric: Metric, value: float, intervals: Mapping[str, tuple[float, float]]) -> page.Score:
    low, high = intervals.get(metric.name, (None, None))
    return page.Score(
        metric=metric.name, value=value, low=low, high=high, unit=metric.unit, higher_is_better=metric.higher_is_better
    )
