"""The face of the data contract: checks rows against their suites, and reports every breach."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.cache_policies import NO_CACHE

from configs.errors import ContractError, InfraError, InputError
from configs.schema import Pipeline
from tasks.base_check import tokenizer_file
from tasks.common.bases import Base
from tasks.common.home import Home
from tasks.common.orchestration import create_markdown_artifact, task
from tasks.common.processes import quick_import
from tasks.identity.keys import json_sha256
from tasks.snapshots import latest_snapshot, open_snapshot, rows_per_label

if TYPE_CHECKING:
    from expectations.run import Context, Validation
    from tasks.data.preparation.load import RawRows
    from tasks.data.preparation.prepare import Candidate
    from tasks.prepare import Inputs


def contract_suites(pipeline: Pipeline) -> tuple[Path, ...]:
    """The contract: one suite for all records, one for the problem, one of the pipeline's own."""
    from expectations.run import COMMON, suite_for

    own = pipeline.contract.suite
    if own is not None and not Path(own).is_file():
        raise InputError(f"contract.suite {own}: no such file; `tunekeeper draft-contract CONFIG` drafts one from the data")
    return (COMMON, suite_for(pipeline.family), *([Path(own)] if own else []))


def contract_settings(pipeline: Pipeline) -> str:
    """The digest of the contract that a run checks data by: how they are read, its settings and its suites."""
    contract = pipeline.contract.model_dump(mode="json")
    texts = [file.read_text(encoding="utf-8") for file in contract_suites(pipeline)]
    return json_sha256([pipeline.data.model_dump(mode="json"), contract, pipeline.model.model_dump(mode="json"), texts])


def without_earlier(pipeline: Pipeline, home: Home) -> tuple[str, ...]:
    """A notice where the contract lacks the last snapshot to compare with, as a tuple of at most one sentence.

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


@task(name="validate", task_run_name="validate-{rows.stage}", cache_policy=NO_CACHE)
def validate(
    pipeline: Pipeline, home: Home, inputs: Inputs, rows: RawRows | Candidate, beside: Any, meanwhile: Callable[[], object]
) -> Validation:
    """Hold rows against the contract in the process `beside`, and import something of use `meanwhile`.

    Data Docs are written in any case; a critical failure raises ContractError.
    """
    from expectations.run import validate_records as hold_against

    stage = rows.stage
    docs = home.path / "docs" / inputs.key[:16] / stage
    context = _context(pipeline, home, inputs.base)
    limit = pipeline.contract.max_quarantined
    future = beside.submit(
        hold_against, rows.reader(), inputs.suites, stage=stage, context=context, max_quarantined=limit, docs_dir=docs
    )
    with quick_import():
        meanwhile()
    result: Validation = future.result()
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


def contract_table(outcomes: Iterable[Mapping[str, Any]]) -> str:
    """The outcome of each expectation, as Markdown."""
    lines = ["| stage | expectation | action | held | failing |", "| :-- | :-- | :-- | :-- | --: |"]
    for o in outcomes:
        holds = "yes" if o["success"] else "**no**"
        expectation = o["expectation"].replace("|", "\\|")
        lines.append(
            f"| {o['stage']} | {expectation} | {o['action']} | {holds if o['evaluated'] else 'not checked'} | {o['failing']} |"
        )
    return "\n".join(lines)


def sentences_by_row(quarantined: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Why each row was set aside, by its id."""
    return {row: "; ".join(reasons) for row, reasons in quarantined.items()}


def _write_set_aside(file: Path, quarantined: Mapping[str, tuple[str, ...]]) -> None:
    """Write the ids of rows that broke the contract, and why; not their content, which is not redacted yet."""
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("row", "reason"), *sentences_by_row(quarantined).items()])


def _context(pipeline: Pipeline, home: Home, base: Base) -> Context:
    """The context of expectations: the base's tokens and the last snapshot of this pipeline."""
    from expectations.run import Context
    from tasks.data.labels import canonical_label
    from tasks.data.preparation.token_lengths import TokenLengths, UnknownShares
    from tasks.problems.answer_windows import most_tokens

    file = tokenizer_file(home, base)
    lengths, unknown = (TokenLengths(file), UnknownShares(file)) if file else (None, None)
    targets = base.path / base.target_tokenizer / "tokenizer.json"
    own = base.target_tokenizer != "" and targets.is_file()
    shares, vocabulary = _last_snapshot_statistics(pipeline, home)
    return Context(
        token_lengths=lengths,
        unknown_shares=unknown,
        target_lengths=TokenLengths(targets) if own else None,
        target_unknown=UnknownShares(targets) if own else None,
        max_tokens=most_tokens(pipeline.model.max_length) if pipeline.facts.finds_answers else pipeline.model.max_length,
        label_shares=shares,
        vocabulary=vocabulary,
        label=canonical_label if pipeline.facts.has_classes else None,
    )


def _last_snapshot_statistics(pipeline: Pipeline, home: Home) -> tuple[dict[str, float] | None, frozenset[str] | None]:
    earlier = latest_snapshot(pipeline, home)
    if earlier is None:
        return None, None
    try:
        manifest = open_snapshot(home, earlier[0]).manifest
    except InfraError:  # `without_earlier` reports it
        return None, None
    counts = rows_per_label(manifest)
    total = sum(counts.values())
    return ({label: n / total for label, n in counts.items()} if total else None), frozenset(manifest["vocabulary"]["words"])


def tokenizer_warnings(pipeline: Pipeline, home: Home, base: Base, snapshot: str) -> tuple[tuple[str, ...], dict[str, float]]:
    """Sentences on languages that the base's tokenizer does not fit, and its shares by language as metrics of the run.

    Over all training rows where no column names languages; nothing where the tokenizer has no file to read.
    """
    from tasks.data.preparation.tokenizer_fit import ALL, SAMPLE, poor_fit_sentence, tokenizer_fit

    file = tokenizer_file(home, base)
    if file is None:
        return (), {}
    rows = open_snapshot(home, snapshot).frame("train")
    column = pipeline.data.language
    parts = {ALL: rows} if column is None else {str(name): own for name, own in rows.groupby(f"slice_{column}")}
    sentences, metrics = list[str](), dict[str, float]()
    for language, own in parts.items():
        drawn = own["text"].sample(min(SAMPLE, len(own)), random_state=0)
        fit = tokenizer_fit(file, drawn.tolist())
        part = "tokenizer" if language == ALL else f"tokenizer/{language}"
        metrics |= {f"{part}/unknown": fit.unknown, f"{part}/single": fit.single, f"{part}/tokens_a_word": fit.tokens_a_word}
        sentences += [poor_fit_sentence(pipeline.model.base, language, fit)] if fit.is_poor else []
    return tuple(sentences), metrics


def row_warnings(pipeline: Pipeline, home: Home, snapshot: str) -> tuple[str, ...]:
    """Sentences on rows that make a comparison mean less than it seems."""
    from tasks.data.preparation.odd_rows import odd_rows

    sealed = open_snapshot(home, snapshot)
    return odd_rows(sealed.frame("train"), sealed.frame("test"), pipeline.data, pipeline.facts)
