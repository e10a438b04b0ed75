"""Show where a row is: in which split of which snapshot, or why in none, and how models scored it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from configs.schema import Pipeline
from tasks.common.home import find_home, settle_environment


def find_row(pipeline: Pipeline, config: Path, value: str, *, quiet: bool) -> dict[str, object]:
    """The outcome of `tunekeeper find --json`; the id itself is not in it where it is kept as a pseudonym."""
    home = find_home()
    settle_environment(home)
    from tasks.find import find_row

    outcome = find_row(pipeline, home, value)
    if not quiet:
        _print_places(outcome, config)
    return outcome


def _print_places(outcome: dict[str, Any], config: Path) -> None:
    from tasks.common.terminal import print_closing

    lines = [f"source: {place}" for place in outcome["source"]]
    if outcome["source_error"]:
        lines.append(f"source: cannot be read: {outcome['source_error']}")
    for place in outcome["snapshots"]:
        reason = f": {place['reason']}" if place["reason"] else ""
        newest = ", the latest" if place["latest"] else ""
        reference = ", in the reference of the monitors" if place["in_reference"] else ""
        lines.append(f"snapshot {place['snapshot'][:12]}{newest}: {place['where']}{reason}{reference}, as {place['id']}")
    for scores in outcome["scores"]:
        model = f"version {scores['version']}" if scores["version"] else f"scores {scores['scores'][:12]}"
        values = ", ".join(f"{name} {cell}" for name, cell in scores.items() if name not in ("scores", "version"))
        lines.append(f"{model}: {values}")
    if outcome["snapshots_of_other_keys"]:
        lines.append(f"{outcome['snapshots_of_other_keys']} snapshots were made under another redaction key: not searched by it")
    lines += [f"not looked at: {fault}" for fault in outcome["unread"]]
    places = len(outcome["source"]) + len(outcome["snapshots"])
    print_closing(f"{outcome['pipeline']}: {places} places", "green", (), lines, (f"next: tunekeeper report {config}",))
