"""Times of rows: ISO 8601, within the range that a row can have."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from configs.errors import InputError
from configs.schema import Window
from tasks.data.sources.chunk import Chunk, cell_shape

if TYPE_CHECKING:
    import pyarrow as pa

EARLIEST = datetime(1000, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=366)  # how far clocks and plans may run ahead; beyond it a time is a mistake, or stands for none
_DAY = r"\d{4}(?:-\d{1,2}-\d{1,2}|\d{4}|\.\d{1,2}\.\d{1,2}| \d{1,2} \d{1,2})"
# A decimal number would be read as a month of a year, `today` and `now` as the moment of reading, which no row means.
_WRITTEN = rf"(?: *(?:\d{{4}}(?:-\d{{1,2}})?|{_DAY}(?:[T ][ 0-9Z:.,+−-]*)?))"
_SHOWN = 60


def read_times(values: list[str | None], chunk: Chunk, column: str) -> pa.Array:
    """Texts as times in UTC; InputError names the row of one that is no ISO 8601, or lies where no row's time can."""
    import pandas as pd
    import pyarrow as pa

    texts = pd.Series(values, dtype="str")
    well_formed = texts.where(texts.str.fullmatch(_WRITTEN).fillna(False).astype(bool))
    parsed = pd.to_datetime(well_formed, utc=True, format="ISO8601", errors="coerce").astype("datetime64[us, UTC]")
    bad = (parsed.isna() & texts.notna()).to_numpy()
    if bad.any():
        index = int(bad.argmax())
        raise InputError(
            f"{chunk.place(index)}: `{column}` is no time: write ISO 8601, as 2026-01-31T08:15:00Z; {_fault(str(values[index]))}"
        )
    latest = datetime.now(UTC) + AHEAD
    absurd = ((parsed < EARLIEST) | (parsed > latest)).fillna(False).to_numpy(dtype=bool)
    if absurd.any():
        index = int(absurd.argmax())
        raise InputError(
            f"{chunk.place(index)}: `{column}` is {str(values[index])[:_SHOWN]!r}, which no row can have (from the year "
            f"{EARLIEST.year} to {latest:%Y-%m-%d}): correct it, or leave it empty"
        )
    return pa.array(parsed, type=pa.timestamp("us", tz="UTC"))


def _fault(text: str) -> str:
    """What is wrong with a cell that is no time, by its form alone."""
    form = f"the cell has the form {cell_shape(text)!r}"
    if text != text.rstrip():
        return f"{form}, which ends in a space"
    if re.fullmatch(_WRITTEN, text):
        return f"{form}, and there is no such day, or no such time of a day"
    return form


def window_edges(window: Window) -> tuple[datetime | None, datetime | None]:
    """Start and end as datetimes in UTC, None where the window is open."""
    return tuple(None if text is None else _parse_bound(text) for text in (window.start, window.end))  # type: ignore[return-value]


def _parse_bound(text: str) -> datetime:
    import pandas as pd

    try:
        if not re.fullmatch(_WRITTEN, text):
            raise ValueError("no ISO 8601")
        time = pd.Timestamp(text)
        return (time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")).to_pydatetime()
    except ValueError as error:
        raise InputError(f"data.window: {text[:_SHOWN]!r} is no time: write ISO 8601, as 2026-01-31") from error
