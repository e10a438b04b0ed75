import subprocess
import sys
import time
import uuid

import pytest
import sqlalchemy as sa

from configs.errors import InfraError
from tasks.ledger.lease import POLL_SECONDS, TTL_SECONDS, LeaseLostError, LeaseTimes, hold_lease
from tasks.ledger.pipeline_lock import FileHold
from tasks.ledger.promotions import Ledger
from tasks.ledger.schema import leases

HOLDER = """
import sys, time
from tasks.ledger.promotions import Ledger
from tasks.ledger.lease import LeaseTimes, hold_lease
from tasks.ledger.pipeline_lock import FileHold
with hold_lease(Ledger(sys.argv[1]), sys.argv[2], lambda _: None, lock=FileHold("dead"), times=LeaseTimes(float(sys.argv[3]), 0.2)):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def name():
    return f"helpdesk-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def holder(url, name):
    started = []

    def start(ttl):
        process = subprocess.Popen([sys.executable, "-c", HOLDER, url, name, str(ttl)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline().strip() == "held"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def ignore(_):
    pass


def rows(ledger, name):
    return ledger.read(lambda connection: connection.execute(sa.select(leases).where(leases.c.name == name)).all())


def expiry(ledger, name):
    return rows(ledger, name)[0].expires


def wait_until(state):
    """A hung test ends after a minute."""
    deadline = time.monotonic() + 60
    while not state():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def test_a_lease_is_gone_when_its_block_ends(url, name):
    ledger = Ledger(url)
    with hold_lease(ledger, name, ignore, lock=FileHold("me")) as held:
        held.check()
        assert len(rows(ledger, name)) == 1
    assert rows(ledger, name) == []


def test_a_lease_is_kept_by_its_heartbeat_beyond_its_time(url, name, holder):
    holder(ttl=1.0)
    told = []
    with (
        pytest.raises(InfraError, match="still held by process"),
        hold_lease(Ledger(url), name, told.append, 2.0, lock=FileHold("me")),
    ):
        pass
    assert len(told) == 1


def test_a_lease_renewed_in_time_is_still_ours_long_after(url, name):
    ledger = Ledger(url)
    with hold_lease(ledger, name, ignore, lock=FileHold("me"), times=LeaseTimes(60.0, 0.05)) as held:
        taken = expiry(ledger, name)
        wait_until(lambda: expiry(ledger, name) > taken + 0.2)
        held.check()


def test_a_lease_expires_when_its_holder_was_killed(url, name, holder):
    process = holder(ttl=1.5)
    process.kill()
    process.wait()
    ledger, told = Ledger(url), []
    assert expiry(ledger, name) <= ledger.read(lambda connection: connection.scalar(sa.select(ledger.clock))) + 1.5
    with hold_lease(ledger, name, told.append, 60, lock=FileHold("me")) as held:
        held.check()
    assert len(told) <= 1 and POLL_SECONDS <= 1  # none where its time was over before anybody asked


def test_a_lease_expires_soon_enough_to_train_again_within_30_seconds():
    assert TTL_SECONDS <= 20


def test_an_heir_takes_over_at_once(url, name, holder):
    holder(ttl=60.0).kill()
    with hold_lease(Ledger(url), name, ignore, 0.0, lock=FileHold("me", "dead")) as held:
        held.check()


def test_the_loss_of_a_lease_is_raised_to_its_holder(url, name):
    ledger = Ledger(url)
    mine = hold_lease(ledger, name, ignore, lock=FileHold("me"), times=LeaseTimes(beat=0.05))
    thief = hold_lease(Ledger(url), name, ignore, 0.0, lock=FileHold("thief", "me"))
    with pytest.raises(LeaseLostError, match="this run stops here"), mine as held, thief, pytest.raises(LeaseLostError):
        for _ in range(1000):
            time.sleep(0.05)
            held.check()


def test_a_database_that_is_away_longer_than_the_lease_loses_it(url, name, monkeypatch):
    ledger = Ledger(url)

    def away(_):
        raise InfraError("away")

    with pytest.raises(LeaseLostError), hold_lease(ledger, name, ignore, lock=FileHold("me"), times=LeaseTimes(60.0, 0.05)) as held:
        monkeypatch.setattr(held.ledger, "write", away)
        time.sleep(0.2)  # some beats fail
        held.check()
        held._renewed -= 61  # as after a minute
