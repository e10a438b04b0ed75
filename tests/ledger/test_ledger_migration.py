"""Ledgers that earlier versions wrote open where they are, and what was counted stays counted."""

import sqlite3
import threading
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from ledger_child import DATABASES, database_url

from tasks.ledger.decisions import NewDecision, decisions_of, find_decision, look_number, record_decision
from tasks.ledger.promotions import Ledger, ledger_history, replayed_champion
from tasks.ledger.schema import VERSION

SCHEMA_2 = """
CREATE TABLE ledger_schema (version INTEGER NOT NULL, PRIMARY KEY (version));
INSERT INTO ledger_schema VALUES (2);
CREATE TABLE ledger_promotions (
    model VARCHAR(255) NOT NULL, epoch INTEGER NOT NULL, token VARCHAR(32) NOT NULL, kind VARCHAR(16) NOT NULL,
    from_version VARCHAR(64), to_version VARCHAR(64), verdict VARCHAR(32), rule VARCHAR(32), run_id VARCHAR(255),
    train_key VARCHAR(128), decision_key VARCHAR(128), who TEXT NOT NULL, at VARCHAR(40) NOT NULL, reason TEXT NOT NULL,
    forced BOOLEAN NOT NULL, state VARCHAR(16) NOT NULL, PRIMARY KEY (model, epoch));
CREATE TABLE ledger_decisions (
    model VARCHAR(255) NOT NULL, decision_key VARCHAR(128) NOT NULL, train_key VARCHAR(128), test_rows_hash VARCHAR(128) NOT NULL,
    champion_version VARCHAR(64) NOT NULL, look INTEGER NOT NULL, verdict VARCHAR(32) NOT NULL, run_id VARCHAR(255),
    at VARCHAR(40) NOT NULL, payload TEXT NOT NULL, PRIMARY KEY (model, decision_key));
CREATE INDEX ledger_decisions_looks ON ledger_decisions (model, champion_version, at);
CREATE TABLE ledger_leases (
    name VARCHAR(255) NOT NULL, token VARCHAR(32) NOT NULL, holder TEXT NOT NULL, since VARCHAR(40) NOT NULL,
    expires DOUBLE PRECISION NOT NULL, PRIMARY KEY (name));
CREATE TABLE ledger_looks (
    model VARCHAR(255) NOT NULL, champion_version VARCHAR(64) NOT NULL, look INTEGER NOT NULL, at VARCHAR(40) NOT NULL,
    window_start VARCHAR(40) NOT NULL, window_end VARCHAR(40) NOT NULL, alarm BOOLEAN NOT NULL, payload TEXT NOT NULL,
    PRIMARY KEY (model, champion_version, look));
CREATE TABLE ledger_requests (
    model VARCHAR(255) NOT NULL, id VARCHAR(64) NOT NULL, why VARCHAR(32) NOT NULL, at VARCHAR(40) NOT NULL,
    state VARCHAR(16) NOT NULL, payload TEXT NOT NULL, PRIMARY KEY (model, id));
CREATE INDEX ledger_requests_at ON ledger_requests (model, at);
"""
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DECIDED = ((400, "", 1), (300, "", 1), (200, "1", 1), (100, "1", 2), (30, "2", 1))  # days ago, against whom, look as counted then


