"""Faces of preparation: sources to a sealed snapshot, checked against the contract on the way, or found again under its key."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.cache_policies import NO_CACHE

from configs.errors import InfraError
from configs.schema import Pipeline
from tasks.common.bases import Base, find_base
from tasks.common.home import Home
from tasks.common.orchestration import task
from tasks.contract import contract_suites, sentences_by_row
from tasks.data.redaction.key import KEY_FILE, VARIABLE, key_id, keys_in_use, redaction_key
from tasks.data.sources.columns import source_columns
from tasks.data.sources.fingerprints import fingerprint_files
from tasks.data.sources.source_files import FEEDBACK, data_files
from tasks.identity.keys import prepare_key
from tasks.snapshots import PreparedSnapshot, note_latest, note_prepared

if TYPE_CHECKING:
    from expectations.run import Validation
    from tasks.context import PipelineContext
    from tasks.data.feedback import Export
    from tasks.data.preparation.load import RawRows
    from tasks.data.preparation.prepare import Candidate


@dataclass(frozen=True)
class Inputs:
    """The inputs of a run, by hash: the sources' bytes, the base, the suites; `key` names the snapshot they lead to.

    `feedback` is the file of exported feedback, one more of the sources, where `data.feedback` asks for it and there is any.
    """

    sources: dict[str, str]
    base: Base
    suites: tuple[Path, ...]
    redactor: str | None
    key: str
    feedback: Path | None = None


@task(name="look", cache_policy=NO_CACHE)
def read_inputs(pipeline: Pipeline, home: Home) -> Inputs:
    """Hash the inputs of the run; of the data it reads feedback alone, and exports it as it is now."""
    model = pipeline.model
    base = find_base(model.base, model.revision, model.sha256, model.target_tokenizer)
    rows, held_out = data_files(pipeline.data)
    sources = _source_hashes(pipeline)
    files = contract_suites(pipeline)
    redactor = key_id(redaction_key(home.path)) if pipeline.data.redact.enabled else None
    hashes = {"rows": [sources[file.name] for file in rows], "test": [sources[file.name] for file in held_out]}
    feedback = _export_feedback(pipeline, home) if pipeline.data.feedback else None
    if feedback is not None:
        sources, hashes = {**sources, FEEDBACK: feedback.digest}, {**hashes, "feedback": [feedback.digest]}
    key = prepare_key(pipeline, hashes, base, redactor or "off", files)
    return Inputs(sources, base, files, redactor, key, feedback.path if feedback else None)


def _export_feedback(pipeline: Pipeline, home: Home) -> Export | None:
    """The feedback on served answers up to now, as a file named by its content: without news the same file."""
    from tasks.data.feedback import export_feedback, of_inputs, rows_of
    from tasks.traffic.log import find_answers, read_feedback

    feedback = read_feedback(home.path, pipeline.name, home.traffic_url)
    feedback = feedback[feedback["kind"] == pipeline.facts.feedback]
    if feedback.empty:
        return None
    answers = find_answers(home.path, pipeline.name, home.traffic_url, set(feedback["answer_id"]))
    answers = of_inputs(answers, pipeline.inputs)
    rows = rows_of(answers, feedback, pipeline.problem, pipeline.data.max_characters)
    return export_feedback(rows, home.path / "feedback" / pipeline.name)


def _source_hashes(pipeline: Pipeline) -> dict[str, str]:
    """The hashes of the source and of the test rows by name, as they are now."""
    rows, held_out = data_files(pipeline.data)
    return fingerprint_files((*rows, *held_out), source_columns(pipeline.data, pipeline.problem))


def left_out(pipeline: Pipeline) -> tuple[str, ...]:
    """A sentence on each folder of the source that has files which are not read."""
    from tasks.data.sources.source_files import left_out as sentences

    return sentences(pipeline.data)


def changed_key(context: PipelineContext, own: str | None) -> tuple[str, ...]:
    """A notice where rows are redacted with another key than before, as a tuple of at most one sentence.

    `own` is the key's id, None without redaction. Before: the latest snapshot of this machine; where it has none, the champion.
    """
    name, home = context.pipeline.name, context.home
    if own is None or own == (before := keys_in_use(home.path).get(name) or _champion_key(context) or own):
        return ()
    return (
        f"{name}: its rows are redacted with key {own}, those before were with {before}: every tag changes, and with them the "
        f"snapshot and the model. Where that is not meant, stop this run and put the earlier key back into "
        f"{home.path / KEY_FILE} or {VARIABLE}; where it is, keep both, and give the new one to all machines",
    )


def _champion_key(context: PipelineContext) -> str | None:
    """The id of the key that the champion's rows were redacted with, if there is one and its files are to be had."""
    from tasks.serving.packaged_model import read_preparation
    from tasks.tracking.stored_model import champion_folder

    name = context.pipeline.name
    with suppress(InfraError):
        version = context.registry.champion(name)
        return read_preparation(champion_folder(context.tracking, context.home, name, version)).key_id if version else None
    return None


