"""Faces of preparation: sources to a sealed snapshot, held against the contract on the way, or found again under its key."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.cache_policies import NO_CACHE

from configs.errors import ContractError, InfraError, InputError
from configs.schema import Pipeline
from tasks.base_check import tokenizer_file
from tasks.common.bases import Base, find_base
from tasks.common.home import Home
from tasks.common.orchestration import create_markdown_artifact, task
from tasks.common.processes import quick_import
from tasks.data.redaction.key import key_id, redaction_key
from tasks.data.sources.columns import source_columns
from tasks.data.sources.source_files import FEEDBACK, data_files, fingerprint_files
from tasks.identity.keys import json_sha256, prepare_key

if TYPE_CHECKING:
    from expectations.run import Context, Validation
    from tasks.data.feedback import Export
    from tasks.data.preparation.load import Raw
    from tasks.data.preparation.prepare import Candidate
    from tasks.data.snapshot.snapshot import Snapshot


@dataclass(frozen=True)
class Inputs:
    """What a run starts from, by hash: the sources' bytes, the base, the suites; `key` names the snapshot they lead to.

    `feedback` is the file of exported feedback, one more of the sources, where `data.feedback` asks for it and there is any.
    """

    sources: dict[str, str]
    base: Base
    suites: tuple[Path, ...]
    redactor: str | None
    key: str
    feedback: Path | None = None


@dataclass(frozen=True)
class PreparedSnapshot:
    """A snapshot and the account of its contract; `outcomes` are expectations as plain values."""

    snapshot: str
    rows: dict[str, str]
    outcomes: tuple[dict[str, Any], ...]
    docs: str


@task(name="look", cache_policy=NO_CACHE)
def read_inputs(pipeline: Pipeline, home: Home) -> Inputs:
    """Hash what the run starts from; of the data only feedback is read yet, and written down as it is now."""
    model = pipeline.model
    base = find_base(model.base, model.revision, model.sha256, model.target_tokenizer)
    rows, held_out = data_files(pipeline.data)
    sources = _sources(pipeline)
    files = contract_suites(pipeline)
    redactor = key_id(redaction_key(home.path)) if pipeline.data.redact.enabled else None
    named = {"rows": [sources[file.name] for file in rows], "test": [sources[file.name] for file in held_out]}
    said = _feedback(pipeline, home) if pipeline.data.feedback else None
    if said is not None:
        sources, named = {**sources, FEEDBACK: said.digest}, {**named, "feedback": [said.digest]}
    key = prepare_key(pipeline, named, base, redactor or "off", files)
    return Inputs(sources, base, files, redactor, key, said.path if said else None)


def _feedback(pipeline: Pipeline, home: Home) -> Export | None:
    """What was said of served answers up to now, as a file named by its content: nothing new, the same file."""
    from tasks.data.feedback import export_feedback, rows_of
    from tasks.traffic.log import find_answers, read_feedback

    said = read_feedback(home.path, pipeline.name, home.traffic_url)
    said = said[said["kind"] == pipeline.facts.feedback]
    if said.empty:
        return None
    answers = find_answers(home.path, pipeline.name, home.traffic_url, set(said["answer_id"]))
    rows = rows_of(answers, said, pipeline.problem, pipeline.data.max_characters)
    return export_feedback(rows, home.path / "feedback" / pipeline.name)


def _sources(pipeline: Pipeline) -> dict[str, str]:
    """The hashes of the source and of the test rows by name, as they are now."""
    rows, held_out = data_files(pipeline.data)
    return fingerprint_files((*rows, *held_out), source_columns(pipeline.data, pipeline.problem))


def contract_suites(pipeline: Pipeline) -> tuple[Path, ...]:
    """The contract: one suite for all records, one for the problem, one of the pipeline's own."""
    from expectations.run import COMMON, suite_for

    own = pipeline.contract.suite
    if own is not None and not Path(own).is_file():
        raise InputError(f"contract.suite {own}: no such file; `tunekeeper draft-contract CONFIG` drafts one from the data")
    return (COMMON, suite_for(pipeline.problem), *([Path(own)] if own else []))


def left_out(pipeline: Pipeline) -> tuple[str, ...]:
    """What lies in the source's folders and is not read, a sentence for each."""
    from tasks.data.sources.source_files import left_out as sentences

    return sentences(pipeline.data)


def without_earlier(pipeline: Pipeline, home: Home) -> tuple[str, ...]:
    """What the contract cannot compare for want of the last snapshot, as a tuple of no sentence or one.

    A snapshot that was removed to make room, or lost, stops no run.
    """
    earlier = latest_snapshot(pipeline, home)
    if earlier is None:
        return ()
    try:
        open_snapshot(home, earlier[0])
    except InfraError as error:
        return (f"shares of labels and words of these rows are compared with no earlier ones: {error}",)
    return ()


