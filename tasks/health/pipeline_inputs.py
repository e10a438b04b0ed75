"""What can be wrong with the base and the data that a pipeline names. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InputError
from configs.schema import Pipeline
from tasks.common.home import Home
from tasks.health.machine import HealthCheck

if TYPE_CHECKING:
    from tasks.common.bases import Base


def check_base_of(pipeline: Pipeline, home: Home) -> Iterator[HealthCheck]:
    """The right weights, by their hash, fit for the settings; a hub's name is looked up in its cache alone."""
    from tasks.common.bases import find_base, local_folder, may_be_hub_name, read_base

    model = pipeline.model
    if not model.base.startswith("package:") and local_folder(model.base) is None and may_be_hub_name(model.base):
        folder = _cached_hub_folder(model.base, model.revision)
        if folder is None:
            yield HealthCheck(
                "base", "warn", f"{model.base} is not here yet", "the first run downloads it, if the hub can be reached"
            )
            return
        base = read_base(folder, model.base, model.sha256, model.target_tokenizer)
    else:
        base = find_base(model.base, model.revision, model.sha256, model.target_tokenizer)
    if model.sha256 is None:
        yield HealthCheck("base", "warn", f"{model.base}, whatever its weights", f"pin it: model.sha256: {base.weights}")
    else:
        yield HealthCheck("base", "ok", f"{model.base}, {base.bytes / 1e6:.0f} MB, sha256 as pinned")
    yield from _check_fit(pipeline, home, base)


def _check_fit(pipeline: Pipeline, home: Home, base: Base) -> Iterator[HealthCheck]:
    """What the first run would refuse: the check that a run remembers, made here without a trace."""
    from tasks.base_check import earlier_notices, notices_of

    notices = earlier_notices(pipeline, home, base)
    notices = notices_of(pipeline, base) if notices is None else notices
    for notice in notices:
        yield HealthCheck("base", "warn", notice, "set model.max_length lower, or name a base made for more")
    if not notices:
        yield HealthCheck(
            "base", "ok", f"fits {pipeline.problem}, {pipeline.model.max_length} tokens, adapter {pipeline.adapter.kind}"
        )


def _cached_hub_folder(name: str, revision: str | None) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise InputError(f"model.base {name}: is no folder, and no name that a hub has: correct it") from error


def check_data(pipeline: Pipeline) -> Iterator[HealthCheck]:
    from tasks.data.sources.source_files import data_files, left_out

    rows, held_out = data_files(pipeline.data)
    local = [Path(file.path) for file in (*rows, *held_out) if file.is_local]
    size = sum(file.stat().st_size for file in local)
    yield HealthCheck("data", "ok", f"{len(rows) + len(held_out)} sources, {size / 1e6:.1f} MB")
    for sentence in left_out(pipeline.data):
        yield HealthCheck("data", "warn", sentence, "move these files away, or name the others by a pattern, as in FOLDER/*.csv")
    suite = pipeline.contract.suite
    if suite is not None and not Path(suite).is_file():
        yield HealthCheck(
            "contract", "fail", f"contract.suite {suite}: no such file", "tunekeeper draft-contract CONFIG drafts one"
        )
