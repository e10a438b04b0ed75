"""What doctor says of the traffic log's files: a damaged one, a folder that is none, journals that were set aside."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.common.home import Home
from tasks.health import servers, traffic_files
from tasks.traffic.log import Answer, new_id, open_traffic


@pytest.fixture
def home(tmp_path):
    """A home with answers of three days."""
    for day in (1, 2, 3):
        traffic = open_traffic(tmp_path, "tiny")
        traffic.answered([Answer(new_id(), datetime(2026, 3, day, tzinfo=UTC), "1", "a text", "red first", 0.9, 1.5)])
        traffic.close()
    return Home(tmp_path)


def looked(home, **environment):
    return [(check.state, check.what, check.remedy) for check in servers.check_traffic(home, environment)]


def newest(home):
    return sorted((home.path / "traffic").rglob("*.parquet"))[-1]


def test_a_log_that_is_whole_and_none_at_all_are_fine(home, tmp_path):
    assert looked(home) == [("ok", str(home.path / "traffic"), "")]
    assert looked(Home(tmp_path / "other")) == [("ok", f"{tmp_path}/other/traffic, made by the first answer", "")]


def test_a_file_that_was_cut_off_is_named(home):
    newest(home).write_bytes(newest(home).read_bytes()[:-20])
    ((state, what, _),) = looked(home)
    assert state == "fail" and f"{newest(home)} cannot be read" in what and "restore it from a copy" in what


def test_of_many_files_the_newest_are_looked_at(home, monkeypatch):
    oldest = sorted((home.path / "traffic").rglob("*.parquet"))[0]
    oldest.write_bytes(b"")
    assert looked(home)[0][0] == "fail"
    monkeypatch.setattr(traffic_files, "NEWEST", 2)
    assert looked(home)[0][0] == "ok"


@pytest.mark.parametrize("place", ["", "tiny", "tiny/answers", "tiny/answers/day=2026-03-03"])
def test_a_file_where_a_folder_should_be_is_named(home, place):
    there = home.path / "traffic" / place
    there.rename(home.path / "elsewhere")
    there.write_text("in the way")
    ((state, what, _),) = looked(home)
    assert state == "fail" and f"{there}" in what and "move away the file" in what


def test_a_folder_that_this_user_may_not_use_is_named(home, monkeypatch):
    def forbidden(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        assert ("fail", f"{home.path}/traffic/tiny cannot be written") in [found[:2] for found in looked(home)]
    monkeypatch.setattr(Path, "iterdir", forbidden)
    ((state, what, _),) = looked(home)
    assert state == "fail" and "(Permission denied): let this user read" in what


def test_journals_that_were_set_aside_are_told_of_with_a_database_too(home):
    (home.path / "traffic" / "tiny" / "dead.jsonl.damaged").write_bytes(b"\0\n")
    (told,) = looked(home)
    assert told[0] == "warn" and "1 journals" in told[1] and "dead.jsonl.damaged" in told[1] and "moved out" in told[2]
    assert looked(home, TUNEKEEPER_TRAFFIC_URL=f"sqlite:///{home.path}/traffic.db")[0] == told
