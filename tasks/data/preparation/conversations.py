"""Columns of conversations, and of languages, as canonical rows have them."""

from __future__ import annotations

from tasks.data.language_codes import FORM as CODE_FORM
from tasks.data.language_codes import canonical_code
from tasks.data.messages import FORM, Exchange, read_exchange
from tasks.data.sources.chunk import Chunk, cell_shape, check_length


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
