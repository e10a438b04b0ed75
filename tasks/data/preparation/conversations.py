"""Columns of conversations, and of languages, as canonical rows have them."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.data.language_codes import FORM as CODE_FORM
from tasks.data.language_codes import canonical_code
from tasks.data.messages import FORM, Exchange, read_exchange
from tasks.data.sources.chunk import Chunk, cell_shape, cell_text, check_length


def read_conversations(
    chunk: Chunk, column: str, longest: int, refused: dict[int, str]
) -> tuple[list[str | None], list[str | None]]:
    """What is read, and the answer to it; of a cell that cannot be used both are null, and its row is refused."""
    exchanges: list[Exchange | None] = []
    for index, value in enumerate(chunk.columns[column]):
        try:
            exchanges.append(read_exchange(value))
        except ValueError as error:
            exchanges.append(None)
            refused[index] = f"its `{column}` {error}: write {FORM}"
    texts = [None if each is None else each.text for each in exchanges]
    targets = [None if each is None else each.target for each in exchanges]
    for values in (texts, targets):
        check_length(values, chunk, column, longest)
    return texts, targets


def read_rejected(
    chunk: Chunk, column: str, texts: Sequence[str | None], longest: int, refused: dict[int, str]
) -> list[str | None]:
    """Rejected answers to conversations: texts, or the last turns of conversations that are the same before it."""
    answers: list[str | None] = []
    for index, value in enumerate(chunk.columns[column]):
        try:
            exchange = read_exchange(value) if isinstance(value, list) else None
        except ValueError as error:
            exchange, refused[index] = None, f"its `{column}` {error}: write {FORM}"
        if exchange is not None and texts[index] is not None and exchange.text != texts[index]:
            refused[index] = f"its `{column}` answers another conversation: all before the last turn has to be the same"
        is_list = isinstance(value, list)
        answers.append((exchange and exchange.target) if is_list else cell_text(value, chunk, column, index))
    check_length(answers, chunk, column, longest)
    return answers


def read_languages(values: list[str | None], column: str, refused: dict[int, str]) -> list[str | None]:
    """Codes of languages in one spelling; a cell that is none becomes null, and its row is refused: it may be anything."""
    codes: list[str | None] = []
    for index, value in enumerate(values):
        try:
            codes.append(None if value is None or not value.strip() else canonical_code(value))
        except ValueError:
            codes.append(None)
            refused[index] = (
                f"its `{column}` is no code of a language, but of the form {cell_shape(str(value))!r}: write {CODE_FORM}"
            )
    return codes
