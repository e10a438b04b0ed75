"""One fit: what it learns from, how it bears too little memory, a loss that is no number, and being done already."""

import pandas as pd
import pytest
import tiny
import torch
from fit_parts import ROWS, losses, measured

from configs.errors import InfraError, InputError
from configs.schema import Full, Lora, Supervised, Training
from tasks.common.bases import find_base
from tasks.learning import device, fit
from tasks.learning.best_epoch import best_epoch
from tasks.learning.network import TRAINABLE, build_network, outline_network, spec_of
from tasks.learning.objectives import run as training_run
from tasks.learning.objectives.supervised import SupervisedObjective
from tasks.learning.trainer import FitPlan
from tasks.problems.types import EncodedRows


@pytest.fixture
def out_of_memory(monkeypatch):
    """Steps with more than `most` rows do not fit, from the `after`-th on."""
    from transformers import Trainer

    def limit(most, after=1, error=None):
        step, seen = Trainer.training_step, []

        def limited(self, model, inputs, *rest):
            seen.append(len(inputs["input_ids"]))
            if len(seen) >= after and seen[-1] > most:
                raise error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return step(self, model, inputs, *rest)

        monkeypatch.setattr(Trainer, "training_step", limited)
        return seen

    return limit


def test_a_fit_learns_and_tells_every_step(train):
    trained = train(epochs=6)
    assert train.moved == [(step, 36) for step in range(1, 37)]
    seen = [values["eval_loss"] for _, values in train.logged if "eval_loss" in values]
    assert len(seen) == 6 and seen[-1] < seen[0] and trained.steps == 36
    assert [step for step, values in train.logged if "eval_loss" in values] == [6, 12, 18, 24, 30, 36]
    assert [step for step, values in train.logged if "loss" in values] == list(range(1, 37))


@pytest.mark.parametrize(("epochs", "every", "steps"), [(2, 100, 1), (17, 100, 2), (100, 100, 10), (100, 7, 7), (100, 11, 1)])
def test_a_training_logs_some_thirty_losses_and_none_over_two_checkpoints(epochs, every, steps, tmp_path):
    training = Training(epochs=epochs, batch_size=8, checkpoint_every=every)
    assert FitPlan(training, 1e-3, [4] * 32, 8, device.numerics("fp32"), tmp_path, tmp_path).log_every == steps


def test_what_is_done_is_not_done_again(train):
    first = train()
    moved = len(train.moved)
    assert train() == first and len(train.moved) == moved


def test_a_finished_training_that_was_damaged_is_done_again(train):
    first = train()
    (first.folder / TRAINABLE).write_bytes(b"damaged")
    assert fit.finished_fit(first.folder.parent) is None
    assert train().weights == first.weights


@pytest.mark.parametrize("adapter", [Full(), Lora(r=4)], ids=["full", "lora"])
def test_out_of_memory_once_it_goes_on_in_smaller_pieces_to_the_same_weights(train, out_of_memory, adapter):
    whole = train("whole", adapter=adapter)
    seen = out_of_memory(4, after=4)
    pieces = train("pieces", adapter=adapter)
    assert train.said == ["out of memory with 8 rows at once; once more with 2 and gradient accumulation"]
    assert (pieces.micro, pieces.steps) == (2, whole.steps) and max(seen[4:]) == 2
    assert losses(pieces) == pytest.approx(losses(whole), abs=2e-5)


def test_memory_found_too_small_is_remembered_by_who_resumes(train, out_of_memory, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / training_run.MICRO).write_text("2")
    seen = out_of_memory(4)
    assert train().micro == 2 and max(seen) == 2 and train.said == []


