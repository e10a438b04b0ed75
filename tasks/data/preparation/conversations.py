"""A column of conversations as canonical rows: what is read, and the answer to it."""

from __future__ import annotations

from tasks.data.messages import FORM, Exchange, read_exchange
from tasks.data.sources.chunk import Chunk


def read_conversations(chunk: Chunk, column: str, refused: dict[int, str]) -> tuple[list[str | None], list[str | None]]:
    """Texts and targets of a column; of a cell that cannot be used both are null, and its row is refused."""
    exchanges: list[Exchange | None] = []
    for index, value in enumerate(chunk.columns[column]):
        try:
            exchanges.append(read_exchange(value))
        except ValueError as error:
            exchanges.append(None)
            refused[index] = f"its `{column}` {error}: write {FORM}"
    texts = [None if each is None else each.text for each in exchanges]
    return texts, [None if each is None else each.target for each in exchanges]
