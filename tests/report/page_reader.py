"""Reads pages back as a browser would, for the tests of all of them."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "br", "wbr", "img", "input", "hr", "link"}
HOSTILE = "</style></title><script>alert('x')</script>\"onload='x' {{ 7*7 }}"


class Reader(HTMLParser):
    """Collects tags with their attributes, and holds that each one is closed where it should be."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)


FIXED = {"verdict", "role", "kind", "unit", "outcome", "state", "why"}
"""Fields that hold words of a fixed set."""


def read_page(html: str) -> Reader:
    """The page's tags and texts, every tag closed."""
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def holds_together(html: str) -> None:
    """One well-formed file without script or network; links lead somewhere, ids are unique, charts and headers are named."""
    reader = read_page(html)
    assert not {tag for tag, _ in reader.tags} & {"script", "link", "img", "iframe", "object", "embed", "form"}
    assert not re.search(r"url\(|@import", html)
    assert not [name for _, attrs in reader.tags for name in attrs if name.startswith("on")]
    assert not re.search(r"\bnan\b|\binf\b", " ".join(re.findall(r'="([^"]*)"', html)).lower())
    hrefs = [attrs.get("href") or "" for tag, attrs in reader.tags if tag == "a"]
    assert not [href for href in hrefs if not href or href.startswith(("//", "javascript", "data:"))]
    ids = [attrs["id"] for _, attrs in reader.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in hrefs if href.startswith("#")} <= set(ids)
    for tag, attrs in reader.tags:
        if tag == "svg" and attrs.get("role") == "img":
            assert attrs.get("aria-label")
        if tag == "th":
            assert attrs.get("scope") in ("col", "row")


def same_tags(harmless: str, hostile: str) -> None:
    """No text became markup: both pages have the same tags with the same attributes."""
    one, other = read_page(harmless), read_page(hostile)
    assert [tag for tag, _ in other.tags] == [tag for tag, _ in one.tags]
    assert [sorted(attrs) for _, attrs in other.tags] == [sorted(attrs) for _, attrs in one.tags]
    assert any("<script>alert('x')</script>" in text for text in other.text)


def with_every_text(value: Any, text: str, path: str = "") -> Any:
    """The same report with `text` added to every string but those that are words of a fixed set."""
    if isinstance(value, str):
        return value if path in FIXED else value + text
    if isinstance(value, tuple):
        return tuple(with_every_text(one, text, path) for one in value)
    if isinstance(value, dict):
        return {key + text: with_every_text(one, text) for key, one in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{one.name: with_every_text(getattr(value, one.name), text, one.name) for one in dataclasses.fields(value)}
        )
    return value
