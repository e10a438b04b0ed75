"""The face of the check of a base: done once per base, settings that concern it and code, and remembered."""

from __future__ import annotations

import json
from pathlib import Path

from configs.schema import Pipeline
from tasks.common.bases import Base
from tasks.common.files import write_json
from tasks.common.home import Home
from tasks.common.processes import quick_import
from tasks.identity.keys import TRAIN_LIBRARIES, code_of, json_sha256, library_versions, settings_of


def earlier_notices(pipeline: Pipeline, home: Home, base: Base) -> tuple[str, ...] | None:
    """The stored notices on a base that passed the check with these settings before; None where it did not."""
    try:
        return tuple(json.loads(_notices_file(pipeline, home, base).read_text()))
    except (FileNotFoundError, ValueError):
        return None


def check_base(pipeline: Pipeline, home: Home, base: Base) -> tuple[str, ...]:
    """The notices on a base that passes the check; raises InputError, with setting and remedy, for one that cannot work."""
    notices = notices_of(pipeline, base)
    file = _notices_file(pipeline, home, base)
    file.parent.mkdir(parents=True, exist_ok=True)
    if not (base.path / "tokenizer.json").is_file():
        from tasks.learning.base_tokenizer import write_tokenizer

        write_tokenizer(base.path, _tokenizer_file(home, base))
    write_json(file, notices)
    return notices


def tokenizer_file(home: Home, base: Base) -> Path | None:
    """The base's tokenizer.json, or the one that the check wrote from its other files; None where there is neither."""
    return next((file for file in (base.path / "tokenizer.json", _tokenizer_file(home, base)) if file.is_file()), None)


def notices_of(pipeline: Pipeline, base: Base) -> tuple[str, ...]:
    """The check itself, which writes nothing."""
    from tasks.learning.base_check import check_base as check

    with quick_import():
        return check(
            base, pipeline.problem, pipeline.model.max_length, pipeline.adapter, pipeline.model.language_codes,
            messages=pipeline.data.messages is not None,
        )  # fmt: skip


def _notices_file(pipeline: Pipeline, home: Home, base: Base) -> Path:
    key = json_sha256(
        {
            "base": base.digest,
            "problem": pipeline.problem,
            **({"messages": True} if pipeline.data.messages is not None else {}),
            "settings": [settings_of(pipeline.model, ("max_length", "languages")), settings_of(pipeline, ("adapter",))],
            "code": code_of("check", pipeline),
            "libraries": library_versions(TRAIN_LIBRARIES),
        }
    )
    return home.path / "index" / f"base-{key}.json"


def _tokenizer_file(home: Home, base: Base) -> Path:
    return home.path / "index" / f"tokenizer-{base.digest}.json"
