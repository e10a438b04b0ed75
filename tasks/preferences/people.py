"""People's judgements of pairs of answers: files of them read, and files for them to fill in written."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from configs.errors import InputError
from tasks.preferences.prompt import TURNED, AnswerPair, PairPreference, read_preference

FIELDS = ("prompt", "a", "b", "preferred")
MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class HumanJudgement:
    """A pair, and which of its answers a person prefers."""

    pair: AnswerPair
    preferred: PairPreference


def read_judgements(source: str, setting: str, *, may_be_open: bool = False) -> list[HumanJudgement]:
    """The pairs of a file that are judged, each once, by its last line; lines without a judgement are still open.

    Equal answers are a tie to everyone, and left out. InputError names the line, not its texts; so it does where no pair is judged,
    unless all `may_be_open`.
    """
    path = Path(source).expanduser()
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{setting} {source}: is larger than {MOST_BYTES >> 20} MB: name a file of judgements")
        lines = _lines_of(path)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{setting} {source}: cannot be read ({type(error).__name__}): name a file of JSON lines in UTF-8"
        ) from None
    read = [_read_line(line, f"{setting} {source} line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    by_pair = {frozenset((each.pair, each.pair.turned)): each for each in read if each is not None and each.pair.a != each.pair.b}
    if not by_pair and not may_be_open:
        raise InputError(f'{setting} {source}: no line has a judgement: write a, b or tie into "preferred"')
    return list(by_pair.values())


def _lines_of(path: Path) -> list[str]:
    """The lines of a file; what Unicode has for line ends besides may stand in a text."""
    return path.read_text(encoding="utf-8-sig").split("\n")


def add_open_pairs(file: Path, pairs: Sequence[AnswerPair], seed: int) -> str:
    """What a file of pairs is to hold: the lines that people have judged stay, and behind them come the pairs that are open."""
    lines = [line for line in _lines_of(file) if line.strip()] if file.is_file() else []
    return "".join(f"{line}\n" for line in lines if not _is_open(line)) + pairs_to_judge(pairs, seed)


def _is_open(line: str) -> bool:
    try:
        return _read_line(line, "") is None
    except InputError:
        return False


def _read_line(line: str, place: str) -> HumanJudgement | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError(f"{place}: is not JSON: a line holds one object with {', '.join(FIELDS)}") from None
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in FIELDS[:3]):
        raise InputError(f"{place}: has not the texts prompt, a and b: a line holds one object with {', '.join(FIELDS)}")
    if row.get("preferred") in (None, ""):
        return None
    preference = read_preference(row["preferred"]) if isinstance(row["preferred"], str) else None
    if preference is None:
        raise InputError(f"{place}: preferred is none of a, b and tie: correct it, or leave it empty")
    return HumanJudgement(AnswerPair(row["prompt"], row["a"], row["b"]), preference)


def human_preferences(pairs: Sequence[AnswerPair], judged: Sequence[HumanJudgement]) -> list[PairPreference | None]:
    """What people said of each pair, in whichever order they saw it; None where nobody judged it. The last word counts."""
    known: dict[AnswerPair, PairPreference] = {}
    for each in judged:
        known[each.pair] = each.preferred
        known[each.pair.turned] = TURNED[each.preferred]
    return ["tie" if pair.a == pair.b else known.get(pair) for pair in pairs]


def pairs_to_judge(pairs: Sequence[AnswerPair], seed: int) -> str:
    """JSON lines for people to fill in: which model an answer is of cannot be seen, as the order is drawn for each pair."""
    draw = random.Random(seed)
    drawn_pairs = [pair if draw.random() < 0.5 else pair.turned for pair in pairs if pair.a != pair.b]
    rows = [{"prompt": pair.prompt, "a": pair.a, "b": pair.b, "preferred": ""} for pair in drawn_pairs]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