@pytest.mark.parametrize("error", [None, MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")])
def test_out_of_memory_twice_is_the_worlds_fault_with_its_remedy(train, out_of_memory, error):
    out_of_memory(0, error=error)
    with pytest.raises(InfraError, match=r"out of memory with 2 rows at once on .* lower model.max_length"):
        train()


def test_any_other_error_is_not_taken_for_want_of_memory(train, out_of_memory):
    out_of_memory(0, error=RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        train()
    assert train.said == []


def test_a_model_that_cannot_fit_is_refused_beforehand_with_the_numbers(train, monkeypatch):
    monkeypatch.setattr(device, "free_memory", lambda how: 3 * 2**20 // 10)
    monkeypatch.setattr(training_run, "build_network", lambda *_: pytest.fail("loaded before it was known to fit"))
    with pytest.raises(InfraError, match=r"needs weights 0.00 GiB, .* 0.00 GiB are free on .* Use adapter.kind=lora"):
        train()
    assert train.moved == []


def test_a_loss_that_is_no_number_stops_at_its_step_and_leaves_nothing_trained(train, tmp_path):
    with pytest.raises(InfraError, match=r"went wrong twice .*the loss is nan.* Lower training.learning_rate"):
        train(learning_rate=1e30, max_grad_norm=1e30, warmup=0)
    assert not (tmp_path / "run" / "trained").exists()


def test_weights_that_the_last_step_made_no_numbers_are_not_kept(train, tmp_path):
    with pytest.raises(InfraError, match=r"went wrong twice \(step 1, learning rate 1e\+38: the weights are not finite"):
        rates = {"learning_rate": 1e38, "head_learning_rate_factor": 10}
        train(rows=tiny.frame(4), epochs=1, batch_size=4, max_grad_norm=1e30, warmup=0, **rates)
    assert not (tmp_path / "run" / "trained").exists()


@pytest.mark.parametrize("adapter", [Full(), Lora(r=2)], ids=["full", "lora"])
@pytest.mark.parametrize(("problem", "made"), [("text-classification", tiny.bert), ("text-generation", tiny.llama)])
def test_what_a_network_needs_is_known_before_it_is_loaded(problem, made, adapter, tmp_path):
    base = find_base(str(made(tmp_path / "base")))
    spec = spec_of(problem, adapter, ("a", "b"), 16, 0, base)
    hollow, whole = outline_network(spec, base.path), build_network(spec, base.path).model

    def weighed(model):
        return {(name, value.shape, value.requires_grad) for name, value in model.named_parameters()}

    known, there = weighed(hollow), weighed(whole.encoder if problem == "text-classification" else whole)
    assert there <= known and all("pooler" in name for name, *_ in known - there)  # a mean over tokens leaves the pooler out
    assert all(value.is_meta for value in hollow.parameters())


LAST_RESORT = {"eval_one_class": 1.0}  # kept if every epoch is so, and best at a temperature at which it names several classes


@pytest.mark.parametrize(
    ("epochs", "best"),
    [
        ([], None),
        ([{"eval_loss": 0.5}, {"eval_loss": 0.4}, {"eval_loss": 0.45}], 2),
        ([{"eval_loss": 0.4, "eval_calibrated_loss": 0.4}, {"eval_loss": 0.9, "eval_calibrated_loss": 0.3}], 2),
        ([{"eval_loss": 0.5, "one_class": 1.0}, {"eval_loss": 0.55, "one_class": 0.0}], 2),  # one that learned comes first
        ([{"eval_loss": 0.5, "one_class": 1.0}, {"eval_loss": 0.71, "one_class": 0.0}], 1),  # if it does better than no training
        ([{"eval_loss": 0.5, "eval_one_class": 1.0}, {"eval_loss": 0.55, "eval_one_class": 0.0}], 2),  # of held-out rows likewise
        ([{**LAST_RESORT, "eval_loss": 0.5}, {**LAST_RESORT, "eval_loss": 0.6, "eval_several_classes_loss": 0.72}], 2),
        ([{**LAST_RESORT, "eval_loss": 0.5}, {**LAST_RESORT, "eval_loss": 0.6, "eval_several_classes_loss": 0.77}], 1),
        ([{"eval_loss": 0.65}, {**LAST_RESORT, "eval_loss": 0.5, "eval_several_classes_loss": 0.55}], 1),
    ],
)
def test_the_best_epoch_is_the_one_whose_answers_will_be_best_once_calibrated(epochs, best):
    logged = [entry for epoch in epochs for entry in ({"loss": 0.1}, epoch)]
    assert best_epoch(logged, 0.69) == best


def test_early_stopping_keeps_the_best_weights_not_the_last(train):
    rows = tiny.frame(44).assign(target=lambda frame: frame["target"].sample(frac=1, random_state=0).to_numpy())  # nothing to learn
    stopped = train("stopped", rows=rows, epochs=30, early_stopping=2, learning_rate=1e-2)
    seen = [values["eval_calibrated_loss"] for _, values in train.logged if "eval_loss" in values]
    assert len(seen) == seen.index(min(seen)) + 3 < 30 and any("stopped early" in sentence for sentence in train.said)
    assert stopped.epoch == seen.index(min(seen)) + 1
    assert measured(stopped, stopped.temperature) == pytest.approx(min(seen), abs=1e-4)


def test_without_held_out_rows_no_loss_is_watched(train):
    train(held_out=tiny.frame(1)[:0])
    assert not any("eval_loss" in values for _, values in train.logged)


def test_a_held_out_label_that_training_never_saw_is_named(train):
    with pytest.raises(InputError, match=r"1 labels have no training row \(unheard\)"):
        train(held_out=tiny.frame(3).assign(target="unheard"))


def test_the_seed_decides_and_everything_else_repeats(train):
    one, same, other = train("1", adapter=Lora(r=4)), train("2", adapter=Lora(r=4)), train("3", adapter=Lora(r=4), seed=1)
    assert one.weights == same.weights != other.weights


def test_training_starts_from_the_champions_weights_where_it_is_told_to(train):
    champion = train("champion", epochs=6)
    train.logged.clear()
    train("onward", start=champion.folder, epochs=1, learning_rate=1e-9)
    train("afresh", epochs=1, learning_rate=1e-9)
    onward, afresh = (values["eval_loss"] for _, values in train.logged if "eval_loss" in values)
    assert onward < 0.7 * afresh


@pytest.mark.parametrize(
    ("change", "said"),
    [({"adapter": Lora(r=4)}, "adapter"), ({"rows": ROWS[ROWS["target"] != ROWS["target"][0]]}, "labels")],
)
def test_a_champion_of_another_make_is_no_start(train, change, said):
    champion = train("champion", epochs=1)
    with pytest.raises(InputError, match=f"the champion has another {said} than this training.* set training.start=base"):
        train("onward", start=champion.folder, held_out=ROWS[:0], **change)


@pytest.mark.parametrize(
    ("factor", "rate", "head_rate"), [(7, 1e-3, 7e-3), (None, 5e-4, 5e-3), (None, 3e-2, 1e-2), (10, 3e-2, 0.3)]
)
def test_the_head_learns_at_its_own_rate_and_biases_do_not_decay(factor, rate, head_rate, steady_bert, tmp_path):
    base = find_base(str(steady_bert))
    network = build_network(spec_of("text-classification", Full(), ("a", "b"), 16, 0, base), base.path)
    training = Training(learning_rate=rate, head_learning_rate_factor=factor, weight_decay=0.1)
    plan = FitPlan(training, rate, [4], 1, device.numerics("fp32"), tmp_path, tmp_path)
    trainer = SupervisedObjective(Supervised()).make_trainer(
        network, EncodedRows([{"input_ids": [2, 9, 10, 3], "labels": 1}], []), plan
    )
    trainer.plan = plan
    optimizer = trainer.create_optimizer()
    found = {id(value): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for value in group["params"]}
    named = {name: found[id(value)] for name, value in network.model.named_parameters()}
    assert len(found) == len(named)
    assert named.pop("head.weight") == (pytest.approx(head_rate), 0.1)
    assert named.pop("head.bias") == (pytest.approx(head_rate), 0)
    assert all(other == rate for other, _ in named.values())
    assert all(decay == (0 if "bias" in name or "LayerNorm" in name else 0.1) for name, (_, decay) in named.items())


@pytest.mark.parametrize("objective", [Supervised(class_weights="balanced"), Supervised(label_smoothing=0.2)])
def test_balanced_classes_and_smoothed_labels_change_what_is_learned(train, objective):
    rows = pd.concat([ROWS[:24], ROWS[ROWS["target"] == ROWS["target"][0]]], ignore_index=True)  # one class has more rows
    plain, other = train("plain", rows=rows), train("other", rows=rows, objective=objective)
    assert abs(losses(plain)[-1] - losses(other)[-1]) > 1e-3