def clear_leftovers(home: Home) -> None:
    """Remove what killed runs left half done."""
    from tasks.common.workspace import remove_orphans, world_faults

    with world_faults(home.path):
        remove_orphans(home.snapshots, "sealing-")
        remove_orphans(home.path / "work", "")


@contextmanager
def temporary_folder(home: Home) -> Iterator[None]:
    """Put all temporary files of the block, the libraries' too, into a folder that is removed at its end."""
    from tasks.common.workspace import workspace, world_faults

    before = tempfile.tempdir
    with ExitStack() as stack:
        with world_faults(home.path):
            tempfile.tempdir = str(stack.enter_context(workspace(home.path / "work", "run-")))
        try:
            yield
        finally:
            tempfile.tempdir = before


@contextmanager
def open_source(pipeline: Pipeline, home: Home, inputs: Inputs | None = None) -> Iterator[RawRows]:
    """The raw rows, on disk for as long as the block lasts; of feedback those that the inputs name."""
    from tasks.data.preparation.load import loaded_source

    feedback, pairs = inputs.feedback if inputs else None, pipeline.last_objective.needs_pairs or pipeline.data.negative is not None
    with loaded_source(pipeline.data, pipeline.problem, home.path, feedback, pairs=pairs) as raw:
        yield raw


@task(name="prepare", cache_policy=NO_CACHE)
def prepare(pipeline: Pipeline, home: Home, raw: RawRows, contract: Validation, refused: Mapping[str, str]) -> Candidate:
    """Normalise, redact, deduplicate, split, and keep the splits apart; `refused` are rows of feedback (id -> why)."""
    from tasks.data.preparation.load import redactor_of
    from tasks.data.preparation.prepare import prepare_rows as make

    return make(raw, pipeline.data, redactor_of(pipeline.data, home.path), {**refused, **sentences_by_row(contract.quarantined)})


@task(name="seal", cache_policy=NO_CACHE)
def seal_snapshot(pipeline: Pipeline, home: Home, inputs: Inputs, candidate: Any, contracts: tuple[Any, Any]) -> PreparedSnapshot:
    """Write the snapshot, and under the inputs' key where to find it again; of files that name a person it has pseudonyms."""
    from tasks.data.preparation.load import redactor_of
    from tasks.data.redaction.pseudonyms import file_name
    from tasks.data.snapshot.snapshot import write_snapshot as write

    fixed = {name: value for name, value in inputs.sources.items() if name == FEEDBACK}  # named by its content
    if (now := _source_hashes(pipeline) | fixed) != inputs.sources:
        changed = ", ".join(sorted(name for name in {*now, *inputs.sources} if now.get(name) != inputs.sources.get(name)))
        raise InfraError(f"{changed} changed while it was read: nothing was sealed; run again when nobody writes to it")
    aside, limit = sentences_by_row(contracts[1].quarantined), pipeline.contract.max_quarantined
    redactor = redactor_of(pipeline.data, home.path)
    sources = {file_name(name, redactor): digest for name, digest in inputs.sources.items()}
    snapshot = write(candidate, home.path, sources, inputs.redactor, aside, limit)
    outcomes = tuple({**asdict(outcome), "stage": contract.stage} for contract in contracts for outcome in contract.outcomes)
    rows = {name.removesuffix("_rows"): value for name, value in snapshot.manifest["hashes"].items()}
    prepared = PreparedSnapshot(snapshot.hash, rows, outcomes, str(home.path / "docs" / inputs.key[:16]))
    note_prepared(home, inputs.key, prepared)
    note_latest(pipeline, home, snapshot.hash, inputs.redactor)
    return prepared
