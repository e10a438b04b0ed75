"""Draft a contract from the data, for its owner to edit."""

from __future__ import annotations

import json
import os
from pathlib import Path

from configs.errors import InputError
from configs.schema import Pipeline
from tasks.common.home import find_home, settle_environment
from tasks.common.terminal import print_notice


def draft_contract(pipeline: Pipeline, output: Path | None) -> dict[str, object]:
    """Write a suite whose bounds are those of today's rows with slack; an existing file is never overwritten."""
    home = find_home()
    settle_environment(home)
    target = output or Path("expectations") / f"{pipeline.name}.json"
    if target.exists():
        raise InputError(f"{target} is there already: move it away, or name another file with --output")
    _make_folder(target.parent)
    from expectations.draft import draft_suite
    from tasks.prepare import open_source

    with open_source(pipeline, home) as raw:
        suite = draft_suite(raw.frames, pipeline.problem, pipeline.name)
    target.write_text(json.dumps(suite, indent=2, ensure_ascii=False) + "\n")
    print_notice(f"{target}: {len(suite['expectations'])} expectations; read them, edit them, then set contract.suite: {target}")
    return {"suite": str(target), "expectations": len(suite["expectations"])}


def _make_folder(folder: Path) -> None:
    """Make the folder of a suite, before all data are read for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}): name another file with --output") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: cannot be written to by this user: name another file with --output")
