"""Reads the columns of targets: labels, sets of them, numbers, answers, each in its one spelling."""

from __future__ import annotations

from decimal import Decimal

from configs.schema import Data
from tasks.data.answers import WrongAnswer, read_answers
from tasks.data.label_sets import read_indicators, read_label_set
from tasks.data.labels import canonical_label
from tasks.data.numbers import FORM, canonical_number
from tasks.data.sources.chunk import Chunk, cell_shape, cell_text
from tasks.data.text_parts import plain_part
from tasks.data.thumbs import read_thumb


def read_targets(
    kind: str, data: Data, names: dict[str, str], chunk: Chunk, refused: dict[int, str], *, least: float
) -> list[str | None]:
    """The targets of a column, in their one spelling; a cell that is none becomes null, and its row is refused.

    `kind` is theirs, as `ProblemFacts.target` has it; numbers are `least` at the least.
    """
    column = names["target"]
    match kind:
        case "label":
            return [_as_label(cell, chunk, column, index) for index, cell in enumerate(chunk.columns[column])]
        case "labels":
            return _read_label_sets(chunk, column, data.label_separator, refused)
        case "number":
            return _read_numbers(chunk, column, least, refused)
        case "answer":
            return _read_answers(chunk, column, names["text_pair"], refused)
        case _:
            return read_texts(chunk, column)


def read_texts(chunk: Chunk, column: str) -> list[str | None]:
    """The texts of a column, each fit to be one of several."""
    texts = [cell_text(cell, chunk, column, index) for index, cell in enumerate(chunk.columns[column])]
    return [None if text is None else plain_part(text) for text in texts]


def _as_label(value: object, chunk: Chunk, column: str, index: int) -> str | None:
    """A cell as the label it is, spelled alike whatever the format."""
    return canonical_label(value if isinstance(value, Decimal) else cell_text(value, chunk, column, index))


def _read_numbers(chunk: Chunk, column: str, least: float, refused: dict[int, str]) -> list[str | None]:
    """The numbers of a column as text; a cell that is none, or less than `least`, becomes null, and its row is refused."""
    numbers: list[str | None] = []
    for index, value in enumerate(chunk.columns[column]):
        try:
            numbers.append(canonical_number(value if isinstance(value, Decimal) else cell_text(value, chunk, column, index)))
        except ValueError:
            numbers.append(None)
            refused[index] = f"its `{column}` is no number, but of the form {cell_shape(str(value))!r}: write {FORM}"
            continue
        if (number := numbers[-1]) is not None and float(number) < least:
            numbers[-1] = None
            refused[index] = f"its `{column}` is less than {least:g}, the least that there is"
    return numbers


def _read_label_sets(chunk: Chunk, column: str, separator: str, refused: dict[int, str]) -> list[str | None]:
    """The sets of labels of a column; a cell that is none becomes null, and its row is refused."""
    sets: list[str | None] = []
    for index, value in enumerate(chunk.columns[column]):
        try:
            sets.append(read_label_set(value, separator))
        except ValueError as error:
            sets.append(None)
            refused[index] = f"its `{column}` {error}"
    return sets


def _read_answers(chunk: Chunk, column: str, context: str, refused: dict[int, str]) -> list[str | None]:
    """The places of answers in their contexts; a cell that names none becomes null, and its row is refused."""
    answers: list[str | None] = []
    for index, (cell, text) in enumerate(zip(chunk.columns[column], chunk.columns[context], strict=True)):
        try:
            answers.append(read_answers(cell, cell_text(text, chunk, context, index) or ""))
        except WrongAnswer as error:
            answers.append(None)
            form = cell_shape(cell if isinstance(cell, str) else str(cell))
            refused[index] = f"its `{column}`, of the form {form!r}, {error}"
    return answers


def read_thumbs(chunk: Chunk, column: str, refused: dict[int, str]) -> list[str | None]:
    """Whether each answer is good or bad; a row that says neither is refused."""
    thumbs: list[str | None] = []
    for index, cell in enumerate(read_texts(chunk, column)):
        try:
            thumbs.append(read_thumb(cell or ""))
        except ValueError as error:
            thumbs.append(None)
            refused[index] = f"its `{column}` {error if cell else 'is empty: whether its answer is good is not known'}"
    return thumbs


def read_flags(chunk: Chunk, labels: list[str], refused: dict[int, str]) -> list[str | None]:
    """The sets of labels of columns that hold 1 or 0, a label each; a row with another cell is refused."""
    names = [canonical_label(label) or label for label in labels]
    sets: list[str | None] = []
    for index, cells in enumerate(zip(*(chunk.columns[label] for label in labels), strict=True)):
        try:
            sets.append(read_indicators(names, cells))
        except ValueError as error:
            sets.append(None)
            refused[index] = f"its `{error}` is neither 1 nor 0: whether that label applies is not known"
    return sets
