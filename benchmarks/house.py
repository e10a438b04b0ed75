"""How the house is built: names, sizes, circles and how often a problem is asked for, of a commit before and now.

Run: python -m benchmarks.house [commit before]
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from walk_imports import choices_named, circles, modules_in  # noqa: E402

PACKAGES = ("configs", "expectations", "tasks", "flows")
BEFORE = "a1ef6c1"
LINES, FUNCTION_LINES, PARAMETERS = 250, 40, 6
OWN = ("self", "cls", "ctx")  # parameters that no caller gives
# Words that name no thing, and so no variable: participles and pronouns that an earlier version was full of.
NO_NAMES = frozenset(
    [
        "found",
        "said",
        "told",
        "one",
        "kept",
        "which",
        "what",
        "asked",
        "given",
        "seen",
        "wanted",
        "named",
        "held",
        "gone",
        "made",
        "shown",
        "judged",
        "answered",
        "written",
        "taken",
        "lost",
        "meant",
        "who",
        "whom",
        "why",
        "some",
        "it",
        "them",
    ]
)
MOST = {
    "places that name a problem or an objective, outside their own": 0,
    "modules in a circle of imports": 0,
    "class names that stand for two things": 4,
    "one-word public functions": 20.0,
    "`Any` in 1,000 lines": 8.0,
}


def main() -> None:
    """Print the section."""
    commit = sys.argv[1] if len(sys.argv) > 1 else BEFORE
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", commit, *PACKAGES], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        with tarfile.open(fileobj=BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        before, now = figures(Path(folder)), figures(ROOT)
    print(f"## The house\n\nOf configs, expectations, tasks and flows.\n\n| | {commit} | now | |\n|---|--:|--:|---|")
    for name, value in now.items():
        wanted = MOST.get(name)
        verdict = "" if wanted is None else f"at most {wanted:g}: {'holds' if value <= wanted else 'DOES NOT HOLD'}"
        print(f"| {name} | {before[name]:.3g} | {value:.3g} | {verdict} |")


def figures(root: Path) -> dict[str, float]:
    """The figures of a checkout, by name."""
    modules = modules_in(root, PACKAGES)
    nodes = [(module, node) for module in modules for node in ast.walk(module.tree)]
    lines = sum(len((root / module.path).read_text().splitlines()) for module in modules)
    public = [each.name for module in modules for each in module.tree.body if _is_function(each) and not each.name.startswith("_")]
    classes = Counter(each.name for module in modules for each in module.tree.body if isinstance(each, ast.ClassDef))
    names = [name for _, node in nodes if (name := _bound(node))]
    functions = [node for _, node in nodes if _is_function(node)]
    return {
        "places that name a problem or an objective, outside their own": sum(1 for _ in choices_named(modules)),
        "modules in a circle of imports": sum(map(len, circles(modules))),
        "class names that stand for two things": sum(count > 1 for count in classes.values()),
        "one-word public functions": 100 * sum("_" not in name for name in public) / len(public),
        "`Any` in 1,000 lines": 1000 * sum(isinstance(node, ast.Name) and node.id == "Any" for _, node in nodes) / lines,
        "variables named by a participle or a pronoun, in 100": 100 * sum(name in NO_NAMES for name in names) / len(names),
        f"files of more than {LINES} lines": sum(len((root / module.path).read_text().splitlines()) > LINES for module in modules),
        f"functions of more than {FUNCTION_LINES} lines": sum(
            (each.end_lineno or 0) - each.lineno >= FUNCTION_LINES for each in functions
        ),
        f"functions of more than {PARAMETERS} parameters": sum(
            len([arg for arg in (*each.args.posonlyargs, *each.args.args, *each.args.kwonlyargs) if arg.arg not in OWN])
            > PARAMETERS
            for each in functions
        ),
        "modules": len(modules),
        "lines": lines,
    }


def _bound(node: ast.AST) -> str | None:
    """The name that a node binds: a variable or a parameter."""
    if isinstance(node, ast.arg):
        return node.arg
    return node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else None


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


if __name__ == "__main__":
    main()
