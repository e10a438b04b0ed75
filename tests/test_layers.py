"""The walls of the house, held by a walk over every import: who may know whom, who owns what, and that nothing happens at import.

The rules are the tables below: change a wall there, with its reason, and nowhere else. Imports inside functions and under
TYPE_CHECKING count, and so does `import_module("...")`. A name in a table stands for itself and all below it, `tasks.*` for the
files directly in tasks/.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from walk_imports import (
    Import,
    Module,
    called,
    choices_named,
    circles,
    imports_of,
    is_main_guard,
    is_type_guard,
    loaded_by,
    modules_in,
    run_at_load,
)

from configs.schema import ProblemName

ROOT = Path(__file__).parents[1]
PACKAGES = ("configs", "expectations", "tasks", "flows")
# what needs nothing of the project
TYPES = (
    "configs.schema", "configs.errors", "configs.credentials", "tasks.data.text_parts", "tasks.data.turns", "tasks.data.written",
    "tasks.data.thumbs",
)  # fmt: skip
SPELLING = (
    "tasks.data.labels",
    "tasks.data.label_sets",
    "tasks.data.spans",
    "tasks.data.numbers",
    "tasks.data.answers",
    "tasks.data.alignment",
    "tasks.data.redaction.placeholders",
)  # of a label, and what a network reads: no part of preparing data

# One direction: a module (the longest name that fits) may import, of this project, only these.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "configs.credentials": (),
    "configs.errors": ("configs.credentials",),
    "configs.schema": ("configs.schema", "configs.credentials"),
    "configs": ("configs",),
    "expectations": (*TYPES, "expectations"),
    # the ground floor
    "tasks.data.text_parts": (),
    "tasks.data.turns": ("tasks.data.text_parts",),
    "tasks.data.written": (),
    "tasks.common": (*TYPES, "tasks.common"),
    "tasks.identity": (*TYPES, "configs", "tasks.identity", "tasks.common"),
    # the sciences
    "tasks.stats": (*TYPES, "tasks.stats"),
    "tasks.gate": (*TYPES, "tasks.gate", "tasks.stats"),
    "tasks.drift": (*TYPES, "tasks.drift", "tasks.stats"),
    "tasks.preferences": (*TYPES, "tasks.preferences", "tasks.common"),
    "tasks.scorers": (*TYPES, "tasks.scorers", "tasks.identity.user_code"),
    "tasks.data.normalise": (*TYPES,),
    "tasks.data.alignment": (*TYPES, "tasks.data.normalise"),
    "tasks.data.answers": (*TYPES, "tasks.data.alignment"),
    "tasks.data.labels": (*TYPES, "tasks.data.normalise"),
    "tasks.data.label_sets": (*TYPES, "tasks.data.labels", "tasks.data.spans"),
    "tasks.data.spans": (*TYPES, "tasks.data.alignment", "tasks.data.redaction.placeholders"),
    "tasks.data.numbers": (*TYPES, "tasks.data.normalise"),
    "tasks.data.feedback": (
        *TYPES, "tasks.data.normalise", "tasks.data.labels", "tasks.data.label_sets", "tasks.data.numbers", "tasks.data.redaction",
        "tasks.common", "tasks.data.spans", "tasks.data.answers",
    ),
    "tasks.data.redaction": (*TYPES, "tasks.data.redaction", "tasks.data.normalise", "tasks.data.alignment"),
    "tasks.data.sources": (*TYPES, "tasks.data.sources", "tasks.common", "tasks.identity"),
    "tasks.data.preparation": (
        *TYPES, "tasks.data.preparation", "tasks.data.sources", "tasks.data.redaction", "tasks.data.normalise", "tasks.data.labels",
        "tasks.data.label_sets", "tasks.data.numbers", "tasks.data.feedback", "tasks.data.spans", "tasks.data.span_cells",
        "tasks.data.answers", "tasks.data.alignment", "tasks.data.messages", "tasks.data.language_codes",
        "tasks.common",
    ),
    "tasks.data": (*TYPES, "tasks.data", "tasks.common"),
    "tasks.data.text_stats": (*TYPES, "tasks.data", "expectations.measures"),
    "tasks.problems": (*TYPES, "tasks.problems", "tasks.common.bases", *SPELLING),
    "tasks.learning": (*TYPES, "tasks.learning", "tasks.problems", "tasks.common", *SPELLING),
    # what keeps records
    "tasks.tracking": (*TYPES, "tasks.tracking", "tasks.common"),
    "tasks.ledger": (*TYPES, "tasks.ledger", "tasks.common.locks", "tasks.common.sqlite_files"),
    "tasks.traffic": (*TYPES, "tasks.traffic", "tasks.common"),
    # what stands upon them
    "tasks.serving": (  # a release rebuilds the network
        *TYPES, "tasks.serving", "tasks.problems", "tasks.data", "tasks.learning", "tasks.traffic", "tasks.common",
    ),
    "tasks.recovery": (*TYPES, "tasks.recovery", "tasks.ledger", "tasks.tracking", "tasks.common"),
    "tasks.health": (
        *TYPES, "tasks.health", "tasks.ledger", "tasks.tracking", "tasks.serving", "tasks.learning", "tasks.data", "tasks.identity",
        "tasks.traffic", "tasks.common", "tasks.base_check",
    ),
    "tasks.report": (*TYPES, "tasks.report"),
    "tasks.text": ("tasks.common.workspace",),  # what stored models import by names of before
    "tasks": ("configs", "expectations", "tasks"),
    "flows.__main__": ("configs", "expectations", "tasks", "flows"),
    "flows": ("configs", "expectations", "tasks", "flows"),
}  # fmt: skip
NOBODY_IMPORTS = ("flows.__main__",)

# Where the standard library alone does not do: all that these may import from outside.
ONLY_THESE_LIBRARIES: dict[str, tuple[str, ...]] = {
    "configs.credentials": (),
    "configs.errors": (),
    "configs.schema": ("pydantic",),
    "configs.load": ("pydantic",),
    "configs.yaml_text": ("yaml",),
    "tasks.stats": ("numpy", "scipy"),
    "tasks.gate": ("numpy", "scipy"),
    "tasks.drift": ("numpy", "scipy"),
}

# One owner per heavy library.
NETWORKS = ("tasks.learning", "tasks.problems", "tasks.serving")
OWNERS: dict[str, tuple[str, ...]] = {
    "prefect": ("flows", "tasks.*", "tasks.common.orchestration", "tasks.common.gpu_slots", "tasks.recovery.flow_runs"),
    "mlflow": ("tasks.tracking", "tasks.serving.pyfunc", "tasks.serving.reload_check"),
    "great_expectations": ("expectations",),
    "evaluate": ("tasks.problems",),
    "torch": NETWORKS,
    "transformers": (*NETWORKS, "tasks.data.redaction.ner"),
    "peft": NETWORKS,
    "trl": NETWORKS,
    "accelerate": NETWORKS,
    "sklearn": NETWORKS,
    "datasets": ("tasks.data", "tasks.learning", "tasks.problems"),  # the types of evaluate's columns, the rows of TRL's trainer
    "presidio_analyzer": ("tasks.data.redaction",),
    "spacy": ("tasks.data.redaction",),
    "sqlalchemy": (  # records, the shared traffic log; a table as a source
        "tasks.*",
        "tasks.ledger",
        "tasks.tracking",
        "tasks.recovery",
        "tasks.health",
        "tasks.traffic.sql",
        "tasks.data.sources.tables",
        "tasks.serving.batch.staged_table",
    ),
}

# `--help` and the flow modules stay light: what they import at module level, through whatever chain, is none of these.
LIGHT = ("configs", "flows")
HEAVY = (*(library for library in OWNERS if library not in {"prefect", "sqlalchemy"}), "rouge_score", "sacrebleu")

# Nothing happens at import: no such call or name among what runs when a module is loaded.
# Prefect's own doors to its server, which let a credential through: one module has them all.
DOORS = {"prefect": {"flow", "task"}, "prefect.artifacts": None, "prefect.events": {"emit_event"}}  # None: all it has
DOORKEEPER = "tasks.common.orchestration"

ACTS = {
    "open", "read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "makedirs", "unlink", "glob", "iterdir", "exists",
    "getenv", "print", "input", "system", "run", "Popen", "check_output", "create_engine", "connect", "urlopen",
    "from_pretrained", "load_dataset", "load", "safe_load", "basicConfig", "seed", "manual_seed", "set_seed", "set_tracking_uri",
    "simplefilter", "filterwarnings", "now", "time", "perf_counter", "sleep", "uuid4", "import_module", "__import__", "exec",
    "eval",
}  # fmt: skip
# A framework's own demand, statement by statement.
DEMANDED = {("tasks.serving.pyfunc", "set_model(KeptModel())")}  # MLflow's models from code: running the file must name the model
WORLD = ("os.environ", "sys.argv", "sys.path", "sys.modules")


def within(name: str, place: str) -> bool:
    if place.endswith(".*"):
        return name.rpartition(".")[0] == place[:-2]
    return name == place or name.startswith(f"{place}.")


def row_of(name: str, table: dict[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    fitting = [place for place in table if within(name, place)]
    return table[max(fitting, key=len)] if fitting else None


def breach_of_import(module: Module, found: Import) -> str | None:
    """The rule that an import breaks, in words, or None."""
    library = found.target.partition(".")[0]
    if library in PACKAGES:
        allowed = row_of(module.name, MAY_IMPORT) or ()
        if any(within(found.target, place) for place in NOBODY_IMPORTS):
            return f"imports {found.target}, which nobody may: it is where people enter"
        if not any(within(found.target, place) for place in allowed):
            return f"imports {found.target}; one direction: it may know {', '.join(allowed) or 'nothing'}"
        return None
    if module.name == "configs.errors" and library != "__future__":
        return f"imports {library}; configs.errors imports nothing but configs.credentials"
    if library in sys.stdlib_module_names:
        return None
    only = row_of(module.name, ONLY_THESE_LIBRARIES)
    if only is not None and library not in only:
        return f"imports {library}; of libraries it may use {', '.join(only) or 'none'}"
    owners = OWNERS.get(library)
    if owners is not None and not any(within(module.name, place) for place in owners):
        return f"imports {library}; one owner per heavy library: {', '.join(owners)}"
    return None


def doors_of(module: Module) -> Iterator[tuple[int, str]]:
    """Imports of Prefect's own doors, each with its line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module in DOORS and module.name != DOORKEEPER:
            doors = DOORS[node.module]
            for name in (each.name for each in node.names if doors is None or each.name in doors):
                yield (
                    node.lineno,
                    f"imports {node.module}.{name}; {DOORKEEPER} has it, and takes credentials out of what goes there",
                )


