"""Begin a pipeline from a file of rows: a config and a contract to read and edit."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from configs.errors import InputError
from configs.load import load_pipeline
from configs.schema import Pipeline
from configs.schema.pipeline import NAME
from flows.cli.init_yaml import render_yaml
from tasks.common.bases import find_base
from tasks.common.files import write_new_files
from tasks.common.home import find_home, settle_environment
from tasks.propose import Proposal, propose_pipeline
from tasks.proposed_config import Request


def init_pipeline(request: Request, *, quiet: bool) -> dict[str, object]:
    """Write NAME.yaml and NAME.contract.json into the working folder; the outcome of `tunekeeper init --json`.

    InputError, and nothing is written, where one of them is there already, or where name, problem, source or base cannot be.
    """
    _check_name(request.name)
    config, suite = Path(f"{request.name}.yaml"), Path(f"{request.name}.contract.json")
    for file in (config, suite):
        if file.exists() or file.is_symlink():
            raise _is_there(file)
    home = find_home()
    settle_environment(home)
    proposal = propose_pipeline(request, home)
    text = render_yaml(proposal.settings, proposal.comments, _heading(config, proposal))
    pipeline = _load_text(text, config.name)
    notices = _check_base(pipeline) if request.base else ()
    files = {suite: _contract_text(pipeline, proposal)} if proposal.frames else {}
    try:
        write_new_files({**files, config: text})
    except FileExistsError as error:
        raise _is_there(Path(str(error.filename2 or error.filename))) from error
    outcome = _describe_outcome(pipeline, proposal, config, suite, notices)
    if not quiet:
        _print_outcome(outcome, proposal)
    return outcome


def _check_name(name: str) -> None:
    if re.fullmatch(NAME, name) is None:
        plain = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:63]
        example = plain if re.fullmatch(NAME, plain) else "my-model"
        raise InputError(
            f"NAME {name!r}: a pipeline's name is made of a to z in lower case, digits and -, 63 at most, no - first: "
            f"write tunekeeper init {example}"
        )


def _is_there(file: Path) -> InputError:
    return InputError(f"{file} is there already, and is not overwritten: move it away, or choose another name")


def _heading(config: Path, proposal: Proposal) -> str:
    looked = "" if proposal.is_whole else "the first "
    return f"tunekeeper retrain {config}   (drafted by `tunekeeper init` from {looked}{proposal.rows:,} rows: read it, and edit it)"


def _load_text(text: str, name: str) -> Pipeline:
    """The pipeline of a YAML text; InputError, as from the file, where it is none."""
    with tempfile.TemporaryDirectory(prefix="tunekeeper-") as folder:
        file = Path(folder) / name
        file.write_text(text, encoding="utf-8")
        try:
            return load_pipeline(file)
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", "")) from error


def _check_base(pipeline: Pipeline) -> tuple[str, ...]:
    """Notices on a given base; InputError where it cannot be trained for this problem."""
    from tasks.base_check import notices_of

    model = pipeline.model
    try:
        return notices_of(pipeline, find_base(model.base, target_tokenizer=model.target_tokenizer))
    except InputError as error:
        raise InputError(str(error).replace("model.base", "--base", 1)) from error


def _contract_text(pipeline: Pipeline, proposal: Proposal) -> str:
    from expectations.draft import draft_suite

    suite = draft_suite(proposal.frames, pipeline.problem, pipeline.name, is_whole=proposal.is_whole)
    return json.dumps(suite, indent=2, ensure_ascii=False) + "\n"


def _describe_outcome(
    pipeline: Pipeline, proposal: Proposal, config: Path, suite: Path, notices: tuple[str, ...]
) -> dict[str, Any]:
    data = proposal.settings["data"]
    command = f"tunekeeper retrain {config}"
    return {
        "pipeline": pipeline.name,
        "config": str(config),
        "contract": str(suite) if proposal.frames else None,
        "problem": proposal.settings["problem"],
        "reason": proposal.reason,
        "other_problems": list(proposal.other_problems),
        "columns": {name: value for name, value in data.items() if isinstance(value, str) and name not in ("source", "separator")},
        "other_columns": {name: list(columns) for name, columns in proposal.other_columns.items()},
        "split": data["split"],
        "model": proposal.settings["model"],
        "base_needed": proposal.needed,
        "rows": proposal.rows,
        "whole": proposal.is_whole,
        "fault": proposal.fault,
        "notices": list(notices),
        "next": f"fill in model.base in {config}, then {command}" if proposal.needed else command,
    }


def _print_outcome(outcome: dict[str, Any], proposal: Proposal) -> None:
    from tasks.common.terminal import print_closing, print_notice

    for notice in outcome["notices"]:
        print_notice(notice)
    if proposal.fault is not None:
        rows = "these rows" if proposal.is_whole else "the rows that were looked at"
        print_notice(f"with {rows} a run would stop: {proposal.fault}")
    columns = ", ".join(f"{name} `{column}`" for name, column in outcome["columns"].items())
    files_text = f"{outcome['config']} and {outcome['contract']}: read and edit them" if outcome["contract"] else outcome["config"]
    reasons = [
        f"problem: {outcome['problem']}: {proposal.reason}",
        f"columns: {columns}",
        *(f"{path}: {text}" for path, text in proposal.comments.items() if path not in ("problem", "contract.suite")),
        f"written: {files_text}",
    ]
    if proposal.needed:
        reasons.append(
            f"model.base: {outcome['problem']} starts from {proposal.needed}: name a folder with its config.json, "
            "model.safetensors and tokenizer.json, package:NAME/FOLDER or a hub name; or give it as --base"
        )
    print_closing(outcome["pipeline"], "green", (), reasons, (f"next: {outcome['next']}",))
