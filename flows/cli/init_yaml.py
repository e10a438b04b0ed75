"""Writes a proposed config as YAML of at most fifteen lines, with a comment where there is something to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import yaml

MOST_LINES = 15
COLUMN = 34  # where comments begin, unless a line is longer
WIDEST = 150  # characters of a line with its comment
SECTIONS = ("contract", "model")  # which are written in one line where there is no room


@dataclass(frozen=True)
class _Layout:
    """Sections that are written in one line each, and whether the heading has a line of its own."""

    flat: tuple[str, ...]
    heading: bool


def render_yaml(settings: Mapping[str, Any], comments: Mapping[str, str], heading: str) -> str:
    """The YAML text; `comments` are by dotted path, those of a section in one line are joined."""
    layouts = [_Layout(SECTIONS[:flat], own) for own, flat in product((True, False), range(len(SECTIONS) + 1))]
    texts = [_render(settings, comments, heading, layout) for layout in layouts]
    lines = next((text for text in texts if len(text) <= MOST_LINES), texts[-1])
    return "\n".join(lines) + "\n"


def _render(settings: Mapping[str, Any], comments: Mapping[str, str], heading: str, layout: _Layout) -> list[str]:
    lines = [f"# {heading}"] if layout.heading else []
    notes = dict(comments) if layout.heading else {**comments, "name": heading}
    for key, value in settings.items():
        if not isinstance(value, dict):
            lines.append(_with_comment(f"{key}: {_value_text(value)}", notes.get(key, "")))
        elif key in layout.flat:
            inner = [notes[path] for name in value if (path := f"{key}.{name}") in notes]
            lines.append(_with_comment(f"{key}: {_value_text(value)}", "; ".join(inner)))
        elif value:
            lines.append(f"{key}:")
            lines += [_with_comment(f"  {name}: {_value_text(own)}", notes.get(f"{key}.{name}", "")) for name, own in value.items()]
    return lines


def _value_text(value: object) -> str:
    """A value in one line, quoted where YAML would read another one, with signs for what nobody would see as it is."""

    def dump(style: str | None, *, allow_unicode: bool) -> str:
        text: str = yaml.safe_dump(
            value, default_style=style, default_flow_style=True, width=float("inf"), allow_unicode=allow_unicode, sort_keys=False
        )
        return text.removesuffix("...\n").rstrip("\n")

    plain = dump(None, allow_unicode=True)
    return plain if plain.isprintable() else dump('"', allow_unicode=False)


def _with_comment(line: str, comment: str) -> str:
    if not comment:
        return line
    plain = "".join(sign if sign.isprintable() else "?" for sign in comment)
    start = max(COLUMN, len(line) + 2)
    room = max(40, WIDEST - start)
    return f"{line.ljust(start)}# {plain if len(plain) <= room else plain[: room - 3] + '...'}"
