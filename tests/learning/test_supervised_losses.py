"""Focal loss and R-Drop: what they are by their papers' formulas, and that a training with them learns."""

import numpy as np
import pytest
import tiny
import torch
from torch.nn.functional import cross_entropy, kl_div

from configs.errors import InputError
from configs.schema import Lora, Pipeline, Supervised
from tasks.learning.collapse import constant_loss
from tasks.learning.objectives.r_drop import check_dropout, divergence, r_drop_trainer
from tasks.problems.classifier import cross_entropy_loss

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, -3.0], [30.0, 0.0, 0.0]], requires_grad=True)
LABELS = torch.tensor([0, 2, 0])
DROPPING = Lora(r=4, dropout=0.2)


def test_a_row_that_is_right_already_counts_less_by_the_power_of_what_is_missing():
    p = LOGITS.softmax(1)[range(3), LABELS]
    expected = ((1 - p) ** 2 * -p.log()).sum() / 3
    loss = cross_entropy_loss(None, 0.0, 2.0)({"logits": LOGITS}, LABELS)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert LOGITS.grad.isfinite().all(), "a row whose probability is 1 has a gradient all the same"
    torch.testing.assert_close(cross_entropy_loss(None, 0.0, 1e-9)({"logits": LOGITS}, LABELS), cross_entropy(LOGITS, LABELS))


def test_class_weights_scale_focal_rows_too():
    weights = torch.tensor([0.5, 1.0, 4.0])
    each = [cross_entropy_loss(None, 0.0, 2.0)({"logits": LOGITS[i : i + 1]}, LABELS[i : i + 1]) for i in range(3)]
    expected = sum(weights[label] * loss for label, loss in zip(LABELS, each, strict=True)) / 3
    torch.testing.assert_close(cross_entropy_loss(weights, 0.0, 2.0)({"logits": LOGITS}, LABELS), expected)


def test_the_divergence_is_the_mean_of_both_directions():
    others = LOGITS.detach() + torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    logs, other_logs = LOGITS.log_softmax(1), others.log_softmax(1)
    both = kl_div(other_logs, logs, log_target=True, reduction="sum") + kl_div(logs, other_logs, log_target=True, reduction="sum")
    torch.testing.assert_close(divergence(LOGITS, others), both / 2)
    assert float(divergence(LOGITS, LOGITS).detach()) == 0


def test_the_loss_of_an_answer_that_knows_the_shares_alone_is_known_for_focal_too():
    shares = np.array([0.75, 0.25])
    expected = float(-(shares * (1 - shares) ** 2 * np.log(shares)).sum())
    assert constant_loss([0, 0, 0, 1], 2, 0.0, None, 2.0) == pytest.approx(expected)


@pytest.mark.parametrize("objective", [Supervised(focal_gamma=2), Supervised(r_drop=2)], ids=["focal", "r_drop"])
def test_a_training_with_it_learns_and_is_the_same_twice(objective, train):
    trained, again = (train(run, DROPPING, objective=objective, rows=tiny.frame(80), epochs=8) for run in ("one", "two"))
    losses = [entry["eval_calibrated_loss"] for entry in trained.history if "eval_calibrated_loss" in entry]
    assert trained.weights == again.weights and min(losses) < losses[0]


class PlainTrainer:
    """As transformers' Trainer computes a loss: it takes the labels out of its inputs."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = cross_entropy(outputs["logits"], labels, reduction="sum") / (num_items_in_batch or len(labels))
        return (loss, outputs) if return_outputs else loss


class Forgetful(torch.nn.Module):
    """Answers otherwise at each pass while it is trained."""

    passes = 0

    def forward(self, logits):
        self.passes += self.training
        return {"logits": logits + self.passes * torch.tensor([1.0, 0.0, -1.0])}


def test_a_training_step_is_the_mean_of_two_passes_and_half_of_their_divergence_a_row():
    trainer, model, logits = r_drop_trainer(PlainTrainer, 3.0)(), Forgetful(), LOGITS.detach()
    loss = trainer.compute_loss(model, {"logits": logits, "labels": LABELS}, num_items_in_batch=6)
    first, second = (logits + turn * torch.tensor([1.0, 0.0, -1.0]) for turn in (1, 2))
    entropies = [cross_entropy(each, LABELS, reduction="sum") / 6 for each in (first, second)]
    torch.testing.assert_close(loss, sum(entropies) / 2 + 3.0 * divergence(first, second) / 2 / 6)
    held_out = trainer.compute_loss(model.eval(), {"logits": logits, "labels": LABELS})
    torch.testing.assert_close(held_out, cross_entropy(second, LABELS))
    assert model.passes == 2


def test_a_network_without_dropout_is_refused():
    with pytest.raises(InputError, match=r"objective\.r_drop: b has no dropout.* set adapter\.dropout"):
        check_dropout(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.0)), "b")


@pytest.mark.parametrize(("problem", "objective", "says"), [
    ("text-regression", {"focal_gamma": 2}, r"objective\.focal_gamma is of problems with one class a row"),
    ("text-regression", {"r_drop": 1}, r"objective\.r_drop is of problems with one class a row"),
    ("text-classification", {"focal_gamma": 2, "label_smoothing": 0.1}, "drop one of them"),
])  # fmt: skip
def test_what_has_no_effect_or_two_is_refused(problem, objective, says):
    values = {"name": "a", "problem": problem, "model": {"base": "b"}, "data": {"source": "a.csv"}, "objective": objective}
    with pytest.raises(ValueError, match=says):
        Pipeline.model_validate(values)
