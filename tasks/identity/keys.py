"""Keys of finished work, under which it is found again instead of done twice."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from configs.schema import Data, Evaluation, Frozen, Pipeline, Training
from tasks.common.bases import Base
from tasks.common.files import write_json
from tasks.common.home import configured_home
from tasks.identity.choice import Choice, choice_of
from tasks.identity.executed_code import executed_code, source_bytes
from tasks.identity.source_modules import Definition
from tasks.identity.user_code import function_files

IDENTITY = "identity/identity.json"  # the artifact of a run that says what it was made by
ROOT = Path(__file__).parents[2]
READ_BY = tuple(name for name in Data.model_fields if name not in ("source", "test"))  # how data are read, wherever they are
PREPARE_LIBRARIES = ("datasets", "great_expectations", "presidio_analyzer", "rensa", "py3langid", "tokenizers")
JUDGED_BY = ("judge", "scorers")  # settings of `evaluation` that score nothing anew: they look at answers that are there
SCORED_BY = tuple(name for name in Evaluation.model_fields if name not in JUDGED_BY)
TRAIN_LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "peft", "trl", "safetensors")
ENTRIES: dict[str, tuple[Definition, ...]] = {  # what each key's computation begins with
    "prepare": (
        ("tasks.prepare", "open_source"), ("tasks.contract", "validate"), ("tasks.prepare", "prepare"),
        ("tasks.prepare", "seal_snapshot"),
        ("tasks.vocabulary", "check_raw"), ("tasks.vocabulary", "check_prepared"),
    ),
    "check": (("tasks.base_check", "check_base"),),
    "train": (("tasks.train", "train"),),
    "score": (
        ("tasks.evaluate", "evaluate"), ("tasks.evaluate", "evaluate_fit"), ("tasks.evaluate", "lexical_baselines"),
        ("tasks.evaluate", "score_baselines"),
    ),
    "decide": (
        ("tasks.decide", "decide"), ("tasks.decide", "fair_rows"), ("tasks.decide", "asked_alike"),
        ("tasks.evaluate", "primary_of"),
    ),
    "batch": (("tasks.score", "score"),),
}  # fmt: skip


def json_sha256(value: object) -> str:
    """sha256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


def code_of(stage: str, pipeline: Pipeline) -> dict[str, str]:
    """`module.name` -> sha256 of every definition that a stage (one of ENTRIES) executes for this pipeline."""
    return dict(_code_of(stage, choice_of(pipeline)))


@cache
def _code_of(stage: str, choice: Choice) -> dict[str, str]:
    """From the home, if this very code was read before: to read it takes up to a second, and a run that has nothing to do waits."""
    entries = ENTRIES[stage]
    key = json_sha256([source_bytes(ROOT), entries, sorted(choice.chosen), sorted(choice.possible), sys.version_info[:2]])
    file = configured_home().path / "index" / f"code-{key[:32]}.json"
    with suppress(OSError, ValueError):
        stored_code: dict[str, str] = json.loads(file.read_text())
        return stored_code
    code = executed_code(entries, choice, ROOT)
    if file.parents[1].is_dir():  # there is a home
        with suppress(OSError):  # one that cannot be written: read again next time
            file.parent.mkdir(exist_ok=True)
            write_json(file, code)
    return code


def changed_code(earlier: Mapping[str, str], now: Mapping[str, str], most: int = 5) -> list[str]:
    """The definitions that differ, by name; of more than `most` the rest is counted."""
    names = sorted(name for name in earlier.keys() | now.keys() if earlier.get(name) != now.get(name))
    return names if len(names) <= most else [*names[:most], f"{len(names) - most} more"]


def settings_of(section: Frozen, names: Iterable[str] | None = None) -> dict[str, object]:
    """The settings of a section, or those named, that are not at their defaults.

    `defaults` is the number of the defaults themselves, where one of them was ever changed: see `Frozen.DEFAULTS`.
    """
    values: dict[str, object] = {"defaults": section.DEFAULTS} if section.DEFAULTS else {}
    plain = section.model_dump(mode="json")
    for name in type(section).model_fields if names is None else names:
        value, default = getattr(section, name), type(section).model_fields[name].get_default(call_default_factory=True)
        if isinstance(value, tuple) and value and all(isinstance(each, Frozen) for each in value):
            values |= {name: [{**_kind_of(each), **settings_of(each)} for each in value]}
            continue
        if not isinstance(value, Frozen):
            values |= {} if value == default else {name: plain[name]}
            continue
        kind = {} if value == default else _kind_of(value)
        values |= {name: within} if (within := kind | settings_of(value)) else {}
    return values


