"""Phrase files and how a phrase becomes a sentence: `[a|b]` is a choice, `{slot}` a section of common.txt or a made value."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "phrases"
Sections = dict[str, tuple[str, ...]]
Makers = dict[str, Callable[[random.Random], str]]


@cache
def sections(name: str) -> Sections:
    """The sections (`# title` lines) of one phrase file, in order: title -> phrases."""
    found: dict[str, list[str]] = {}
    title = ""
    for line in (FOLDER / f"{name}.txt").read_text("utf-8").splitlines():
        if line.startswith("# "):
            title = line[2:].strip()
            found[title] = []
        elif line.strip():
            found[title].append(line.strip())
    return {title: tuple(phrases) for title, phrases in found.items()}


def intents() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in FOLDER.glob("*.txt") if path.stem != "common"))


def draw(rng: random.Random, phrases: Sequence[str], skew: float) -> str:
    """A phrase by Zipf's law, weight (rank + 2) ** -skew: people say a thing in some ways often, and in others hardly ever."""
    weights = list(accumulate((rank + 2) ** -skew for rank in range(len(phrases))))
    return rng.choices(phrases, cum_weights=weights)[0]


def expand(rng: random.Random, phrase: str, makers: Makers) -> str:
    """Settle every choice, then every slot; a slot's value may hold choices and slots itself."""
    choice = re.compile(r"\[([^\[\]]*)\]")
    slot = re.compile(r"\{([a-z_]+)(\d?)\}")
    while True:
        phrase, chosen = choice.subn(lambda match: rng.choice(match[1].split("|")), phrase)
        phrase, filled = slot.subn(lambda match: _value(rng, match[1], makers), phrase)
        if not chosen and not filled:
            return phrase


def _value(rng: random.Random, name: str, makers: Makers) -> str:
    return makers[name](rng) if name in makers else rng.choice(sections("common")[name])


def join(rng: random.Random, pattern: str, **parts: str) -> str:
    """Fill a pattern such as `{settled}, but {core}` and give every sentence its capital letter."""
    text = pattern
    for name, part in parts.items():
        text = text.replace("{" + name + "}", part)
    return re.sub(r"(^|[.?!] )([a-zà-ÿ])", lambda match: match[1] + match[2].upper(), text) if rng.random() < 0.9 else text


def misspell(rng: random.Random, text: str, rate: float) -> str:
    """Swap, drop or double a letter in about `rate` of the longer words; digits, addresses and product names stay as they are."""
    words = text.split(" ")
    for place, word in enumerate(words):
        if len(word) < 5 or not word.isalpha() or word[0].isupper() or rng.random() >= rate:
            continue
        at = rng.randrange(1, len(word) - 1)
        swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        words[place] = rng.choice((swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]))
    return " ".join(words)
