"""text-generation: what loss is taken on, likelihoods held to a plain calculation, answers that do not hang on their batch."""

from contextlib import nullcontext

import numpy as np
import pytest
import tiny
import torch

from configs.schema import Full, Lora, Supervised, Training
from tasks.common.bases import find_base
from tasks.learning.fit import Listener
from tasks.learning.network import TRAINABLE, build_network, spec_of
from tasks.learning.objectives.run import TrainingMaterial, train_network
from tasks.problems import decoder
from tasks.problems.likelihood import log_likelihoods
from tasks.problems.padding import IGNORED
from tasks.problems.types import Writing

ROWS = tiny.pairs(40)


@pytest.fixture(scope="module")
def network(llama_folder):
    base = find_base(str(llama_folder))
    return build_network(spec_of("text-generation", Lora(r=4), (), 24, 0, base), base.path)


@pytest.fixture(scope="module")
def encoded(network):
    return decoder.encode_completions(network.tokenizer, ROWS, 24)


def words(network, ids):
    return network.tokenizer.decode(ids)


def test_loss_is_taken_on_the_completion_and_its_end_alone(network, encoded):
    for row, prompt, answer in zip(encoded, ROWS["text"], ROWS["target"], strict=True):
        taken = [token for token in row["labels"] if token != IGNORED]
        assert words(network, taken) == f"{answer} [SEP]"
        assert words(network, row["input_ids"]) == f"{prompt} {answer} [SEP]"
        assert row["labels"][-len(taken) :] == row["input_ids"][-len(taken) :] == taken


@pytest.mark.parametrize(
    ("prompt", "answer", "kept"),
    [(9, 3, (6, 4)), (2, 20, (2, 8)), (20, 20, (5, 5)), (3, 2, (3, 3)), (0, 30, (0, 10))],
)
def test_where_both_do_not_fit_the_prompt_loses_its_beginning_and_a_long_completion_its_end(prompt, answer, kept):
    row = decoder._join_prompt_answer(list(range(100, 100 + prompt)), list(range(200, 200 + answer)), 3, 10)
    said = [token for token in row["labels"] if token != IGNORED]
    assert (len(row["input_ids"]) - len(said), len(said)) == kept and len(row["input_ids"]) == len(row["labels"]) <= 10
    assert row["input_ids"][: kept[0]] == list(range(100, 100 + prompt))[prompt - kept[0] :]
    assert (said[-1] == 3) == (answer < kept[1])


def naive(model, row):
    """Token by token, the row alone."""
    with torch.inference_mode():
        said = torch.log_softmax(model(input_ids=torch.tensor([row["input_ids"]], device=model.device)).logits[0].double(), -1)
    chosen = [said[place - 1, token] for place, token in enumerate(row["labels"]) if token != IGNORED]
    return float(sum(chosen)), len(chosen)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_likelihoods_are_those_of_a_plain_calculation_row_by_row(network, encoded, size):
    found = log_likelihoods(network.model, encoded, decoder.collate_rows(network.pad_id), size, nullcontext, shifted=True)
    np.testing.assert_allclose(found, [naive(network.model, row) for row in encoded], rtol=1e-5)


def test_an_answer_is_the_same_whatever_its_batch_and_every_time(network):
    prompts = ROWS["text"].tolist()[:12]
    alone, together, again = (decoder.generate_answers(network, prompts, Writing(8), size) for size in (1, 5, 5))
    assert alone == together == again and len(alone) == 12 and all(alone)


def test_the_prompt_of_a_short_model_is_not_given_up_for_a_long_answer(network):
    """A model that reads 24 tokens, asked for 64: half is the prompt's, so that prompts which differ are answered differently."""
    prompts = ["kan kale", "kado kale"]
    taken = []
    generate = network.model.generate
    network.model.generate = lambda **given: (
        taken.append((given["input_ids"].shape[1], given["max_new_tokens"])) or generate(**given)
    )
    try:
        decoder.generate_answers(network, prompts, Writing(64), 2)
    finally:
        del network.model.generate
    assert taken == [(2, 12)]