def _kind_of(section: Frozen) -> dict[str, object]:
    """The setting that says which of several sections it is."""
    return {name: getattr(section, name) for name in ("kind", "by") if name in type(section).model_fields}


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """The installed versions."""
    return {name: _version(name) for name in names}


def prepare_key(pipeline: Pipeline, sources: Mapping[str, object], base: Base, redactor: str, suites: Iterable[Path]) -> str:
    """All that determines a snapshot: the bytes of the sources, how they are read, the contract, the code."""
    return json_sha256(
        {
            "sources": sources,
            "data": settings_of(pipeline.data, READ_BY),
            "problem": pipeline.family,
            **({"pairs": True} if pipeline.last_objective.needs_pairs else {}),
            "contract": settings_of(pipeline.contract, ("max_quarantined", "vocabulary")),
            "suites": [hashlib.sha256(file.read_bytes()).hexdigest() for file in suites],
            "tokens": [base.digest, settings_of(pipeline.model, ("max_length",))],
            "redactor": redactor,
            "code": code_of("prepare", pipeline),
        }
    )


def train_identity(pipeline: Pipeline, rows: Mapping[str, str], base: Base, lineage: str | None) -> dict[str, object]:
    """All that determines a run's weights, by kind; `lineage` is the train-key of the champion that training starts from, if any.

    The versions of libraries are among it where `training.pin` asks for them.
    """
    of_training = [name for name in Training.model_fields if name not in ("checkpoint_every", "work_pool", "pin")]
    return {
        "rows": {name: rows[name] for name in ("train", "validation")},
        "settings": {
            "problem": pipeline.family,
            "max_length": settings_of(pipeline.model, ("max_length", "languages")),
            **settings_of(pipeline, ("adapter", "objective")),
            "training": settings_of(pipeline.training, of_training),
        },
        "base": base.digest,
        "lineage": lineage,
        "code": code_of("train", pipeline),
        "libraries": library_versions(TRAIN_LIBRARIES) if pipeline.training.pin == "libraries" else {},
    }


def stage_identity(pipeline: Pipeline) -> dict[str, Mapping[str, object]]:
    """Settings, code and libraries of a run, whatever its data: kept with it, so that a later version can tell what is other."""
    settings = settings_of(pipeline, ("problem", "model", "contract", "adapter", "objective", "training", "evaluation", "gate"))
    settings |= {"problem": pipeline.family, "data": settings_of(pipeline.data, READ_BY)}
    code = {stage: code_of(stage, pipeline) for stage in ("prepare", "train", "score", "decide")}
    return {"settings": settings, "code": code, "libraries": library_versions(TRAIN_LIBRARIES)}


def train_key(pipeline: Pipeline, rows: Mapping[str, str], base: Base, lineage: str | None) -> str:
    """The digest of what determines a run's weights."""
    return json_sha256(train_identity(pipeline, rows, base, lineage))


def decision_key(pipeline: Pipeline, trained: str, test_rows: str, against: str | None) -> str:
    """All that determines a verdict; `against` is the version that the challenger is compared with."""
    return json_sha256(
        {
            "scores": scores_key(trained, test_rows, pipeline),
            "near": settings_of(pipeline.data.deduplicate, ("threshold",)),  # which test rows are fair
            "gate": settings_of(pipeline.gate),
            "against": against,
            "code": code_of("decide", pipeline),
            **judged_by(pipeline),
        }
    )


def judged_by(pipeline: Pipeline) -> dict[str, object]:
    """What else compares answers: its settings, and the bytes of the files that it reads; nothing where nothing does."""
    settings = settings_of(pipeline.evaluation, JUDGED_BY)
    if not settings:
        return {}
    return {"judged": settings, "judging_files": {name: _file_sha256(name) for name in judging_files(pipeline)}}


def judging_files(pipeline: Pipeline) -> list[str]:
    """The files of people's judgements that a pipeline names, and those of its own scorers, with what they import."""
    judge = pipeline.evaluation.judge
    files = [str(file) for scorer in pipeline.evaluation.scorers for file in function_files(scorer.function)]
    if judge is None:
        return files
    source = judge.source if judge.kind == "human" else judge.agreement.source if judge.agreement is not None else None
    return files if source is None else [*files, source]


def _file_sha256(name: str) -> str | None:
    with suppress(OSError):
        return hashlib.sha256(Path(name).expanduser().read_bytes()).hexdigest()
    return None


def scores_key(trained: str, test_rows: str, pipeline: Pipeline) -> str:
    """All that determines a model's per-example scores on a test set; a champion's train-key names the code of its own day."""
    return json_sha256(
        {
            "train_key": trained,
            "test_rows": test_rows,
            "evaluation": settings_of(pipeline.evaluation, SCORED_BY),
            "code": code_of("score", pipeline),
        }
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