def contract_settings(pipeline: Pipeline) -> str:
    """The digest of what a run holds data against: how they are read, the contract's settings and its suites."""
    contract = pipeline.contract.model_dump(mode="json")
    texts = [file.read_text(encoding="utf-8") for file in contract_suites(pipeline)]
    return json_sha256([pipeline.data.model_dump(mode="json"), contract, pipeline.model.model_dump(mode="json"), texts])


def known_snapshot(home: Home, inputs: Inputs) -> PreparedSnapshot | None:
    """The snapshot that the same inputs led to before, if it is still there, and whole."""
    from tasks.data.snapshot.snapshot import is_whole

    try:
        values = json.loads(_index(home, inputs).read_text())
    except (FileNotFoundError, ValueError):
        return None
    if not is_whole(home.path, values["snapshot"]):
        return None
    return PreparedSnapshot(**{**values, "outcomes": tuple(values["outcomes"]), "docs": str(home.locate(values["docs"]))})


def clear_leftovers(home: Home) -> None:
    """Remove what killed runs left half done."""
    from tasks.common.workspace import remove_orphans, world_faults

    with world_faults(home.path):
        remove_orphans(home.snapshots, "sealing-")
        remove_orphans(home.path / "work", "")


@contextmanager
def temporary_folder(home: Home) -> Iterator[None]:
    """Keep all temporary files of the block, the libraries' too, where they go with it."""
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
def open_source(pipeline: Pipeline, home: Home, inputs: Inputs | None = None) -> Iterator[Raw]:
    """The raw rows, on disk for as long as the block lasts; of feedback those that the inputs name."""
    from tasks.data.preparation.load import loaded_source

    with loaded_source(pipeline.data, pipeline.problem, home.path, inputs.feedback if inputs else None) as raw:
        yield raw


@task(name="validate", task_run_name="validate-{stage}", cache_policy=NO_CACHE)
def validate(
    pipeline: Pipeline, home: Home, inputs: Inputs, rows: Raw | Candidate, stage: Any, beside: Any, meanwhile: Callable[[], object]
) -> Validation:
    """Hold rows against the contract in the process `beside`, and import something of use `meanwhile`.

    Data Docs are written whatever comes of it, and a critical failure is the user's to mend.
    """
    from expectations.run import validate_records as hold_against

    docs = home.path / "docs" / inputs.key[:16] / stage
    context = _context(pipeline, home, inputs.base)
    limit = pipeline.contract.max_quarantined
    asked = beside.submit(
        hold_against, rows.reader(), inputs.suites, stage=stage, context=context, max_quarantined=limit, docs_dir=docs
    )
    with quick_import():
        meanwhile()
    result: Validation = asked.result()
    if not result.success:
        outcomes = [{**asdict(outcome), "stage": stage} for outcome in result.outcomes]
        create_markdown_artifact(contract_table(outcomes), key="contract")
        file = docs.with_name(f"{stage}-quarantine.csv")
        _write_set_aside(file, result.quarantined)
        reasons = "\n".join(f"  {reason}" for reason in result.stopped)
        raise ContractError(
            f"the data break their contract ({stage} rows):\n{reasons}\nsee {result.docs}, and {file} for the rows; "
            "mend the data or the suite"
        )
    return result


@task(name="prepare", cache_policy=NO_CACHE)
def prepare(pipeline: Pipeline, home: Home, raw: Raw, contract: Validation, refused: Mapping[str, str]) -> Candidate:
    """Normalise, redact, deduplicate, split, and keep the splits apart; `refused` are rows of feedback (id -> why)."""
    from tasks.data.preparation.load import redactor_of
    from tasks.data.preparation.prepare import prepare_rows as make

    return make(raw, pipeline.data, redactor_of(pipeline.data, home.path), {**refused, **_sentences(contract.quarantined)})


@task(name="seal", cache_policy=NO_CACHE)
def seal_snapshot(pipeline: Pipeline, home: Home, inputs: Inputs, candidate: Any, contracts: tuple[Any, Any]) -> PreparedSnapshot:
    """Write the snapshot, and under the inputs' key where to find it again."""
    from tasks.data.snapshot.snapshot import write_snapshot as write

    fixed = {name: value for name, value in inputs.sources.items() if name == FEEDBACK}  # named by its content
    if (now := _sources(pipeline) | fixed) != inputs.sources:
        changed = ", ".join(sorted(name for name in {*now, *inputs.sources} if now.get(name) != inputs.sources.get(name)))
        raise InfraError(f"{changed} changed while it was read: nothing was sealed; run again when nobody writes to it")
    snapshot = write(candidate, home.path, inputs.sources, inputs.redactor, _sentences(contracts[1].quarantined))
    outcomes = tuple({**asdict(outcome), "stage": contract.stage} for contract in contracts for outcome in contract.outcomes)
    rows = {name.removesuffix("_rows"): value for name, value in snapshot.manifest["hashes"].items()}
    prepared = PreparedSnapshot(snapshot.hash, rows, outcomes, str(home.path / "docs" / inputs.key[:16]))
    _write_json(_index(home, inputs), asdict(prepared))
    note_latest(pipeline, home, snapshot.hash)
    return prepared


