"""Draft a contract from the data, for its owner to edit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from configs.errors import InputError
from configs.schema import Pipeline
from tasks.common.home import find_home, settle_environment
from tasks.common.terminal import print_notice


def draft_contract(pipeline: Pipeline, output: Path | None) -> dict[str, Any]:
    """Write a suite whose bounds are those of today's rows with slack; an existing file is never overwritten."""
    home = find_home()
    settle_environment(home)
    target = output or Path("expectations") / f"{pipeline.name}.json"
    if target.exists():
        raise InputError(f"{target} is there already: move it away, or name another file with --output")
    from expectations.draft import draft_suite
    from tasks.prepare import open_source

    with open_source(pipeline, home) as raw:
        suite = draft_suite(raw.frames, pipeline.problem, pipeline.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(suite, indent=2, ensure_ascii=False) + "\n")
    print_notice(f"{target}: {len(suite['expectations'])} expectations; read them, edit them, then set contract.suite: {target}")
    return {"suite": str(target), "expectations": len(suite["expectations"])}
