"""What changes a key and what must not: work is found again by it, or done twice."""

import shutil
from dataclasses import replace

import pytest

from configs.schema import Pipeline
from tasks import identity
from tasks.identity import decision_key, prepare_key, scores_key, train_key
from tasks.learning.base import Base

BASE = Base("package:a/model", None, "weights", "digest", 7)
ROWS = {"train": "t", "validation": "v", "test": "s"}
PLAIN = {
    "name": "helpdesk",
    "problem": "text-classification",
    "data": {"source": "a.csv", "time": "at", "group": "who"},
    "model": {"base": "package:a/model"},
}


def pipeline(**changes):
    """PLAIN with dotted keys set, their dots written as __."""
    values = {name: dict(value) if isinstance(value, dict) else value for name, value in PLAIN.items()}
    for path, value in changes.items():
        place = values
        *parents, last = path.split("__")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return Pipeline.model_validate(values)


def keys(rows=ROWS, base=BASE, lineage=None, against="3", test_rows=None, **changes):
    """(train, decision, scores) of a pipeline."""
    made = pipeline(**changes)
    trained = train_key(made, rows, base, lineage)
    test_rows = test_rows or rows["test"]
    return trained, decision_key(made, trained, test_rows, against), scores_key(trained, test_rows, made)


def changed(**given):
    return tuple(one != other for one, other in zip(keys(), keys(**given), strict=True))


@pytest.mark.parametrize(
    "given",
    [
        {"name": "other"},
        {"data__source": "b.csv"},
        {"data__window": {"start": "2026-01-01"}},
        {"training__checkpoint_every": 7},
        {"release__alias": "live"},
        {"contract__max_quarantined": 0.5},
        {"model__revision": "abc"},
        {"model__sha256": "a" * 64},
        {"model__base": "./elsewhere"},
        {"base": replace(BASE, name="./elsewhere")},
    ],
    ids=str,
)
def test_names_and_paths_are_in_no_key(given):
    assert changed(**given) == (False, False, False)


@pytest.mark.parametrize(
    "given",
    [
        {"rows": {**ROWS, "train": "other"}},
        {"rows": {**ROWS, "validation": "other"}},
        {"base": replace(BASE, digest="other")},
        {"lineage": "the champion's key"},
        {"model__max_length": 64},
        {"adapter": {"kind": "full"}},
        {"adapter": {"kind": "lora", "r": 4}},
        {"objective__label_smoothing": 0.1},
        {"training__seed": 1},
        {"training__epochs": 6},
        {"training__precision": "fp32"},
        {"training__refit": True},
    ],
    ids=str,
)
def test_what_makes_the_weights_is_in_every_key(given):
    assert changed(**given) == (True, True, True)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"gate__alpha": 0.04}, (False, True, False)),
        ({"gate__guards": {"min_n": 10}}, (False, True, False)),
        ({"against": "4"}, (False, True, False)),
        ({"against": None}, (False, True, False)),
        ({"data__deduplicate": {"threshold": 0.5}}, (False, True, False)),  # which rows are fair
        ({"rows": {**ROWS, "test": "other"}}, (False, True, True)),
        ({"evaluation__max_new_tokens": 7}, (False, True, True)),
    ],
    ids=str,
)
def test_what_makes_the_verdict_alone_trains_nothing(given, what):
    assert changed(**given) == what


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The project's code, to be changed."""
    for folder in ("tasks", "expectations"):
        shutil.copytree(identity.ROOT / folder, tmp_path / folder)
    monkeypatch.setattr(identity, "ROOT", tmp_path)
    identity.code.cache_clear()
    yield tmp_path
    identity.code.cache_clear()


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("tasks/learning/fit.py", (True, True, True)),
        ("tasks/problems/text_generation.py", (True, True, True)),
        ("tasks/text/split.py", (True, True, True)),
        ("tasks/judgement/gate.py", (False, True, False)),
        ("tasks/show.py", (False, False, False)),
        ("expectations/prose.py", (False, False, False)),
    ],
)
def test_a_line_of_code_changes_the_keys_of_what_it_does(copied, file, what):
    before = keys()
    with (copied / file).open("a") as stream:
        stream.write("\n# another line\n")
    identity.code.cache_clear()
    assert tuple(one != other for one, other in zip(before, keys(), strict=True)) == what


def test_where_the_code_lies_and_what_was_compiled_changes_nothing(copied, monkeypatch):
    moved = keys()
    (copied / "tasks" / "learning" / "__pycache__").mkdir(exist_ok=True)
    (copied / "tasks" / "learning" / "__pycache__" / "fit.pyc").write_bytes(b"compiled")
    identity.code.cache_clear()
    assert keys() == moved
    monkeypatch.undo()
    identity.code.cache_clear()
    assert keys() == moved


def test_scores_of_a_champion_are_made_anew_by_other_scoring_code(copied):
    """The champion's train-key is the one of its day: code that scores otherwise now must not meet its old scores."""
    before = scores_key("the champion's", "s", pipeline())
    with (copied / "tasks/problems/text_classification.py").open("a") as stream:
        stream.write("\n# another line\n")
    identity.code.cache_clear()
    assert scores_key("the champion's", "s", pipeline()) != before


@pytest.fixture
def prepared(tmp_path):
    suite = tmp_path / "suite.json"
    suite.write_text("{}")

    def key(sources=None, base=BASE, redactor="key 1", suite_says="{}", **changes):
        suite.write_text(suite_says)
        return prepare_key(pipeline(**changes), sources or {"rows": ["h"], "test": []}, base, redactor, [suite])

    return key


def test_a_snapshot_hangs_on_bytes_and_settings_and_not_on_names(prepared):
    for same in ({"data__source": "b.csv"}, {"name": "other"}, {"training__epochs": 9}, {"gate__alpha": 0.01}):
        assert prepared(**same) == prepared()
    others = (
        {"sources": {"rows": ["other"], "test": []}},
        {"sources": {"rows": [], "test": ["h"]}},
        {"redactor": "key 2"},
        {"suite_says": '{"name": "x"}'},
        {"data__label": "kind"},
        {"data__split": {"by": "hash", "test": 0.3}},
        {"contract__max_quarantined": 0.5},
        {"base": replace(BASE, digest="other")},
    )
    assert len({prepared(), *(prepared(**other) for other in others)}) == 1 + len(others)
