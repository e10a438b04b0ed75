"""The follower holds what answers to what the alias names, and nothing that goes wrong on the way is felt by who asks."""

import time
import weakref
from itertools import pairwise
from types import SimpleNamespace

import pytest

from configs.errors import InfraError
from tasks.serving import alias_follower
from tasks.serving.alias_follower import AliasFollower, FollowerFunctions


class Network:
    """Holds on to itself, as networks do."""

    def __init__(self):
        self.me = self


class Version:
    def __init__(self, version):
        self.version, self.network = version, Network()


class World:
    """A registry, versions of which some do not load, a memory; `follower` has not begun."""

    def __init__(self, every=0.005):
        self.alias, self.broken, self.kept, self.loads = "1", set(), None, []
        self.follower = AliasFollower("tiny@champion", FollowerFunctions(self.look, self.load, lambda: self.kept, self.keep), every)

    def look(self):
        if isinstance(self.alias, Exception):
            raise self.alias
        return self.alias

    def load(self, version):
        self.loads.append(version)
        if version in self.broken:
            raise InfraError("weights are damaged: fetch it again")
        return Version(version), "checked"

    def keep(self, version):
        self.kept = version

    def step(self):
        self.follower.step()
        return self.follower.standing

    @property
    def version(self):
        return self.follower.current.version


@pytest.fixture
def world():
    return World()


def test_what_the_alias_names_is_loaded_once_and_answers(world):
    assert world.follower.current is None and world.follower.standing.version is None
    before = time.time()
    for _ in range(3):
        now = world.step()
    assert (world.version, now.version, now.check, now.swaps, world.loads) == ("1", "1", "checked", 0, ["1"])
    assert before <= now.since <= time.time()


def test_a_promotion_and_a_rollback_are_followed(world):
    for alias in ("1", "2", "1"):
        world.alias = alias
        assert world.step().version == world.version == alias
    assert world.follower.standing.swaps == 2 and world.kept == "1"


def test_the_version_before_is_freed(world):
    world.step()
    answering = world.follower.current  # as a request under way does
    before = weakref.ref(answering.network)
    world.alias = "2"
    world.step()
    world.step()
    assert before() is not None
    del answering
    world.step()
    assert before() is None


def test_a_version_that_does_not_load_changes_nothing_and_says_why(world, caplog):
    world.step()
    world.alias, world.broken = "2", {"2"}
    now = world.step()
    assert (world.version, now.version, now.wanted, now.failures, now.loading) == ("1", "1", "2", 1, False)
    assert now.refused == "version 2: weights are damaged: fetch it again"
    assert "version 1 goes on" in caplog.text


def test_it_is_tried_again_ever_more_rarely_until_it_loads(monkeypatch):
    world, now, times = World(every=5), [1000.0], []
    monkeypatch.setattr(alias_follower, "time", SimpleNamespace(monotonic=lambda: now[0], time=time.time))
    world.step()
    world.alias, world.broken = "2", {"2"}
    while len(times) < 4:
        tried = len(world.loads)
        world.step()
        times += [now[0]] * (len(world.loads) > tried)
        now[0] += 1
    assert [later - earlier for earlier, later in pairwise(times)] == [10, 20, 40]
    world.broken = set()
    while world.version == "1":
        world.step()
        now[0] += 1
    assert world.follower.standing.refused is None


def test_a_refused_version_that_the_alias_no_longer_names_is_forgotten(world):
    world.step()
    world.alias, world.broken = "2", {"2"}
    world.step()
    world.alias = "1"
    assert world.step().refused is None
    world.alias, world.broken = "2", set()
    assert world.step().version == "2"  # at once, though its last attempt would have it wait


def test_with_the_registry_away_what_answers_goes_on_and_it_is_said(world, caplog):
    world.step()
    world.alias = ConnectionError("refused")
    now = world.step()
    world.step()
    assert world.version == "1" and now.registry == "ConnectionError: refused"
    assert caplog.text.count("the alias cannot be read") == 1
    world.alias = "2"
    assert world.step().registry is None and world.version == "2"


def test_started_with_the_registry_away_the_last_version_answers_until_it_is_back(world):
    world.alias, world.kept = ConnectionError("refused"), "7"
    now = world.step()
    assert (world.version, now.registry) == ("7", "ConnectionError: refused")
    world.alias = "8"
    assert world.step().version == "8"


def test_started_with_the_registry_away_and_nothing_kept_it_waits(world):
    world.alias = ConnectionError("refused")
    assert world.step().version is None and world.loads == []


def test_an_alias_that_names_nothing_takes_nothing_away(world):
    world.alias = None
    assert world.step().version is None
    world.alias = "1"
    world.step()
    world.alias = None
    now = world.step()
    assert (world.version, now.wanted, now.registry) == ("1", None, None)


def test_a_memory_that_cannot_be_written_is_no_reason_not_to_answer(world, caplog):
    def full(_):
        raise OSError("no space left")

    world.follower = AliasFollower("tiny@champion", FollowerFunctions(world.look, world.load, lambda: None, full), 0.01)
    assert world.step().version == "1" and "no space left" in caplog.text


def test_before_its_first_look_it_says_that_it_has_not_looked(world):
    assert not world.follower.standing.looked
    world.alias = None
    assert world.step().looked and world.follower.standing.registry is None
    away = World()
    away.alias = InfraError("away")
    assert away.step().looked and away.follower.standing.registry == "away"


def test_it_follows_by_itself_until_it_is_stopped():
    world = World(every=0.01)
    world.follower.start()
    for alias in ("1", "2", "3"):
        world.alias = alias
        deadline = time.monotonic() + 10
        while getattr(world.follower.current, "version", None) != alias:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    world.follower.stop()
    world.follower._thread.join(10)
    assert not world.follower._thread.is_alive()
