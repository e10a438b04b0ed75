"""Baselines that write texts by a rule: on disk, on the page, and told where they write better than a model."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from configs.schema import Pipeline
from tasks.collect.run_scores import better_rules
from tasks.evaluate import METRICS, Baselines, StoredScores


def stored(folder, **metrics):
    folder.mkdir(exist_ok=True)
    (folder / METRICS).write_text(json.dumps(metrics))
    return folder


@pytest.fixture
def baselines(tmp_path):
    """A unigram, a rule, and the base: the rule has metrics alone."""
    texts = {"rouge_1": 0.3, "bleu": 0.3, "ter": 0.8}
    folder = stored(tmp_path / "all", **{"unigram": {"nll_per_token": 3.0}, "lead-2": texts, "base model": {"nll_per_token": 2.0}})
    np.savez(folder / "scores.npz", arr_0=np.array([-3.0, -3.0]), arr_2=np.array([-2.0, -2.0]))
    return Baselines(folder)


def findings(tmp_path, baselines, problem, **own):
    pipeline = Pipeline.model_validate({"name": "a", "problem": problem, "data": {"source": "a.csv"}, "model": {"base": "b"}})
    scores, challenger = SimpleNamespace(baselines=baselines), StoredScores(stored(tmp_path / "own", **own))
    return SimpleNamespace(pipeline=pipeline, scores=scores, challenger=challenger)


def test_a_rule_without_likelihoods_is_no_opponent(baselines):
    assert list(baselines.scores) == ["unigram", "base model"] and baselines.best == "base model"
    assert baselines.scores["base model"].tolist() == [-2.0, -2.0] and list(baselines.metrics) == [
        "unigram",
        "lead-2",
        "base model",
    ]


def test_stored_baselines_of_an_earlier_version_are_all_opponents(tmp_path):
    folder = stored(tmp_path / "all", unigram={}, bigram={})
    np.savez(folder / "scores.npz", np.array([-3.0]), np.array([-1.0]))
    assert Baselines(folder).best == "bigram" and Baselines(folder).scores["unigram"].tolist() == [-3.0]


@pytest.mark.parametrize(
    ("problem", "own", "says"),
    [
        ("summarization", {"rouge_1": 0.2}, "A rule writes better texts: lead-2 has ROUGE-1 30.0%, the challenger 20.0%"),
        ("summarization", {"rouge_1": 0.4}, None),
        ("summarization", {}, None),  # nothing was written
        ("translation", {"bleu": 0.31, "ter": 0.9}, None),  # by the first metric that the problem shows
        ("translation", {"bleu": 0.29, "ter": 0.1}, "lead-2 has BLEU 30.0%, the challenger 29.0%"),
        ("translation", {"ter": 0.9}, "lead-2 has TER 80.0%, the challenger 90.0%"),
        ("translation", {"ter": 0.7}, None),  # lower is better
    ],
)
def test_where_a_rule_writes_better_texts_the_report_says_so(tmp_path, baselines, problem, own, says):
    told = list(better_rules(findings(tmp_path, baselines, problem, **own)))
    assert len(told) == (says is not None) and (says or "") in "".join(told)
