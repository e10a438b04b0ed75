"""What is the same and what is not: the keys under which work is found again instead of done twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from configs.schema import Pipeline
from tasks.learning.base import Base

ROOT = Path(__file__).parent.parent
PREPARE_CODE = ("tasks/text", "expectations")
TRAIN_CODE = ("tasks/text", "tasks/problems", "tasks/learning")
DECIDE_CODE = ("tasks/judgement",)
PREPARE_LIBRARIES = ("datasets", "great_expectations", "presidio_analyzer", "rensa", "py3langid", "tokenizers")
TRAIN_LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "peft", "trl", "safetensors")


def digest(value: Any) -> str:
    """sha256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


@cache
def code(*folders: str) -> str:
    """The hash of all code and data files under these folders of the project."""
    files = (file for folder in folders for file in sorted((ROOT / folder).rglob("*")))
    kept = [file for file in files if file.is_file() and file.suffix in (".py", ".json", ".yaml")]
    return digest({file.relative_to(ROOT).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in kept})


def libraries(names: Iterable[str]) -> dict[str, str]:
    """The installed versions."""
    return {name: _version(name) for name in names}


def prepare_key(pipeline: Pipeline, sources: Mapping[str, Any], base: Base, redactor: str, suites: Iterable[Path]) -> str:
    """All that determines a snapshot: the bytes of the sources, how they are read, the contract, the code."""
    settings = pipeline.data.model_dump(mode="json", exclude={"source", "test"})
    return digest(
        {
            "sources": sources,
            "data": settings,
            "problem": pipeline.problem,
            "contract": [
                pipeline.contract.max_quarantined,
                pipeline.contract.vocabulary,
                *(hashlib.sha256(file.read_bytes()).hexdigest() for file in suites),
            ],
            "tokens": [base.digest, pipeline.model.max_length],
            "redactor": redactor,
            "code": code(*PREPARE_CODE),
            "libraries": libraries(PREPARE_LIBRARIES),
        }
    )


def train_key(pipeline: Pipeline, rows: Mapping[str, str], base: Base, lineage: str | None) -> str:
    """All that determines a run's weights; `lineage` is the train-key of the champion that training starts from, if it does."""
    return digest(
        {
            "rows": {name: rows[name] for name in ("train", "validation")},
            "problem": pipeline.problem,
            "base": base.digest,
            "max_length": pipeline.model.max_length,
            "adapter": pipeline.adapter.model_dump(mode="json"),
            "objective": pipeline.objective.model_dump(mode="json"),
            "training": pipeline.training.model_dump(mode="json", exclude={"checkpoint_every", "work_pool"}),
            "lineage": lineage,
            "code": code(*TRAIN_CODE),
            "libraries": libraries(TRAIN_LIBRARIES),
        }
    )


def decision_key(pipeline: Pipeline, trained: str, test_rows: str, against: str | None) -> str:
    """All that determines a verdict; `against` is the version that the challenger is compared with."""
    return digest(
        {
            "train_key": trained,
            "test_rows": test_rows,
            "near": pipeline.data.deduplicate.threshold,  # which test rows are fair
            "evaluation": pipeline.evaluation.model_dump(mode="json"),
            "gate": pipeline.gate.model_dump(mode="json"),
            "against": against,
            "code": code(*DECIDE_CODE),
        }
    )


def scores_key(trained: str, test_rows: str, pipeline: Pipeline) -> str:
    """All that determines a model's per-example scores on a test set; a champion's train-key names the code of its own day."""
    return digest(
        {
            "train_key": trained,
            "test_rows": test_rows,
            "evaluation": pipeline.evaluation.model_dump(mode="json"),
            "code": code(*TRAIN_CODE),
            "libraries": libraries(TRAIN_LIBRARIES),
        }
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