@contextmanager
def database(kind, folder):
    """The URL of a database that nobody else uses."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/ledger.db"
        return
    server, name = sa.make_url(database_url(kind, folder)), f"old_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
        yield server.set(database=name).render_as_string(hide_password=False)
        connection.execute(sa.text(f"DROP DATABASE {name}"))


@pytest.fixture(params=DATABASES)
def old(request, tmp_path):
    """A ledger of schema 2: a model with two champions and five decisions, of which four lie within 52 weeks."""
    with database(request.param, tmp_path) as url:
        with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
            for statement in filter(str.strip, SCHEMA_2.split(";")):
                connection.execute(sa.text(statement))
            for epoch, (left, to) in enumerate(((None, "1"), ("1", "2")), 1):
                row = {"epoch": epoch, "kind": "PROMOTE" if left else "FIRST", "left": left, "to": to, "token": f"t{epoch}"}
                connection.execute(
                    sa.text(
                        "INSERT INTO ledger_promotions VALUES ('tiny', :epoch, :token, :kind, :left, :to, 'PROMOTE', 'better',"
                        " 'run', 't', 'd', 'tunekeeper', '2026-01-01T00:00:00.000+00:00', '', false, 'applied')"
                    ),
                    row,
                )
            for number, (days, champion, look) in enumerate(DECIDED):
                at = (NOW - timedelta(days=days)).isoformat(timespec="milliseconds")
                row = {"key": f"d{number}", "champion": champion, "look": look, "at": at}
                connection.execute(
                    sa.text(
                        "INSERT INTO ledger_decisions VALUES"
                        " ('tiny', :key, 't', 'rows', :champion, :look, 'HOLD', 'run', :at, '{\"number\": 1}')"
                    ),
                    row,
                )
        yield url


def test_decisions_that_were_counted_per_champion_all_count_from_now_on(old):
    told = []
    ledger = Ledger(old, now=lambda: NOW, notify=told.append)
    assert look_number(ledger, "tiny") == 5
    assert len(told) == 1 and "schema 2 to 3" in told[0] and "all 5 decisions are kept" in told[0]
    assert [(each.champion_version, each.look) for each in decisions_of(ledger, "tiny")] == [
        (champion or None, look) for _, champion, look in DECIDED
    ]
    assert find_decision(ledger, "tiny", "d0").payload == {"number": 1}
    made = record_decision(ledger, NewDecision("tiny", "new", "rows", "2", "HOLD", "run", {}, look=5))
    assert made.look == 5 and look_number(Ledger(old, now=lambda: NOW, notify=told.append), "tiny") == 6
    assert len(told) == 1  # it is told once


def test_promotions_of_an_older_ledger_still_name_the_champion(old):
    ledger = Ledger(old)
    assert [entry.kind for entry in ledger_history(ledger, "tiny")] == ["FIRST", "PROMOTE"] and replayed_champion(
        ledger, "tiny"
    ) == "2"


def test_an_older_ledger_gets_the_index_that_the_new_count_needs(old):
    look_number(Ledger(old), "tiny")
    found = sa.inspect(sa.create_engine(old, poolclass=sa.NullPool)).get_indexes("ledger_decisions")
    assert [(index["name"], index["column_names"]) for index in found] == [("ledger_decisions_at", ["model", "at"])]


def test_two_that_open_an_older_ledger_at_once_migrate_it_once(old):
    told, failed, together = [], [], threading.Barrier(4)

    def open_it():
        together.wait(30)
        try:
            look_number(Ledger(old, now=lambda: NOW, notify=told.append), "tiny")
        except Exception as error:  # noqa: BLE001  (a thread's error would be lost)
            failed.append(error)

    openers = [threading.Thread(target=open_it) for _ in range(4)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(60)
    assert not failed and len(told) == 1


def test_a_new_ledger_is_of_todays_schema_and_nothing_is_told(tmp_path):
    told = []
    assert look_number(Ledger(f"sqlite:///{tmp_path}/ledger.db", notify=told.append), "tiny") == 1 and told == []
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        assert connection.execute("SELECT version FROM ledger_schema").fetchall() == [(VERSION,)]
        indexes = {name for _, name, *_ in connection.execute("PRAGMA index_list(ledger_decisions)")}
    assert "ledger_decisions_at" in indexes


def test_a_ledger_of_the_first_schema_gets_the_tables_it_lacks(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    ledger_history(Ledger(url), "tiny")
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("UPDATE ledger_schema SET version = 1")
        connection.execute("DROP TABLE ledger_looks")
    assert ledger_history(Ledger(url), "tiny") == ()
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        assert connection.execute("SELECT version FROM ledger_schema").fetchall() == [(VERSION,)]
        assert connection.execute("SELECT count(*) FROM ledger_looks").fetchone() == (0,)
