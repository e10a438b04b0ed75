"""Where traffic lies for good: days that find their rows, files that become one, a database that may be away."""

import errno
import shutil
import signal
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import postgres
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from test_log import NAME, T0, answer, label, places, run_child

from configs.errors import InfraError
from tasks.traffic import store
from tasks.traffic.journal import list_journals
from tasks.traffic.log import Query, find_answers, open_traffic, pending_audits, read_answers, read_feedback
from tasks.traffic.sql import SqlStore
from tasks.traffic.store import ParquetStore


def keep(home, answers, feedback=(), url=None, name=NAME):
    traffic = open_traffic(home, name, url)
    traffic.answered(answers)
    traffic.feedback(list(feedback))
    traffic.close()


def files(home, kind="answers"):
    return sorted((home / "traffic" / NAME / kind).rglob("*.parquet"))


def days(n, per_day=10):
    return [answer(place, time=T0 + timedelta(days=place // per_day, minutes=place % per_day)) for place in range(n)]


@pytest.fixture(params=["parquet", "sqlite", "postgresql"])
def url(request, tmp_path):
    """None for Parquet, or a database of its own."""
    if request.param == "parquet":
        yield None
    elif request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/traffic.db"
    else:
        server = postgres.url_or_skip()
        schema = f"traffic_{uuid.uuid4().hex[:8]}"
        engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.execute(sa.schema.CreateSchema(schema))
        yield f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{schema}"
        with engine.connect() as connection:
            connection.execute(sa.schema.DropSchema(schema, cascade=True))


# --- any store ------------------------------------------------------------------------------------------------------------


def test_a_window_of_time_finds_its_answers_and_no_other(tmp_path, url):
    keep(tmp_path, days(50), url=url)
    assert places(tmp_path, url=url) == list(range(50))
    assert places(tmp_path, url=url, start=T0 + timedelta(days=2)) == list(range(20, 50))
    assert places(tmp_path, url=url, end=T0 + timedelta(days=2)) == list(range(20))
    assert places(tmp_path, url=url, start=T0 + timedelta(days=1, minutes=5), end=T0 + timedelta(days=2, minutes=1)) == [
        *range(15, 21)
    ]
    assert places(tmp_path, url=url, start=T0 + timedelta(days=9)) == []


def test_what_goes_in_comes_out_of_any_store(tmp_path, url):
    kept = [answer(1, "Ünï\n日本", time=T0, audit=True, audit_probability=0.02, origin="score"), answer(2, "", time=T0, score=None)]
    keep(tmp_path, kept, [label(1, "x", "audit")], url)
    keep(tmp_path, [answer(3)], url=url, name="other")
    found = read_answers(tmp_path, NAME, url)
    for place, one in enumerate(kept):
        assert {name: found[name][place] for name in one.__slots__ if name != "score"} == {
            name: getattr(one, name) for name in one.__slots__ if name != "score"
        }
    assert found["score"][0] == 0.9 and found["score"].isna().tolist() == [False, True]
    assert str(found["time"].dtype) == "datetime64[us, UTC]"
    assert read_feedback(tmp_path, NAME, url)["value"].tolist() == ["x"]
    assert pending_audits(tmp_path, NAME, url).empty


def test_answers_are_found_by_their_ids(tmp_path, url):
    keep(tmp_path, days(30), url=url)
    wanted = [f"{place:032x}" for place in (3, 17, 99)]
    assert [int(name, 16) for name in find_answers(tmp_path, NAME, url, wanted)["id"]] == [3, 17]
    assert find_answers(tmp_path, NAME, url, []).empty


def test_a_sample_is_the_same_each_time_and_favours_no_day(tmp_path, url):
    kept = days(600, per_day=100)
    kept = [type(one)(**{n: getattr(one, n) for n in one.__slots__} | {"id": uuid.uuid4().hex}) for one in kept]
    keep(tmp_path, kept, url=url)
    found = read_answers(tmp_path, NAME, url, Query(most=300))
    assert len(found) == 300 and found.equals(read_answers(tmp_path, NAME, url, Query(most=300)))
    by_day = found["time"].dt.date.value_counts()
    assert len(by_day) == 6 and by_day.min() > 20  # of 50 expected, 7.7 standard errors of a draw without replacement
    assert len(read_answers(tmp_path, NAME, url, Query(most=1000))) == 600


def test_only_the_rows_and_columns_asked_for_are_read(tmp_path, url):
    kept = [answer(place, version=str(place % 2), origin=("predict", "score")[place % 3 == 0]) for place in range(60)]
    keep(tmp_path, kept, url=url)
    wanted = Query(values={"version": "1", "origin": "predict"}, most=10)
    assert {int(name, 16) % 6 for name in read_answers(tmp_path, NAME, url, wanted)["id"]} == {1, 5}
    counted = read_answers(tmp_path, NAME, url, Query(columns=("id", "time", "version")))
    assert list(counted) == ["id", "time", "version"] and len(counted) == 60
    traffic = open_traffic(tmp_path, NAME, url)
    traffic.answered([answer(60)])
    traffic.flush()
    assert len(read_answers(tmp_path, NAME, url, Query(columns=("id", "time", "version")))) == 61, "one is in a journal still"
    traffic.close()


def test_a_journal_that_is_put_twice_is_there_once(tmp_path, url, monkeypatch):
    traffic = open_traffic(tmp_path, NAME, url)
    traffic.answered(days(20))
    traffic.feedback([label(1, "x")])
    traffic.flush()
    traffic.close()
    again = open_traffic(tmp_path, NAME, url)
    again.answered(days(20))  # as a killed mover would leave it: rows that are there already
    again.feedback([label(2, "x")])
    again.close()
    assert places(tmp_path, url=url) == list(range(20))


# --- Parquet ---------------------------------------------------------------------------------------------------------------


def test_files_lie_by_day_of_utc(tmp_path):
    east = datetime.fromisoformat("2026-03-02T01:30:00+02:00")
    keep(tmp_path, [answer(1, time=east), answer(2, time=T0 + timedelta(days=1))], [label(1, "x", when=T0 + timedelta(days=40))])
    assert [file.parent.name for file in files(tmp_path)] == ["day=2026-03-01", "day=2026-03-02"]
    assert [file.parent.name for file in files(tmp_path, "feedback")] == ["day=2026-04-10"]


def test_a_damaged_file_is_named_with_the_ways_out(tmp_path):
    keep(tmp_path, days(10))
    (file,) = files(tmp_path)
    content = file.read_bytes()
    for damaged in (content[:40] + b"\xff" * 60 + content[100:], content[:50], b""):
        file.write_bytes(damaged)
        with pytest.raises(InfraError, match=rf"{file.name} cannot be read .*restore it from a copy"):
            read_answers(tmp_path, NAME)


@pytest.mark.parametrize("place", ["", NAME, f"{NAME}/answers", f"{NAME}/answers/day=2026-03-01"])
def test_a_file_where_a_folder_should_be_is_no_empty_log(tmp_path, place):
    keep(tmp_path, [answer(1, time=T0)])
    there = tmp_path / "traffic" / place
    shutil.rmtree(there)
    there.write_text("in the way")
    with pytest.raises(InfraError, match=rf"{there}.* cannot be read \(Not a directory\): move away the file"):
        read_answers(tmp_path, NAME)


@pytest.mark.parametrize("method", ["iterdir", "read_bytes"])
def test_what_this_user_may_not_read_is_no_empty_log(tmp_path, monkeypatch, method):
    traffic = open_traffic(tmp_path, NAME)
    traffic.answered([answer(1)])
    traffic.flush()

    def forbidden(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, method, forbidden)
        with pytest.raises(InfraError, match=r"traffic/tiny.* cannot be read \(Permission denied\): let this user read"):
            read_answers(tmp_path, NAME)
        with pytest.raises(InfraError, match="let this user read"):
            pending_audits(tmp_path, NAME)
    traffic.close()
    assert places(tmp_path) == [1]


def test_a_file_that_this_user_may_not_read_is_not_called_damaged(tmp_path, monkeypatch):
    keep(tmp_path, days(10))

    def forbidden(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(pq, "ParquetFile", forbidden)
    with pytest.raises(InfraError, match=rf"{files(tmp_path)[0]} cannot be read \(Permission denied\): let this user read"):
        read_answers(tmp_path, NAME)


def test_rows_of_no_time_that_can_be_are_left_out_of_a_file_and_said(tmp_path, caplog):
    keep(tmp_path, days(10), [label(1, "x")])
    (file,) = files(tmp_path)
    table = pq.read_table(file)
    beyond = pa.array([1_796_000_000_000_000_000, -1, *[1_796_000_000_000_000] * 8]).cast(table.schema.field("time").type)
    pq.write_table(table.set_column(1, table.schema.field("time"), beyond), file)
    assert len(places(tmp_path)) == 8 and "2 rows of" in caplog.text and file.name in caplog.text
    assert pending_audits(tmp_path, NAME).empty


def test_the_small_files_of_a_day_that_is_over_become_one(tmp_path):
    for start in range(0, 100, 10):
        keep(tmp_path, [answer(place, time=T0 + timedelta(minutes=place)) for place in range(start, start + 10)])
    today = datetime.now(UTC)
    for place in (200, 201):
        keep(tmp_path, [answer(place, time=today)])
    before = read_answers(tmp_path, NAME)
    ParquetStore(tmp_path / "traffic" / NAME).tidy()
    assert [file.parent.name == f"day={today:%Y-%m-%d}" for file in files(tmp_path)] == [False, True, True]
    assert read_answers(tmp_path, NAME).equals(before) and len(before) == 102
    keep(tmp_path, [answer(300, time=T0)])
    ParquetStore(tmp_path / "traffic" / NAME).tidy()
    assert len(files(tmp_path)) == 3 and len(places(tmp_path)) == 103


def test_so_many_files_become_one_as_fit_in_memory(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ParquetStore, "tidy", lambda _: None)  # whoever keeps tidies up too
        for place in range(7):
            keep(tmp_path, [answer(place, time=T0 + timedelta(minutes=place))])
    size = max(file.stat().st_size for file in files(tmp_path))
    monkeypatch.setattr(store, "SMALL_BYTES", int(2.5 * size))
    ParquetStore(tmp_path / "traffic" / NAME).tidy()
    assert len(files(tmp_path)) == 3 and places(tmp_path) == list(range(7))


@pytest.mark.parametrize("strike", [2, 3, 4, 7])
def test_a_process_killed_while_it_makes_one_file_of_many_loses_and_doubles_nothing(tmp_path, strike):
    for start in range(3):
        keep(tmp_path, [answer(place, time=T0 + timedelta(minutes=place)) for place in range(start * 10, start * 10 + 10)])
    assert run_child("tidying", tmp_path, str(tmp_path), str(strike)).wait() == -signal.SIGKILL
    assert places(tmp_path) == list(range(30))
    ParquetStore(tmp_path / "traffic" / NAME).tidy()
    assert len(files(tmp_path)) == 1 and places(tmp_path) == list(range(30))


def test_readers_see_every_answer_while_files_become_one(tmp_path):
    keep(tmp_path, [answer(0, time=T0)])
    stop, faults = threading.Event(), []

    def read():
        while not stop.is_set():
            found = places(tmp_path)
            if found != list(range(len(found))) or not found:
                faults.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    for place in range(1, 25):
        keep(tmp_path, [answer(place, time=T0 + timedelta(seconds=place))])
        ParquetStore(tmp_path / "traffic" / NAME).tidy()
    stop.set()
    reader.join()
    ParquetStore(tmp_path / "traffic" / NAME).tidy()  # a reader moves journals too: the last one perhaps after the tidying above
    assert not faults and places(tmp_path) == list(range(25)) and len(files(tmp_path)) == 1


def test_what_was_half_written_is_removed_in_the_end(tmp_path, monkeypatch):
    keep(tmp_path, [answer(1, time=T0)])
    aside = files(tmp_path)[0].with_name(".half.parquet.1234")
    aside.write_bytes(b"PAR1")
    ParquetStore(tmp_path / "traffic" / NAME).tidy()
    assert aside.exists() and places(tmp_path) == [1]
    monkeypatch.setattr(store, "_ABANDONED_SECONDS", -1)
    ParquetStore(tmp_path / "traffic" / NAME).tidy()
    assert not aside.exists()


def test_a_large_journal_is_finished_and_moved_while_its_process_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(ParquetStore, "seal_bytes", 2000)
    traffic = open_traffic(tmp_path, NAME)
    for start in range(0, 100, 10):
        traffic.answered([answer(place) for place in range(start, start + 10)])
        traffic.flush()
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while len(list_journals(tmp_path / "traffic" / NAME)) > 1 and datetime.now(UTC) < deadline:
        pass
    assert files(tmp_path) and len(list_journals(tmp_path / "traffic" / NAME)) <= 1
    assert sorted(places(tmp_path)) == list(range(100))
    traffic.close()


# --- a database -------------------------------------------------------------------------------------------------------------


def test_journals_wait_while_the_database_is_away_and_are_shipped_when_it_is_back(tmp_path, caplog):
    (tmp_path / "away").write_text("a file where a folder should be")
    url = f"sqlite:///{tmp_path}/away/traffic.db"
    traffic = open_traffic(tmp_path, NAME, url)
    traffic.answered(days(30))
    traffic.flush()
    traffic.close()
    assert caplog.text.count("wait: the traffic log at sqlite") == 1
    assert len(list_journals(tmp_path / "traffic" / NAME)) == 1
    with pytest.raises(InfraError, match="TUNEKEEPER_TRAFFIC_URL"):
        read_answers(tmp_path, NAME, url)
    (tmp_path / "away").unlink()
    (tmp_path / "away").mkdir()
    back = open_traffic(tmp_path, NAME, url)
    back.close()
    assert not list_journals(tmp_path / "traffic" / NAME) and places(tmp_path, url=url) == list(range(30))


def test_answers_reach_the_database_in_seconds_and_are_seen_before(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/traffic.db"
    monkeypatch.setattr(SqlStore, "seal_seconds", 0.3)
    traffic = open_traffic(tmp_path, NAME, url)
    traffic.answered(days(5))
    traffic.flush()
    assert places(tmp_path, url=url) == list(range(5)), "its journal is read too"
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while list_journals(tmp_path / "traffic" / NAME) and datetime.now(UTC) < deadline:
        pass
    assert not list_journals(tmp_path / "traffic" / NAME) and places(tmp_path, url=url) == list(range(5))
    traffic.close()
