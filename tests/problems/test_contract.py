"""The contract of a problem, held to by every one: a new problem brings a case, and all of it is asked of it.

Each problem meets one adapter, in turn; the others are slow ones.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import tiny

from configs.schema import Evaluation, ProblemName, Supervised, Training, facts_of
from configs.schema.problem_defaults import DEFAULTS
from tasks.common.bases import find_base
from tasks.learning.fit import Listener
from tasks.learning.network import TRAINABLE, build_network, read_spec, spec_of
from tasks.learning.objectives.run import TrainingMaterial, train_network
from tasks.learning.scoring import fit_lexical, score_network, score_opponents, scoring_of
from tasks.problems import problem_of
from tasks.problems.types import Writing

SILENT = Listener(lambda *_: None, lambda *_: None, lambda _: None)
HOW = scoring_of(Evaluation(batch_size=8, decode_rows=12, max_new_tokens=8, bootstrap=100), "fp32")


@dataclass(frozen=True)
class Case:
    """A problem's rows and its base: the name of a fixture."""

    rows: pd.DataFrame
    base: str


CASES = {
    "text-classification": Case(tiny.frame(80), "bert_folder"),
    "multi-label-classification": Case(tiny.label_set_rows(80), "bert_folder"),
    "token-classification": Case(tiny.span_rows(80), "bert_folder"),
    "text-regression": Case(tiny.number_rows(80), "bert_folder"),
    "question-answering": Case(tiny.answer_rows(80), "bert_folder"),
    "text-ranking": Case(tiny.ranking_rows(80), "bert_folder"),
    "sentence-similarity": Case(tiny.similar_rows(80), "bert_folder"),
    "text-retrieval": Case(tiny.partner_rows(80), "bert_folder"),
    "text-generation": Case(tiny.pairs(80), "llama_folder"),
}
SEQ2SEQ = Case(tiny.pairs(80), "bart_folder")  # of whatever else writes text


def case_of(problem) -> Case:
    return CASES.get(problem, SEQ2SEQ)


def adapter_pairs():
    """Every problem with every adapter that makes sense; those with one of its own, the rarest so far, are no slow ones."""
    met = dict.fromkeys(tiny.ADAPTERS, 0)
    for problem in get_args(ProblemName):
        idle = ("bitfit",) if case_of(problem).base == "llama_folder" else ()  # which has no biases
        kinds = [kind for kind, adapter in tiny.ADAPTERS.items() if tiny.makes_sense(problem, adapter) and kind not in idle]
        first = min(kinds, key=met.__getitem__)
        met[first] += 1
        yield from (pytest.param((problem, kind), marks=[] if kind == first else [pytest.mark.slow]) for kind in kinds)


@pytest.fixture(scope="module", params=adapter_pairs(), ids="-".join)
def trained(request, tmp_path_factory):
    """(problem's name, base's folder, rows to train on, rows held out, test rows, the training's result)."""
    name, adapter = request.param
    case, problem = case_of(name), problem_of(name)
    folder = request.getfixturevalue(case.base)
    base = find_base(str(folder))
    spec = spec_of(name, tiny.ADAPTERS[adapter], (), 40, 0, base)
    known, held_out, test = case.rows[:48], case.rows[48:60], case.rows[60:].reset_index(drop=True)
    spec = problem.with_targets(spec, [*known["target"], *held_out["target"]])
    fit = partial(
        train_network, TrainingMaterial(spec, folder, known.reset_index(drop=True), held_out.reset_index(drop=True)),
        Supervised(), Training(epochs=2, batch_size=8, learning_rate=1e-3, precision="fp32"),
    )  # fmt: skip
    return name, folder, known, test, fit(tmp_path_factory.mktemp("run"), SILENT, None), fit


def network_of(folder, result):
    return build_network(read_spec(result.folder), folder, result.folder / TRAINABLE)


def test_the_same_training_gives_the_same_weights_and_the_same_answers(trained, tmp_path):
    name, folder, _, test, result, fit = trained
    again = fit(tmp_path / "again", SILENT, None)
    assert again.weights == result.weights
    frames = [score_network(problem_of(name), network_of(folder, each), test, HOW).frame for each in (result, again)]
    pd.testing.assert_frame_equal(*frames)


def test_every_test_row_has_its_line_its_primary_score_and_the_metrics_that_pages_show(trained):
    name, folder, _, test, result, _ = trained
    facts, problem = facts_of(name), problem_of(name)
    scored = score_network(problem, network_of(folder, result), test, HOW)
    scores = problem.primary_scores(scored.frame)
    assert scores.shape == (len(test),) and list(scored.frame["id"]) == list(test["id"])
    compared = scores[~np.isnan(scores)]  # of several rows with one score only the first has it
    assert len(compared) and np.isfinite(compared).all() and (facts.ranks or len(compared) == len(test))
    assert problem.whole_units(scored.frame, np.ones(len(test), dtype=bool)).all()
    assert {metric.name for metric in facts.metrics} <= set(scored.metrics), facts.metrics
    assert "text" not in scored.frame
    sign = 1 if facts.primary.higher_is_better else -1
    if facts.primary.name in scored.metrics:
        assert sign * float(compared.mean()) == pytest.approx(scored.metrics[facts.primary.name])
    scale = problem.difference_scale(test["target"].tolist())
    assert scale.scale > 0 and (scale.largest is not None or set(np.unique(compared)) <= {0.0, 1.0})


def test_what_is_answered_is_what_is_scored_alone_or_together(trained):
    name, folder, _, test, result, _ = trained
    problem, network = problem_of(name), network_of(folder, result)
    scored = score_network(problem, network, test, HOW).frame["prediction"].tolist()[:12]
    texts = test["text"].tolist()[:12]
    for size in (1, 12):
        said = [answer.prediction for answer in problem.answer_texts(network, texts, Writing(8), size, nullcontext)]
        if facts_of(name).is_number:
            assert [float(each) for each in said] == pytest.approx([float(each) for each in scored], rel=1e-4)
        else:
            assert said == scored


def test_the_baselines_are_scored_on_every_row_and_the_trivial_one_is_among_them(trained, tmp_path):
    name, folder, known, test, result, _ = trained
    problem = problem_of(name)
    for part, frame in (("train", known), ("test", test)):
        frame.to_parquet(tmp_path / f"{part}.parquet")
    lexical = fit_lexical(Supervised(), name, [tmp_path / "train.parquet"], tmp_path / "test.parquet")
    untuned = build_network(read_spec(result.folder), folder)
    scored = score_opponents(problem, untuned, known.reset_index(drop=True), test, lexical, HOW)
    assert problem.trivial_baseline in [each.name for each in scored.each]
    compared = [each.scores for each in scored.each if each.scores is not None]  # a rule that writes texts has no likelihood
    own = np.isnan(problem.primary_scores(score_network(problem, network_of(folder, result), test, HOW).frame))
    assert all(scores.shape == (len(test),) and np.array_equal(np.isfinite(scores), ~own) for scores in compared)


def test_no_rows_are_no_examples(trained):
    name, folder, _, test, result, _ = trained
    network = network_of(folder, result)
    assert problem_of(name).encode_rows(network.tokenizer, network.spec, test[:0]) == []


def test_every_name_a_user_can_write_stands_for_a_problem():
    assert set(DEFAULTS) <= set(get_args(ProblemName)) and set(CASES) <= set(get_args(ProblemName))
