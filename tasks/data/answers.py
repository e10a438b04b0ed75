"""The one spelling of answers that stand in a text: canonical JSON of their places there, such as `[[4,9]]`; `[]` for no answer.

A place is [start, end) in characters (code points) of the context, the second part of an input. Several places are several
accepted answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from tasks.data.alignment import Alignment, stands_alone
from tasks.data.text_parts import split_parts
from tasks.data.written import read_written

NO_ANSWER = "[]"
_FORMS = 'write {"text": [...], "answer_start": [...]}, a text that stands in the context, or nothing where there is no answer'

_STARTS = ("answer_start", "start")
MOST_PLACES = 500  # of a text that are looked at: a long one that repeats itself stands in thousands


class Place(NamedTuple):
    """Characters [start, end) of a context."""

    start: int
    end: int

    def text(self, context: str) -> str:
        """What stands there."""
        return context[self.start : self.end]


class WrongAnswer(ValueError):  # noqa: N818  (a reason that follows "its `answers` ...")
    """A cell that names no answer of its context; its message never repeats the cell."""


def write_places(places: Iterable[Sequence[int]]) -> str:
    """Places as they are kept: each once, in order."""
    return json.dumps(sorted({(int(start), int(end)) for start, end in places}), separators=(",", ":"))


@lru_cache(100_000)
def places_of(target: str) -> tuple[Place, ...]:
    """The places that `write_places` wrote."""
    return tuple(Place(*place) for place in json.loads(target))


def context_of(text: str) -> str:
    """The context of an input of question and context."""
    return split_parts(text)[-1]


def question_of(text: str) -> str:
    """Its question."""
    return split_parts(text)[0]


def answer_texts(target: str, text: str) -> list[str]:
    """The accepted answers of an input, as they stand there; none where there is no answer."""
    context = context_of(text)
    return [place.text(context) for place in places_of(target)]


def read_answers(cell: object, context: str) -> str:
    """The answers in a cell, as the places where they stand in the context.

    A cell is SQuAD's object (`text` and `answer_start`, each a value or a list), a list of such objects or of texts, either of them
    written as JSON or as Python writes it, or a text that is looked for in the context: the first place counts where it is no part
    of a word, else the first. An empty cell says that the context holds no answer. Raises WrongAnswer for another form, an answer
    that does not stand in the context, and a place where another text stands.
    """
    places = [_find_answer(text, start, context) for text, start in _parse_cell(cell)]
    return write_places(place for place in places if place.end > place.start)


def names_places(cell: object) -> bool:
    """Whether a cell is written as SQuAD writes answers, each with the place where it starts, be it that there are none."""
    try:
        answers = _parse_cell(cell)
    except WrongAnswer:
        return False
    cell_value = _read_written(cell) if isinstance(cell, str) else cell
    return isinstance(cell_value, Mapping | list) and all(start is not None for _, start in answers)


def find_places(text: str, context: str) -> Iterator[Place]:
    """Each exact place of a text in a context, from the first on."""
    start = context.find(text) if text else -1
    while start >= 0:
        yield Place(start, start + len(text))
        start = context.find(text, start + 1)


def _likeliest_place(text: str, context: str) -> Place | None:
    """Where a text stands that is given without its place."""
    places = list(islice(find_places(text, context), MOST_PLACES))
    return next((place for place in places if stands_alone(context, *place)), next(iter(places), None))


def trimmed(place: Place, context: str) -> Place:
    """A place without white space at its ends."""
    text = place.text(context)
    left = len(text) - len(text.lstrip())
    return Place(place.start + left, place.start + left + len(text.strip()))


def _parse_cell(cell: object) -> list[tuple[str, int | None]]:
    """(text, start or None) of each answer that a cell names."""
    if isinstance(cell, str):
        cell = _read_written(cell)
    if cell is None or cell != cell:
        return []
    if isinstance(cell, Mapping):
        return _parse_object(cell)
    parts = list(cell) if isinstance(cell, list | tuple) else [cell]
    if any(isinstance(part, list | tuple | bytes | bool) or part is None for part in parts):
        raise WrongAnswer(f"names no answers: {_FORMS}")
    return [answer for part in parts for answer in (_parse_object(part) if isinstance(part, Mapping) else _plain(part))]


def _plain(text: object) -> list[tuple[str, int | None]]:
    return [(str(text), None)] if str(text).strip() else []


def _parse_object(answers: Mapping[object, object]) -> list[tuple[str, int | None]]:
    """The answers of an object as SQuAD has it; `answer_start` may be missing."""
    if "text" not in answers:
        raise WrongAnswer(f"is an object without `text`: {_FORMS}")
    texts, starts = (_as_list(answers.get(name)) for name in ("text", next(filter(answers.__contains__, _STARTS), _STARTS[0])))
    if starts and len(starts) != len(texts):
        raise WrongAnswer(f"has {len(texts)} texts and {len(starts)} starts: give each text its `answer_start`")
    if any(not isinstance(text, str) for text in texts) or any(not _is_whole(start) for start in starts):
        raise WrongAnswer(f"holds a text that is none, or a start that is no whole number: {_FORMS}")
    named = zip(texts, starts or [None] * len(texts), strict=True)
    return [(str(text), None if start is None else int(start)) for text, start in named if str(text).strip()]  # type: ignore[call-overload]


def _as_list(value: object) -> list[object]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _is_whole(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()


def _find_answer(text: str, start: int | None, context: str) -> Place:
    if start is None:
        place = _likeliest_place(text, context) or _likeliest_place(text.strip(), context)
        if place is None:
            raise WrongAnswer("holds an answer that does not stand in the context, letter by letter")
        return trimmed(place, context)
    place = Place(start, start + len(text))
    if start < 0 or place.text(context) != text:
        raise WrongAnswer("gives a place where another text stands than the answer's: count the characters of the context from 0")
    return trimmed(place, context)


def _read_written(text: str) -> object:
    """The object or the list that a text writes; else the text itself."""
    plain = text.strip()
    if not plain:
        return None
    if (plain[0], plain[-1]) not in (("{", "}"), ("[", "]")):
        return text
    try:
        return read_written(plain)
    except ValueError:
        return text


def move_place(place: Sequence[int], move: Callable[[int, int], tuple[int, int]], before: str, after: str) -> Place:
    """A place in the context of one input, in that of another that it became; `move` leads spans of the whole inputs there.

    Without white space at its ends; where nothing is left of it, it is empty.
    """
    offsets = [len(text) - len(context_of(text)) for text in (before, after)]
    start, end = move(place[0] + offsets[0], place[1] + offsets[0])
    return trimmed(Place(max(0, start - offsets[1]), max(0, end - offsets[1])), context_of(after))


def move_answers(target: str, alignment: Alignment, before: str, after: str) -> str | None:
    """The places of a target, in the input that an alignment leads to; None where nothing is left of any answer."""
    places = places_of(target)
    moved = [move_place(place, alignment.forward, before, after) for place in places]
    left = [place for place in moved if place.start < place.end]
    return write_places(left) if left or not places else None


def write_right_answer(text: str | None, start: int | None = None) -> str:
    """A person's answer as the traffic log keeps it: its text, and near which character of the context it stands where they say."""
    if text is None:
        return NO_ANSWER
    return json.dumps({"text": text} | ({} if start is None else {"start": start}), ensure_ascii=False)