@pytest.fixture
def fitted(llama_folder, tmp_path):
    def fit(run, rows=ROWS, adapter=None, **settings):
        base = find_base(str(llama_folder))
        spec = spec_of("text-generation", adapter or Lora(r=8), (), 24, 0, base)
        training = Training(**{"epochs": 2, "batch_size": 8, "learning_rate": 1e-2, "precision": "fp32", **settings})
        nothing = Listener(lambda *_: None, lambda *_: None, fit.said.append)
        trained = train_network(
            TrainingMaterial(spec, base.path, rows, tiny.pairs(8, 1)), Supervised(), training, tmp_path / run, nothing
        )
        return trained, build_network(spec, base.path, trained.folder / TRAINABLE)

    fit.said = []
    return fit


def test_training_raises_the_likelihood_of_completions_it_never_saw(fitted, network):
    held_out = decoder.encode_completions(network.tokenizer, tiny.pairs(60, 2), 24)
    _, better = fitted("run", tiny.pairs(200), Full(), epochs=5, learning_rate=5e-3)
    before, after = (
        log_likelihoods(each.model, held_out, decoder.collate_rows(0), 32, nullcontext, shifted=True).sum(0)
        for each in (network, better)
    )
    assert after[0] / after[1] > before[0] / before[1] + 1


def test_the_loss_that_is_watched_is_the_likelihood_that_is_scored(fitted):
    trained, network = fitted("run")
    held_out = decoder.encode_completions(network.tokenizer, tiny.pairs(8, 1), 24)  # one batch of them
    likelihood, tokens = log_likelihoods(network.model, held_out, decoder.collate_rows(0), 8, nullcontext, shifted=True).sum(0)
    assert min(entry["eval_loss"] for entry in trained.history if "eval_loss" in entry) == pytest.approx(
        -likelihood / tokens, rel=1e-5
    )


@pytest.mark.slow
def test_a_training_is_the_same_every_time_and_in_smaller_pieces_but_for_rounding(fitted, monkeypatch):
    one, _ = fitted("one")
    assert fitted("same")[0].weights == one.weights
    from transformers import Trainer

    step = Trainer.training_step

    def limited(self, model, inputs, *rest):
        if len(inputs["input_ids"]) > 4:
            raise torch.OutOfMemoryError
        return step(self, model, inputs, *rest)

    monkeypatch.setattr(Trainer, "training_step", limited)
    pieces, _ = fitted("pieces")
    assert pieces.micro == 2 and fitted.said
    losses = [[entry["eval_loss"] for entry in trained.history if "eval_loss" in entry] for trained in (one, pieces)]
    assert losses[0] == pytest.approx(losses[1], rel=2e-4)


def test_an_answer_ends_where_training_put_its_end_whatever_the_base_says_of_it(network):
    """A base may name another end token than its tokenizer, or none: then no answer would ever end."""
    model, tokenizer = network.model.eval(), network.tokenizer
    before = model.generation_config.eos_token_id
    (prompt,) = ROWS["text"].head(1)
    ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"].to(model.device)
    with torch.no_grad():
        first = int(model(ids).logits[0, -1].argmax())
    try:
        for own in (None, 0, [0, 1]):
            model.generation_config.eos_token_id = own
            wanted = {tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])} - {None}
            assert decoder._end_tokens(model, tokenizer) == sorted(wanted)
        model.generation_config.eos_token_id = None
        tokenizer.eos_token = end = tokenizer.convert_ids_to_tokens(first)  # the token it says first is its end
        assert decoder.generate_answers(network, [prompt], Writing(8), 1) == [end]
    finally:
        model.generation_config.eos_token_id, tokenizer.eos_token = before, "[SEP]"