def acts_at_load(module: Module) -> Iterator[tuple[int, str]]:
    """Statements and calls at module or class level that do something, each with its line."""
    allowed = (
        ast.Import,
        ast.ImportFrom,
        ast.FunctionDef,
        ast.AsyncFunctionDef,
        ast.ClassDef,
        ast.Assign,
        ast.AnnAssign,
        ast.AugAssign,
    )
    for node in module.tree.body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        guard = isinstance(node, ast.If) and (is_type_guard(node) or is_main_guard(node))
        demanded = (module.name, ast.unparse(node)) in DEMANDED
        if not isinstance(node, allowed) and not docstring and not guard and not demanded:
            yield node.lineno, f"runs `{ast.unparse(node).splitlines()[0]}`; nothing happens at import"
    for part in run_at_load(module.tree):
        if isinstance(part, ast.Call) and called(part) in ACTS:
            yield part.lineno, f"calls `{ast.unparse(part.func)}`; nothing happens at import"
        elif isinstance(part, ast.Subscript | ast.Attribute) and ast.unparse(part.value) in WORLD:
            yield part.lineno, f"looks into {ast.unparse(part.value)}; nothing happens at import"


def heavy_chains(modules: list[Module]) -> Iterator[str]:
    """How a module that must be light comes to load a heavy library, by its shortest chain of imports."""
    known = {module.name for module in modules}
    edges = {module.name: [i for i in imports_of(module, known) if i.at_load] for module in modules}
    paths = {module.name: module.path for module in modules}
    for root in (name for name in edges if any(within(name, place) for place in LIGHT)):
        chains: list[tuple[str, ...]] = [(root,)]
        seen = {root}
        for chain in chains:
            for found in edges[chain[-1]]:
                if found.target.partition(".")[0] in HEAVY:
                    where = f"{paths[chain[-1]]}:{found.line}"
                    yield f"{where}: loads {found.target} at import, and so does {' > '.join(chain)}; {root} stays light"
                for name in sorted(loaded_by(found.target, known) - seen):
                    seen.add(name)
                    chains.append((*chain, name))


