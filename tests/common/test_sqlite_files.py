"""Files of SQLite that are looked at."""

import shutil
import sqlite3
from contextlib import closing

from tasks.common.sqlite_files import first_cell, sqlite_fault


def test_what_a_killed_writer_left_half_done_is_taken_back_and_blocks_no_one(tmp_path):
    file, killed = tmp_path / "a.db", tmp_path / "killed.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("create table t (x)")
        writer.execute("insert into t values (1)")
        writer.execute("pragma cache_size = 1")  # so that what is changed reaches the file before the end of the change
        writer.execute("begin immediate")
        writer.executemany("insert into t values (?)", [(bytes(4000),)] * 50)
        writer.execute("update t set x = 2")
        for end in ("", "-journal"):  # as a kill leaves them
            shutil.copy(f"{file}{end}", f"{killed}{end}")
        writer.execute("rollback")
    assert sqlite_fault(killed) is None
    assert first_cell(killed, "select max(x) from t") == 1 and first_cell(killed, "select count(*) from t") == 1