def latest_snapshot(pipeline: Pipeline, home: Home) -> tuple[str, str] | None:
    """The snapshot that this pipeline led to last on this machine, and since when it is that (ISO 8601, UTC)."""
    place = _latest(pipeline, home)
    try:
        values = json.loads(place.read_text())
    except (FileNotFoundError, ValueError):
        return None
    written = datetime.fromtimestamp(place.stat().st_mtime, UTC).isoformat(timespec="milliseconds")
    return values["snapshot"], values.get("at", written)


def note_latest(pipeline: Pipeline, home: Home, snapshot: str) -> None:
    """Remember a snapshot as the one that the next is compared with."""
    _write_json(_latest(pipeline, home), {"snapshot": snapshot, "at": datetime.now(UTC).isoformat(timespec="milliseconds")})


def contract_table(outcomes: Iterable[Mapping[str, Any]]) -> str:
    """What each expectation came to, as Markdown."""
    lines = ["| stage | expectation | action | held | failing |", "| :-- | :-- | :-- | :-- | --: |"]
    for o in outcomes:
        held = "yes" if o["success"] else "**no**"
        expectation = o["expectation"].replace("|", "\\|")
        lines.append(
            f"| {o['stage']} | {expectation} | {o['action']} | {held if o['evaluated'] else 'not checked'} | {o['failing']} |"
        )
    return "\n".join(lines)


def _write_set_aside(file: Path, quarantined: Mapping[str, tuple[str, ...]]) -> None:
    """Which rows broke the contract, and why; of what stands in them nothing, for it is not redacted yet."""
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("row", "reason"), *_sentences(quarantined).items()])


def open_snapshot(home: Home, hash: str) -> Snapshot:
    """A sealed snapshot by its hash."""
    from tasks.data.snapshot.snapshot import open_snapshot as read

    return read(home.path, hash)


def _context(pipeline: Pipeline, home: Home, base: Base) -> Context:
    """What expectations compare with: the base's tokens and the last snapshot of this pipeline."""
    from expectations.run import Context
    from tasks.data.labels import canonical_label
    from tasks.data.preparation.token_lengths import TokenLengths, UnknownShares

    file = tokenizer_file(home, base)
    lengths, unknown = (TokenLengths(file), UnknownShares(file)) if file else (None, None)
    targets = base.path / base.target_tokenizer / "tokenizer.json"
    own = base.target_tokenizer != "" and targets.is_file()
    shares, vocabulary = _last(pipeline, home)
    return Context(
        token_lengths=lengths,
        unknown_shares=unknown,
        target_lengths=TokenLengths(targets) if own else None,
        target_unknown=UnknownShares(targets) if own else None,
        max_tokens=pipeline.model.max_length,
        label_shares=shares,
        vocabulary=vocabulary,
        label=canonical_label if pipeline.facts.has_labels else None,
    )


def rows_per_label(manifest: Mapping[str, Any]) -> dict[str, int]:
    """Label, spelled canonically whatever the manifest's version -> rows of all splits."""
    from tasks.data.labels import canonical_label

    counts = Counter[str]()
    for label, splits in manifest.get("label_counts", {}).items():
        counts[canonical_label(label) or ""] += sum(splits.values())
    return dict(counts)


def _last(pipeline: Pipeline, home: Home) -> tuple[dict[str, float] | None, frozenset[str] | None]:
    earlier = latest_snapshot(pipeline, home)
    if earlier is None:
        return None, None
    try:
        manifest = open_snapshot(home, earlier[0]).manifest
    except InfraError:  # `without_earlier` says so
        return None, None
    counts = rows_per_label(manifest)
    total = sum(counts.values())
    return ({label: n / total for label, n in counts.items()} if total else None), frozenset(manifest["vocabulary"]["words"])


def _sentences(quarantined: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {row: "; ".join(reasons) for row, reasons in quarantined.items()}


def _index(home: Home, inputs: Inputs) -> Path:
    return home.path / "index" / f"{inputs.key}.json"


def _latest(pipeline: Pipeline, home: Home) -> Path:
    return home.path / "index" / f"latest-{pipeline.name}.json"


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(value))
    aside.replace(path)