def right_places(value: str, text: str) -> str | None:
    """The target that a person's answer is for a logged input; None where it does not stand there.

    Of several places it is the one nearest to `start`, as a context that was prepared may have moved by a little, else the first
    that is no part of a word.
    """
    if value == NO_ANSWER:
        return NO_ANSWER
    corrected = _read_written(value)
    named: dict[str, Any] = corrected if isinstance(corrected, dict) else {"text": value}
    answer, start, context = str(named.get("text", "")).strip(), named.get("start"), context_of(text)
    place = _likeliest_place(answer, context) if start is None else _nearest_place(answer, context, start)
    return None if place is None else write_places([place])


def _nearest_place(text: str, context: str, start: int) -> Place | None:
    """Where a text stands in a context, of several places the one that begins nearest to `start`: O(context)."""
    behind, before = context.find(text, start), context.rfind(text, 0, max(0, start - 1) + len(text))
    places = sorted((at for at in (before, behind) if at >= 0), key=lambda at: abs(at - start))
    return Place(places[0], places[0] + len(text)) if text and places else None


def map_right_answer(change: Callable[[str], str], value: str) -> str:
    """A person's answer with its text changed; what holds none, as a thumb does, is left as it is."""
    if not value.startswith("{"):
        return value
    corrected = json.loads(value)
    return write_right_answer(change(corrected["text"]), corrected.get("start"))