# Sizes: what is larger has its reason here, or waits to be made smaller and may not grow until then.
FILE_LINES, FUNCTION_LINES, PARAMETERS = 250, 40, 6
LARGER_FILES = {  # lines at the most
    "flows/__main__.py": 294,  # the options of every command
    "expectations/custom.py": 258,  # an expectation after the other, each beside its metric
}
LARGER_FUNCTIONS = {
    ("flows/__main__.py", "_parser"): 68,  # a line an option
    ("tasks/problems/__init__.py", "problem_of"): 60,  # a case a problem
    ("tasks/learning/trainer.py", "checkpointing_trainer"): 53,  # a class made of its parent
    ("tasks/collect/run.py", "collect_report"): 49,  # a line a part of the report
    ("tasks/data/snapshot/snapshot.py", "write_snapshot"): 45,
    ("flows/deploy/specs.py", "automations_of"): 44,
}
MORE_PARAMETERS = {("tasks/learning/unpadded.py", "attend_within_texts")}  # the interface of transformers' attention


def sizes_beyond(root: Path, modules: list[Module]) -> Iterator[str]:
    """Files and functions that are larger than they may be."""
    for module in modules:
        lines, most = len((root / module.path).read_text(encoding="utf-8").splitlines()), LARGER_FILES.get(module.path, FILE_LINES)
        if lines > most:
            yield f"{module.path}: has {lines} lines, at most {most}; part it by what it knows"
        for node in functions_of(module):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > LARGER_FUNCTIONS.get((module.path, node.name), FUNCTION_LINES):
                yield f"{module.path}:{node.lineno}: {node.name} has {length} lines, at most {FUNCTION_LINES}"
            if len(parameters_of(node)) > PARAMETERS and (module.path, node.name) not in MORE_PARAMETERS:
                yield f"{module.path}:{node.lineno}: {node.name} has over {PARAMETERS} parameters; what travels together is one"


