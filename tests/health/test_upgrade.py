"""What another version of the code would do anew, told from what a run kept of how it was made."""

import re
from types import SimpleNamespace

import pytest

from tasks.health.upgrade import check_upgrade, upgrade_check

MADE = {
    "settings": {},
    "code": {stage: {f"{stage}.a": "1", f"{stage}.b": "1"} for stage in ("prepare", "train", "score", "decide")},
    "libraries": {"torch": "2.13.0"},
}


def now(**changes):
    code = {stage: {**parts, **changes.get(stage, {})} for stage, parts in MADE["code"].items()}
    return {**MADE, "code": code, **{name: value for name, value in changes.items() if name not in code}}


@pytest.mark.parametrize(
    ("changes", "state", "what"),
    [
        ({}, "ok", "version 3 was made by this code"),
        ({"train": {"train.b": "2"}, "decide": {"decide.a": "2"}}, "warn", "the next run trains anew: .*: train.b$"),
        ({"prepare": {"prepare.new": "1"}}, "warn", "prepares the data anew, and trains if a row .*: prepare.new$"),
        ({"score": {"score.a": "2"}}, "warn", "scores and decides anew .one look., without training: .*: score.a$"),
        ({"decide": {f"decide.{n}": "1" for n in range(9)}}, "warn", "decides anew .*: decide.0, .*, decide.4, 4 more$"),
        ({"libraries": {"torch": "2.14.0"}}, "ok", "torch 2.14.0 .was 2.13.0.: they take part at the next change of data"),
        ({"libraries": {"torch": "2.14.0"}, "settings": {"training": {"pin": "libraries"}}}, "ok", "the config has changed"),
    ],
)
def test_the_first_stage_whose_code_is_another_decides_what_is_done(changes, state, what):

    found = check_upgrade("3", MADE, now(**changes))
    assert found.state == state and re.search(what, found.what), found.what


def test_a_pinned_library_that_changed_trains_anew():
    pinned = {"settings": {"training": {"pin": "libraries"}}}
    found = check_upgrade("3", {**MADE, **pinned}, now(libraries={"torch": "2.14.0"}, **pinned))
    assert "training.pin is libraries: the next run trains anew" in found.what


def test_an_account_of_how_a_version_was_made_that_is_damaged_is_said_and_stops_no_other_check(tmp_path):
    (tmp_path / "identity.json").write_bytes(b"{\xff")
    tracking = SimpleNamespace(
        artifact_uri=lambda run, name: f"runs:/{run}/{name}",
        names_of=lambda _: {"identity.json"},
        fetch=lambda *_: tmp_path / "identity.json",
    )
    found = upgrade_check(SimpleNamespace(name="tiny"), tracking, SimpleNamespace(run_of=lambda *_: "7"), "3")
    assert found.state == "warn" and "identity.json in the run of version 3 is damaged" in found.what and found.remedy
