"""Decoding: beams are transformers' own, draws are draws from the softmax, and no answer hangs on the rows beside it."""

import re
from collections import Counter
from contextlib import nullcontext
from itertools import pairwise

import numpy as np
import pytest
import tiny
import torch
from scipy import stats

from configs.schema import Decoding, Lora, Pipeline
from tasks.common.bases import find_base
from tasks.learning.network import build_network, spec_of
from tasks.problems import problem_of
from tasks.problems.decoding import _SeededDraw
from tasks.problems.types import Writing

TEXTS = tiny.pairs(12)["text"].tolist()
WAYS = {
    "beams": Decoding(beams=4, length_penalty=0.5),
    "penalties": Decoding(repetition_penalty=1.7, no_repeat_ngram_size=2),
    "beams, no token twice": Decoding(beams=3, no_repeat_ngram_size=1),
    "draws": Decoding(temperature=0.9, top_k=12, top_p=0.95, seed=3, repetition_penalty=1.2),
}


@pytest.fixture(scope="module", params=["text-generation", "text2text-generation"])
def network(request):
    folder = request.getfixturevalue("llama_folder" if request.param == "text-generation" else "bart_folder")
    base = find_base(str(folder))
    return build_network(spec_of(request.param, Lora(r=4), (), 24, 0, base), base.path)


def answers(network, decoding, size=5, texts=TEXTS):
    problem = problem_of(network.spec.problem)
    return [each.prediction for each in problem.answer_texts(network, texts, Writing(8, decoding), size, nullcontext)]


@pytest.mark.parametrize("decoding", WAYS.values(), ids=WAYS)
def test_an_answer_is_the_same_in_every_batch_order_and_run(network, decoding):
    alone = answers(network, decoding, 1)
    assert alone == answers(network, decoding, 5) == answers(network, decoding, 12) == answers(network, decoding, 5)
    assert alone == answers(network, decoding, 5, TEXTS[::-1])[::-1]
    assert alone != answers(network, Decoding()), "and another than the greedy one"


def test_beams_are_those_of_transformers(network):
    if network.spec.problem == "text-generation":
        tokenizer, given = network.tokenizer, lambda ids: ids.shape[1]
    else:
        tokenizer, given = network.tokenizer.source, lambda _: 1
    wanted = []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        how = {"num_beams": 4, "length_penalty": 0.5, "do_sample": False, "max_new_tokens": 8, "eos_token_id": 3, "pad_token_id": 0}
        how["forced_eos_token_id"] = None
        with torch.inference_mode():
            written = network.model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **how)
        wanted.append(tokenizer.decode(written[0, given(ids) :], skip_special_tokens=True).strip())
    assert answers(network, Decoding(beams=4, length_penalty=0.5)) == wanted


def written_pairs(network, decoding):
    """How often the commonest pair of tokens is in each answer, its end and what was given left out."""
    taken, generate = [], network.model.generate
    network.model.generate = lambda **given: taken.append((given["input_ids"].shape[1], generate(**given))) or taken[-1][1]
    try:
        answers(network, decoding)
    finally:
        del network.model.generate
    most = []
    for read, rows in taken:
        given = read if network.spec.problem == "text-generation" else 1
        for row in rows[:, given:].tolist():
            end = row.index(3) if 3 in row else len(row)
            most.append(max(Counter(pairwise(row[:end])).values(), default=0))
    return most


def test_no_pair_of_tokens_is_written_twice(network):
    assert max(written_pairs(network, Decoding())) > 1 and max(written_pairs(network, Decoding(no_repeat_ngram_size=2))) == 1


def test_another_seed_draws_other_answers_and_equal_texts_have_one(network):
    first, second = (answers(network, Decoding(temperature=2.0, seed=seed)) for seed in (0, 1))
    assert first != second
    assert len(set(answers(network, Decoding(temperature=2.0), texts=TEXTS[:1] * 4))) == 1


def test_a_cold_draw_is_the_greedy_answer(network):
    assert answers(network, Decoding(temperature=1e-4)) == answers(network, Decoding())


def test_draws_have_the_shares_of_the_softmax():
    """4,000 texts, one draw each: the chi-squared test of their counts at 0.001 fails for one seed in a thousand."""
    scores = torch.tensor([2.0, 1.0, 0.0, -1.0, float("-inf")])
    draw = _SeededDraw(7, [f"text {n}" for n in range(4000)])
    counts = np.bincount(draw(torch.zeros(4000, 1), scores.repeat(4000, 1)).argmax(1).numpy(), minlength=5)
    shares = torch.softmax(scores, 0).numpy()[:4].astype(np.float64)
    assert counts[4] == 0 and stats.chisquare(counts[:4], 4000 * shares / shares.sum()).pvalue > 0.001
    again = draw(torch.zeros(4000, 1), scores.repeat(4000, 1)).argmax(1).numpy()
    assert 0.2 < (again == draw(torch.zeros(4000, 1), scores.repeat(4000, 1)).argmax(1).numpy()).mean() < 0.8, "steps differ"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"beams": 17}, "less than or equal to 16"),
        ({"beams": 2, "temperature": 1.0}, "temperature 1.0 draws, and beams 2 search: drop one of them"),
        ({"top_p": 0.9, "seed": 1}, "seed, top_p: nothing is drawn: set temperature"),
        ({"length_penalty": 2.0}, "one beam has nothing to compare: set beams"),
        ({"temperature": 0}, "greater than or equal to 0.0001"),
        ({"temperature": 1e-300}, "greater than or equal to 0.0001"),  # by which no logit can be divided
        ({"repetition_penalty": 1e-300}, "greater than or equal to 0.01"),
        ({"no_repeat_ngram_size": 1000}, "less than or equal to 64"),
    ],
)
def test_settings_that_are_out_of_bounds_or_without_effect_are_refused(given, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        Decoding(**given)


def test_a_classifier_writes_nothing_that_could_be_decoded():
    values = {"name": "a", "problem": "text-classification", "data": {"source": "a.csv"}, "model": {"base": "b"}}
    with pytest.raises(ValueError, match=r"evaluation.decoding: text-classification writes no texts: drop it"):
        Pipeline.model_validate({**values, "evaluation": {"decoding": {"beams": 2}}})
