"""A time is one that a row can have, written out; anything else is named by its row, its column and what it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from configs.errors import InputError
from configs.schema import Data
from tasks.data.preparation.load import loaded_source


def times(home, *values: str) -> list[datetime]:
    (home / "a.csv").write_text("text,label,t\n" + "".join(f'a,x,"{value}"\n' for value in values))
    with loaded_source(Data(source=str(home / "a.csv"), time="t"), "text-classification", home) as raw:
        return pd.concat(raw.frames())["time"].tolist()


@pytest.mark.parametrize(
    "value",
    [
        "today",
        "now",
        "soon",
        "NaT",
        "Today",
        "31.01.2026",
        "1700000000",
        "2026-02-31",
        "2026-01-31 UTC",
        "1",
        "10000-01-01",
        "2025.5",
        "2025.10",
        "2025 05",
        "2025.10 10:00",
        "2025.0",
        "2025,5",
        "-2025-01-01",
    ],
)
def test_what_is_no_iso_8601_is_named(tmp_path, value):
    with pytest.raises(InputError, match=r"a\.csv row 2: `t` is no time: write ISO 8601"):
        times(tmp_path, "2026-01-31", value)


def test_a_cell_that_is_no_time_is_shown_by_its_form_alone(tmp_path):
    with pytest.raises(InputError) as raised:
        times(tmp_path, "2026-01-31", "Anna Müller, 030 1234567, anna@example.org, who called twice")
    assert str(raised.value).endswith("the cell has the form 'Xxxx Xxxxxx, 999 9999999, xxxx@xxxxxxx.x...'")


def test_a_number_is_no_month_of_a_year(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": "x", "t": 2025.5}\n')
    data = Data(source=str(tmp_path / "a.jsonl"), time="t")
    says = r"a\.jsonl row 1: `t` is no time: write ISO 8601, .*; the cell has the form '9999\.9'$"
    with pytest.raises(InputError, match=says), loaded_source(data, "text-classification", tmp_path):
        pass
    windowed = Data(source=str(tmp_path / "a.jsonl"), time="t", window={"start": "2025.5"})
    with pytest.raises(InputError, match="is no time"), loaded_source(windowed, "text-classification", tmp_path):
        pass


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("2025-02-30", "'9999-99-99', and there is no such day, or no such time of a day"),
        ("2025-01-31 25:00", "'9999-99-99 99:99', and there is no such day, or no such time of a day"),
        ("2025-01-31 ", "'9999-99-99 ', which ends in a space"),
        ("31.01.2026", "'99.99.9999'"),
    ],
)
def test_it_is_said_what_is_wrong_with_a_time(tmp_path, value, says):
    with pytest.raises(InputError) as raised:
        times(tmp_path, value)
    assert str(raised.value).endswith(f"the cell has the form {says}")


@pytest.mark.parametrize("value", ["9999-12-31", "0001-01-01", "2999-01-01T00:00:00Z"])
def test_a_time_that_no_row_can_have_is_named(tmp_path, value):
    with pytest.raises(InputError, match=rf"row 3: `t` is '{value}', which no row can have .from the year 1000 to 20"):
        times(tmp_path, "2026-01-31", "", value)


def test_the_bound_on_the_future_leaves_room_for_clocks_and_plans(tmp_path):
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=300)
    assert times(tmp_path, soon.isoformat()) == [pd.Timestamp(soon)]
    with pytest.raises(InputError, match="no row can have"):
        times(tmp_path, (soon + timedelta(days=100)).isoformat())


def test_every_way_of_writing_iso_8601_is_read(tmp_path):
    written = [
        "2026-01-31",
        "20260131",
        "2026-01-31T00:00",
        "2026-01-31 00:00:00.000000+00:00",
        "2026-01-31T01:00:00+01:00",
        "2026-01-31T00Z",
        "20260131T000000Z",
        "2026-1-31",
        " 2026-01-31T00:00:00 Z",
        "2026.01.31",
        "2026 01 31",
    ]
    assert set(times(tmp_path, *written)) == {pd.Timestamp("2026-01-31", tz="UTC")}
    assert set(times(tmp_path, "2026", "2026-01", "2026-1")) == {pd.Timestamp("2026-01-01", tz="UTC")}


def test_a_window_is_written_out_too(tmp_path):
    (tmp_path / "a.csv").write_text("text,label,t\na,x,2026-01-31\n")
    data = Data(source=str(tmp_path / "a.csv"), time="t", window={"start": "today"})
    with pytest.raises(InputError, match=r"data\.window: 'today' is no time"), loaded_source(data, "text-classification", tmp_path):
        pass
    late = Data(source=str(tmp_path / "a.csv"), time="t", window={"end": "9999-12-31T23:59:59-12:00"})  # the year 10000 in UTC
    with pytest.raises(InputError, match=r"data\.window: '9999.* is no time"), loaded_source(late, "text-classification", tmp_path):
        pass