def parameters_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """What a caller gives."""
    names = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls", "ctx")]


def functions_of(module: Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def breaches_in(root: Path) -> list[str]:
    modules = modules_in(root, PACKAGES)
    known = {module.name for module in modules}
    found = []
    for module in modules:
        found += [f"{module.path}:{i.line}: {said}" for i in imports_of(module, known) if (said := breach_of_import(module, i))]
        found += [f"{module.path}:{line}: {said}" for look in (acts_at_load, doors_of) for line, said in look(module)]
    found += [f"{module.path}:{line}: names {name}; ask for it by its contract" for module, line, name in choices_named(modules)]
    found += [f"{' > '.join(sorted(circle))}: import one another when they are loaded" for circle in circles(modules)]
    return found + list(sizes_beyond(root, modules)) + list(heavy_chains(modules))


def test_every_wall_of_the_house_stands() -> None:
    found = breaches_in(ROOT)
    assert not found, "\n" + "\n".join(found)


def test_pages_ask_for_what_is_shown_and_name_no_problem() -> None:
    templates = list((ROOT / "tasks" / "report" / "templates").glob("*.html"))
    named = [(file.name, name) for file in templates for name in get_args(ProblemName) if name in file.read_text(encoding="utf-8")]
    assert templates and not named


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("tasks/data/load.py", "def f():\n    import torch", ":2: imports torch; one owner"),
        ("tasks/data/load.py", "from tasks.problems import metrics", ":1: imports tasks.problems; one direction"),
        ("tasks/data/load.py", "from ..gate.gate import judge", ":1: imports tasks.gate.gate; one direction"),
        ("tasks/data/load.py", "from tasks.tracking import client", ":1: imports tasks.tracking.client; one direction"),
        ("tasks/data/redaction/redact.py", "from tasks.data.sources import load", "one direction"),
        ("tasks/data/sources/read_csv.py", "from tasks.data.preparation import split", "one direction"),
        ("tasks/stats/bounds.py", "from tasks.gate import gate", "one direction"),
        ("tasks/ledger/store.py", "from tasks.tracking import client", "one direction"),
        ("tasks/common/home.py", "from tasks.identity import keys", "one direction"),
        ("tasks/problems/head.py", "import tasks.learning.fit", "one direction"),
        ("tasks/learning/fit.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import mlflow", ":3: imports mlflow"),
        (
            "tasks/learning/fit.py",
            "from importlib import import_module\ndef f():\n    import_module('prefect.states')",
            ":3: imports prefect",
        ),
        ("tasks/gate/gate.py", "import pandas", "it may use numpy, scipy"),
        ("tasks/data/load.py", "from configs.load import read", "one direction"),
        ("tasks/serving/pyfunc.py", "from tasks.tracking import client", "one direction"),
        ("tasks/train.py", "import great_expectations as gx", "one owner"),
        ("tasks/train.py", "from flows.retrain import retrain", "one direction"),
        ("tasks/train.py", "from prefect import task", "tasks.common.orchestration has it"),
        ("flows/retrain.py", "from prefect.events import emit_event", "tasks.common.orchestration has it"),
        ("tasks/train.py", "from prefect.artifacts import create_table_artifact", "tasks.common.orchestration has it"),
        ("flows/retrain.py", "import mlflow", "one owner"),
        ("flows/retrain.py", "from flows.__main__ import main", "nobody"),
        (
            "flows/retrain.py",
            "from tasks.tracking import client",
            "tasks/tracking/client.py:1: loads mlflow at import, and so does flows.retrain",
        ),
        ("configs/errors.py", "import re", "imports nothing"),
        ("configs/schema/data.py", "import yaml", "it may use pydantic"),
        ("configs/load.py", "import os\nHOME = os.environ['HOME']", ":2: looks into os.environ"),
        ("tasks/train.py", "from pathlib import Path\nPAGE = Path('x').read_text()", ":2: calls"),
        ("tasks/train.py", "def f(problem):\n    return problem == 'text-generation'", ":2: names text-generation; ask"),
        ("tasks/train.py", "import os\ndef f(home=os.environ.get('HOME')): ...", ":2: looks into os.environ"),
        ("tasks/train.py", "class C:\n    text = open('x')", ":2: calls `open`"),
        ("tasks/train.py", "def f(at=now()): ...", ":1: calls `now`"),
        ("tasks/train.py", "for i in range(3):\n    pass", ":1: runs `for i"),
        ("tasks/train.py", "x = 1\n" * 251, "has 251 lines, at most 250"),
        ("tasks/train.py", "def f():\n" + "    x = 1\n" * 40, ":1: f has 41 lines, at most 40"),
        ("tasks/train.py", "try:\n    import x\nexcept ImportError:\n    x = None", ":1: runs `try:`"),
    ],
)
def test_a_breach_is_named_by_file_line_and_rule(tmp_path: Path, path: str, code: str, says: str) -> None:
    for name, text in {"tasks/problems/__init__.py": "", "tasks/tracking/client.py": "import mlflow", path: code}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = breaches_in(tmp_path)
    assert found, "the breach went unseen"
    assert any(says in breach for breach in found), found


def test_what_a_module_may_do_at_import_is_no_breach(tmp_path: Path) -> None:
    code = '''"""Says why."""
from __future__ import annotations
import re
from functools import cache
WORD = re.compile("a")
LIMITS: dict[str, int] = {"a": 1}
@cache
def f(x: int = 3) -> str:
    import os
    return os.environ["HOME"] + open("x").read()
class C:
    """Says why."""
    size = 3
if __name__ == "__main__":
    f()
'''
    for name, text in {
        "tasks/plain.py": code,
        "tasks/tracking/client.py": "import mlflow",
        "flows/a.py": "def f():\n    import tasks.tracking.client",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert breaches_in(tmp_path) == []
