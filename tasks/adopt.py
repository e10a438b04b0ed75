"""The face of adopting: a model that was fine-tuned elsewhere, kept as a base with its own head, and found again by its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.cache_policies import NO_CACHE

from configs.errors import InfraError, InputError
from configs.schema import Pipeline
from tasks.common.bases import Base
from tasks.common.home import Home
from tasks.common.orchestration import task
from tasks.data.labels import fold_label
from tasks.identity.keys import json_sha256
from tasks.ledger.decisions import Decision, decisions_of
from tasks.ledger.promotions import Ledger
from tasks.opponent import ADOPTED
from tasks.release import base_folder
from tasks.tracking.client import Tracking

if TYPE_CHECKING:
    from tasks.learning.finetuned import FinetunedModel
    from tasks.learning.fit import TrainingResult


def adoption_key(pipeline: Pipeline, model: FinetunedModel) -> str:
    """All that determines the answers of an adopted model: it takes the place of the train-key, which is unknown."""
    languages = pipeline.model.language_codes
    return json_sha256(
        {
            "adopted": model.base.digest,
            "problem": pipeline.family,
            "max_length": pipeline.model.max_length,
            **({"languages": languages} if languages else {}),
        }
    )


def adopted_before(ledger: Ledger, pipeline: str, key: str) -> Decision | None:
    """The last adoption of the same model, if it was adopted to the end."""
    adoptions = (
        decision for decision in decisions_of(ledger, pipeline) if decision.verdict == ADOPTED and decision.train_key == key
    )
    return max(adoptions, key=lambda decision: decision.at, default=None)


def check_labels(folder: Path, labels: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a model whose classes are not those of the data, each spelled alike; raises InputError naming what differs."""
    own, data_labels = set(labels), set(known)
    if own == data_labels:
        return
    alike = {fold_label(label): label for label in data_labels - own}
    respelled = [
        f"`{label}` is `{alike[fold_label(label)]}` in the data"
        for label in sorted(own - data_labels)
        if fold_label(label) in alike
    ]
    faults = [
        *respelled,
        *([f"the data have {_label_list(data_labels - own)} besides"] if data_labels - own and not respelled else []),
        *([f"the model has {_label_list(own - data_labels)} besides"] if own - data_labels and not respelled else []),
    ]
    raise InputError(
        f"--model {folder}: its classes are not those of the data: {'; '.join(faults)}: model and data must know the same classes "
        "by the same names (id2label of config.json, data.label)"
    )


def _label_list(labels: set[str]) -> str:
    first = ", ".join(f"`{label}`" for label in sorted(labels)[:5])
    return first + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")


@task(name="keep-model", cache_policy=NO_CACHE)
def keep_network(
    pipeline: Pipeline, home: Home, tracking: Tracking, model: FinetunedModel, key: str
) -> tuple[Base, TrainingResult]:
    """Store the model once, as a base under its hash, and its network's description; from here on its folder is not read.

    The network is a training's result in which nothing was trained, so it passes through all stages of a version.
    """
    from tasks.common.files import atomic_folder
    from tasks.learning.adapters import save_trainable
    from tasks.learning.device import numerics
    from tasks.learning.fit import RESULT, TrainingResult, finished_fit
    from tasks.learning.network import TRAINABLE, build_network, save_spec
    from tasks.problems.conversations import check_template

    spec = model.spec(pipeline.problem, pipeline.model.max_length, pipeline.model.language_codes)
    spec = replace(spec, messages=pipeline.data.messages is not None)
    uri = tracking.store_base(replace(model.base, name=spec.base_name))
    base = replace(model.base, name=spec.base_name, path=base_folder(tracking, home, spec, uri))
    run = home.run(key)
    if finished_fit(run) is None:
        network = build_network(spec, base.path)
        if spec.messages:
            check_template(spec.base_name, network.tokenizer)
        with atomic_folder(run / "trained") as aside:
            save_trainable(network.model, aside / TRAINABLE)
            save_spec(spec, aside)
            weights = hashlib.sha256((aside / TRAINABLE).read_bytes()).hexdigest()
            result = TrainingResult(aside, weights, 0, 0.0, 0, 0, numerics(pipeline.training.precision), ())
            (aside / RESULT).write_text(json.dumps({**asdict(result), "folder": None}))
    trained = finished_fit(run)
    if trained is None:
        raise InfraError(f"{run / 'trained'} was written and does not read back: check the disk")
    return base, replace(trained, weights=base.weights)
