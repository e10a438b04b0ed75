"""What changes a key and what must not: work is found again by it, or done twice."""

import shutil
from dataclasses import replace

import pytest

from configs.schema import Guards, Pipeline, Training
from tasks.common.bases import Base
from tasks.identity import executed_code, source_modules
from tasks.identity import keys as identity
from tasks.identity.choice import choice_of
from tasks.identity.keys import decision_key, prepare_key, scores_key, settings_of, train_key

BASE = Base("package:a/model", None, "weights", "digest", 7)
ROWS = {"train": "t", "validation": "v", "test": "s"}
TO_TEXT = "translation"
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
    plain = {"problem": given["problem"]} if "problem" in given else {}
    return tuple(one != other for one, other in zip(keys(**plain), keys(**given), strict=True))


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
        ({"problem": TO_TEXT, "evaluation__decoding": {"beams": 4}}, (False, True, True)),
        ({"problem": TO_TEXT, "evaluation__decoding": {"beams": 1}}, (False, False, False)),
        ({"problem": TO_TEXT, "model__languages": {"source": "en", "target": "de"}}, (True, True, True)),
    ],
    ids=str,
)
def test_what_makes_the_verdict_alone_trains_nothing(given, what):
    assert changed(**given) == what


@pytest.fixture(scope="module")
def copied_code(tmp_path_factory):
    """The project's code, to be changed, and what was read of it: module and choice -> the module."""
    root = tmp_path_factory.mktemp("code")
    for folder in ("tasks", "expectations"):
        shutil.copytree(identity.ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return root, {}


@pytest.fixture
def copied(copied_code, monkeypatch):
    """`edit(file, old, new)` changes the copied code until the test ends: that module is read anew, and those that import of it."""
    root, read = copied_code
    originals, read_anew = {}, source_modules.read_module.__wrapped__

    def remembered(root, module, choice):
        if (module, choice) not in read:
            read[module, choice] = read_anew(root, module, choice)
        return read[module, choice]

    def write(file, text):
        (root / file).write_text(text)
        edited = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for key in [key for key, module in read.items() if edited in (key[0], *imported_modules(module))]:
            del read[key]
        identity._code_of.cache_clear()

    def edit(file, old, new):
        text = (root / file).read_text()
        originals.setdefault(file, text)
        assert old in text, f"{file} has no {old!r}"
        write(file, text.replace(old, new, 1) if old else new)

    monkeypatch.setattr(identity, "ROOT", root)
    monkeypatch.setenv("TUNEKEEPER_HOME", str(root / "none"))
    for module in (source_modules, executed_code):
        monkeypatch.setattr(module, "read_module", remembered)
    identity._code_of.cache_clear()
    yield edit
    for file, text in originals.items():
        write(file, text)
    identity._code_of.cache_clear()


def imported_modules(module):
    """The modules that one imports, or may: of `from a import b` both a and a.b."""
    return {part for where, name in module.imports.values() for part in (where, f"{where}.{name}")}


def test_a_problem_of_a_family_prepares_the_rows_of_its_family(prepared):
    columns = {"data__prompt": "document", "data__completion": "summary", "model__max_length": 512}
    assert prepared(problem="summarization") == prepared(problem="text2text-generation", **columns)
    assert prepared(problem="summarization") != prepared(problem="text-generation", **columns)


NOTHING, ALL = (False, False, False), (True, True, True)
FIT, BEST_EPOCH = "tasks/learning/fit.py", "tasks/learning/best_epoch.py"
GATE, CLASSIFY = "tasks/gate/gate.py", "tasks/problems/text_classification.py"
HEAD = "tasks/problems/encoder_head.py"


@pytest.mark.parametrize(
    ("file", "old", "new", "what"),
    [
        # what is executed
        (BEST_EPOCH, "losses.index(min(learned)) + 1", "losses.index(max(learned)) + 1", ALL),
        (FIT, 'TRAINED, BEST = "training.json"', 'TRAINED, BEST = "other.json"', ALL),
        ("tasks/learning/adapters.py", "case Lora():", "case Lora() if True:", ALL),
        ("tasks/data/redaction/placeholders.py", 'r"<\\1>"', 'r"[\\1]"', ALL),
        ("tasks/train.py", "gpu_slot(home.path, count_devices(), print_notice)", "gpu_slot(home.path, 1, print_notice)", ALL),
        ("tasks/learning/scoring.py", "def score_network(", "SCORE = 1\n\n\ndef score_network(", NOTHING),
        ("tasks/problems/baselines/text_features.py", "TfidfVectorizer(", "TfidfVectorizer(binary=True, ", (False, True, True)),
        (GATE, "def judge_challenger(", "from math import ceil as floor\n\n\ndef judge_challenger(", NOTHING),
        (CLASSIFY, "baselines.tfidf_logistic(train", "baselines.tfidf_logistic(*(), train", (False, True, True)),
        (HEAD, '"input_ids": row, "labels": self', '"labels": 0, "input_ids": row, "labels": self', ALL),
        ("tasks/stats/sign_flip.py", "from scipy", "from numpy", (False, True, False)),
        ("tasks/decide.py", "fair &= ~has_near_copy", "fair |= ~has_near_copy", (False, True, False)),
        # what is not
        (BEST_EPOCH, "def best_epoch(", "# a comment\ndef best_epoch(", NOTHING),
        (BEST_EPOCH, '"""The epoch, from 1, whose weights are kept', '"""Another docstring', NOTHING),
        (BEST_EPOCH, "untrained: float | None) -> int | None:", "untrained: float) -> int:", NOTHING),
        (FIT, "was written and does not read back: check the disk", "does not read back", NOTHING),
        ("tasks/publish_report.py", "def ", "def more() -> int:\n    return 3\n\n\ndef ", NOTHING),
        ("tasks/problems/token_classification.py", "", "def encode() -> int:\n    return 3\n", NOTHING),
        ("tasks/problems/text_generation.py", "decoder.load_decoder(base)", "decoder.load_decoder(base.absolute())", NOTHING),
        ("tasks/problems/text_writer.py", "decodes_base: ClassVar[bool] = False", "decodes_base: ClassVar[bool] = True", NOTHING),
        (CLASSIFY, "trivial_baseline = baselines.MAJORITY", 'trivial_baseline = "none"', (False, True, False)),
        ("tasks/problems/base.py", "class Problem(Measure):", "class Problem(Measure):\n    def new(self) -> int: ...\n", NOTHING),
        ("tasks/learning/objectives/odds_ratio.py", "= 8e-6, 8e-5", "= 9e-6, 8e-5", NOTHING),
        ("tasks/learning/adapters.py", "case Full():\n", "case Full():\n            print()\n", NOTHING),
        ("tasks/learning/adapters.py", "case Full():\n", "case Dora():\n            return 3\n        case Full():\n", NOTHING),
    ],
)  # fmt: skip
def test_code_is_in_a_key_where_it_is_executed(copied, monkeypatch, file, old, new, what):
    choice = replace(choice_of(pipeline()), possible=choice_of(pipeline()).possible | {"Dora"})
    monkeypatch.setattr(identity, "choice_of", lambda _: choice)
    before = keys()
    copied(file, old, new)
    assert tuple(one != other for one, other in zip(before, keys(), strict=True)) == what


PREFERRED = {"problem": "text-generation", "data": {"source": "a.csv", "rejected": "worse"}}


def test_a_loss_of_preference_counts_for_those_who_take_it(copied):
    kinds = {
        loss: {**PREFERRED, "objective": {"kind": "preference", "loss": loss}} for loss in ("sigmoid", "apo_zero", "orpo", "simpo")
    }
    before = {loss: keys(**given) for loss, given in kinds.items()}
    assert len({trained for trained, *_ in before.values()}) == len(kinds)
    copied("tasks/learning/objectives/odds_ratio.py", "beta=self.beta", "beta=2 * self.beta")
    assert [loss for loss, given in kinds.items() if keys(**given) != before[loss]] == ["orpo"]


def test_a_branch_counts_for_those_who_take_it(copied):
    lora, full = keys(), keys(adapter={"kind": "full"})
    copied("tasks/learning/adapters.py", "case Full():\n", "case Full():\n            print()\n")
    assert keys() == lora and keys(adapter={"kind": "full"})[0] != full[0]


def test_code_read_before_is_found_in_the_home(copied, monkeypatch, tmp_path):
    home = tmp_path / "home"
    (home / "index").mkdir(parents=True)
    monkeypatch.setenv("TUNEKEEPER_HOME", str(home))
    first = keys()
    written = list((home / "index").iterdir())
    assert len(written) == 3
    copied(BEST_EPOCH, "def best_epoch(", "# a comment\ndef best_epoch(")
    assert keys() == first
    for file in written:
        file.write_text("{")  # damaged: read anew
    identity._code_of.cache_clear()
    assert keys() == first


def test_settings_at_their_defaults_are_in_no_key():
    class Grown(Training):
        novelty: int = 3

    assert settings_of(Grown()) == settings_of(Training()) == {"defaults": Training.DEFAULTS}
    assert settings_of(Grown(novelty=4, epochs=2)) == {"defaults": Training.DEFAULTS, "epochs": 2, "novelty": 4}


def test_a_default_that_was_changed_is_in_every_key_that_hangs_on_it(monkeypatch):
    before = keys()
    monkeypatch.setattr(Training, "DEFAULTS", Training.DEFAULTS + 1)
    assert all(one != other for one, other in zip(before, keys(), strict=True))
    monkeypatch.undo()
    monkeypatch.setattr(Guards, "DEFAULTS", 1)
    after = keys()
    assert after[0] == before[0] and after[1] != before[1]


def test_another_library_trains_anew_only_where_it_is_pinned(monkeypatch):
    before, pinned = keys(), keys(training__pin="libraries")
    monkeypatch.setattr(identity, "_version", lambda name: "99")
    assert keys() == before and keys(training__pin="libraries")[0] != pinned[0]


def test_scores_of_a_champion_are_made_anew_by_other_scoring_code(copied):
    """The champion's train-key is the one of its day: code that scores otherwise now must not meet its old scores."""
    before = scores_key("the champion's", "s", pipeline())
    copied("tasks/learning/scoring.py", "def score_network(", "@print\ndef score_network(")
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
