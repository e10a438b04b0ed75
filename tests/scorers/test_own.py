"""Scorers of the user's own: loaded by path or file, asked for a number a row, and every fault named before anything is trained."""

import os
import textwrap

import pytest

from configs.errors import InputError
from configs.schema import Evaluation, Scorer
from tasks.identity.user_code import function_files
from tasks.scorers.own import ScoredTexts, run_scorer

ROWS = ScoredTexts(["a b", "c"], ["a", "c"], ["x", "secret"])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("")
    (tmp_path / "mine" / "words.py").write_text(
        "from mine.parts import count\n\ndef words(a, b):\n    return [count(x) for x in a]\n"
    )
    (tmp_path / "mine" / "parts.py").write_text("import os\n\ndef count(text):\n    return len(text.split())\n")
    (tmp_path / "other.py").write_text(
        "def same(predictions, targets, inputs):\n    return [p == t for p, t in zip(predictions, targets)]\n"
    )
    return tmp_path


def run(function):
    return run_scorer("evaluation.scorers.0", Scorer(function=function), ROWS)


def test_a_scorer_is_named_by_module_or_by_file_and_reads_the_inputs_where_it_takes_them(folder):
    assert run("mine.words:words") == [2.0, 1.0]
    assert run("other.py:same") == [0.0, 1.0] == run(f"{folder}/other.py:same")


def test_what_it_imports_from_the_users_folder_is_part_of_what_it_is(folder):
    files = [os.path.relpath(file, folder) for file in function_files("mine.words:words")]
    assert files == ["mine/__init__.py", "mine/parts.py", "mine/words.py"]
    assert [file.name for file in function_files("other.py:same")] == ["other.py"]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("def score(p, t):\n    return [1.0]", "gives 1 numbers for 2 rows"),
        ("def score(p, t):\n    return [1.0, float('nan')]", "gives nan for row 2"),
        ("def score(p, t):\n    return ['x', 'y']", "gives a str for row 1"),
        ("def score(p, t, i):\n    raise ValueError(i[1])", "raises ValueError at wrong.py line 2"),
        ("def other(p, t):\n    return []", "wrong.py has no function `score`"),
        ("def score(:", "cannot be imported .SyntaxError"),
        ("import nothing_of_that_name", "cannot be imported .ModuleNotFoundError at wrong.py line 1"),
        ("raise SystemExit(3)", "cannot be imported .SystemExit"),
    ],
)
def test_every_fault_is_named_by_setting_and_function_and_repeats_no_text(folder, body, fault):
    (folder / "wrong.py").write_text(textwrap.dedent(body))
    with pytest.raises(InputError, match=rf"evaluation.scorers.0 \(wrong.py:score\): {fault}") as refused:
        run("wrong.py:score")
    assert "secret" not in str(refused.value)


def test_an_absent_file_or_module_and_a_wrong_form_are_refused(folder):
    for wrong in ("absent.py:score", "absent.module:score"):
        with pytest.raises(InputError, match="cannot be imported"):
            run(wrong)
    for wrong in ("mine.words", "mine-words:score", "mine.words:not a name", ":x"):
        with pytest.raises(ValueError, match="names no function"):
            Scorer(function=wrong)
    with pytest.raises(ValueError, match="more than one function called score"):
        Evaluation.model_validate({"scorers": ["a.py:score", "b:score"]})
    with pytest.raises(ValueError, match="one score decides"):
        Evaluation.model_validate({"scorers": [{"function": f"a:{name}", "counts_as": "primary"} for name in ("x", "y")]})
