"""What tests of a fit share: rows, the losses it logged, and its loss on the held-out rows, worked out anew."""

from contextlib import nullcontext

import tiny
import torch

from tasks.common.bases import find_base
from tasks.learning.network import TRAINABLE, build_network, read_spec
from tasks.problems.class_scores import calibrate_logits
from tasks.problems.classifier import encode_texts, run_in_batches

ROWS = tiny.frame(44)  # 6 batches of 8, the last one short
QUICK = {"epochs": 2, "batch_size": 8, "learning_rate": 3e-3}


def losses(trained):
    """Every loss of a training, in order."""
    return [entry[name] for entry in trained.history for name in ("loss", "eval_loss", "train_loss") if name in entry]


def held_out_losses(trained):
    """The calibrated validation loss after each epoch."""
    return [entry["eval_calibrated_loss"] for entry in trained.history if "eval_loss" in entry]


def measured(trained, temperature=1.0, rows=None):
    """The mean loss of a finished training on the held-out rows, its logits calibrated with a temperature."""
    spec, rows = read_spec(trained.folder), tiny.frame(12, 1) if rows is None else rows
    network = build_network(spec, find_base(spec.base_name).path, trained.folder / TRAINABLE)
    ids = encode_texts(network.tokenizer, rows["text"].tolist(), 16)
    logits = run_in_batches(network.model, ids, network.pad_id, 5, nullcontext)
    logits = torch.tensor(calibrate_logits(logits, temperature, spec.shares))
    targets = torch.tensor([spec.labels.index(label) for label in rows["target"]])
    return float(torch.nn.functional.cross_entropy(logits, targets))
