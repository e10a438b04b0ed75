"""The code of this project that a computation executes: definition by definition, hashed as what it does.

From entry points (functions, by module and name) names are followed through imports, wherever those stand, as far as the packages
in SCIENCES and the modules of the entries themselves: what carries files and records between them changes no result. Comments,
docstrings, annotations and the words of errors are no part of a hash. Of a `match` or a dictionary whose cases or keys are names
of a choice (a problem; the settings of an objective or an adapter) those of what was chosen count alone. So another file, another
adapter's `case` and a comment change nothing; a changed line that is executed does. Of a class that keeps a contract (a problem,
an objective) a method or attribute counts where its name is asked for: training executes none of the methods that score.
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import get_args

from configs import schema

PACKAGES = frozenset({"configs", "expectations", "tasks", "flows"})
SCIENCES = (
    "expectations", "tasks.common.bases", "tasks.data", "tasks.problems", "tasks.learning", "tasks.stats", "tasks.gate",
    "tasks.drift", "tasks.serving",
)  # fmt: skip
CONTRACTS = frozenset({"Measure", "Problem", "TextWriter", "Objective"})  # they, and classes made of them, count by member
Definition = tuple[str, str]  # module and name, of a member `Class.name`


@dataclass(frozen=True)
class Choice:
    """Names of what a pipeline uses, and of all that it could have used: problems by name, settings by their class."""

    chosen: frozenset[str]
    possible: frozenset[str]

    def drops(self, names: set[str]) -> bool:
        """Whether these name a choice that was not made."""
        return bool(names & self.possible) and not names & self.chosen


def choice_of(pipeline: schema.Pipeline) -> Choice:
    """What a pipeline uses of problems, objectives and adapters."""
    chosen = {pipeline.problem, type(pipeline.adapter).__name__, type(pipeline.objective).__name__}
    possible = {*get_args(schema.ProblemName), *_classes(schema.Adapter), *(kind.__name__ for kind in schema.OBJECTIVES)}
    return Choice(frozenset(chosen), frozenset(possible))


def executed_code(entries: tuple[Definition, ...], choice: Choice, root: Path) -> dict[str, str]:
    """`module.name` -> sha256 of each definition that the entries execute, given a choice."""
    entered = {module for module, _ in entries}
    waiting, hashes = list(entries), dict[str, str]()
    unasked, asked = set[Definition](), set[str]()  # members of contracts that were met; names that are asked for
    while waiting:
        module, name = waiting.pop()
        key = f"{module}.{name}"
        if key in hashes:
            continue
        read = _read(root, module, choice)
        part = read.part(name)
        hashes[key] = part.hash
        waiting += [each for each in part.uses if each[0] in entered or _is_science(each[0])]
        unasked |= {(module, member) for member in read.definitions if member.startswith(f"{name}.")}
        asked |= part.asks
        called = {each for each in unasked if each[1].partition(".")[2] in asked}
        unasked -= called
        waiting += called
    return dict(sorted(hashes.items()))


def source_bytes(root: Path) -> str:
    """The hash of all files in which executed code can lie: where it is the same, so is the code."""
    hashed = hashlib.sha256()
    for file in sorted(file for package in ("expectations", "tasks") for file in (root / package).rglob("*.py")):
        hashed.update(file.relative_to(root).as_posix().encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return hashed.hexdigest()


def _is_science(module: str) -> bool:
    return any(module == each or module.startswith(f"{each}.") for each in SCIENCES)


def _classes(union: object) -> set[str]:
    """The class names of a union of settings, annotated or not, or of one class."""
    members = get_args(union)
    if not members:
        return {union.__name__} if isinstance(union, type) else set()
    return {name for member in members for name in _classes(member)}


# --- modules ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """A definition: the hash of its text as executed, the definitions of the project that it names, the attributes it asks for."""

    hash: str
    uses: frozenset[Definition]
    asks: frozenset[str]


@dataclass(frozen=True)
class _Module:
    """`definitions` are the top-level statements by the names they bind, `imports` local name -> (module, name in it or "")."""

    name: str
    root: Path
    choice: Choice
    definitions: Mapping[str, tuple[ast.stmt, ...]]
    imports: Mapping[str, tuple[str, str]]
    parts: dict[str, _Part] = field(default_factory=dict)

    def part(self, name: str) -> _Part:
        if name not in self.parts:
            if name not in self.definitions:
                raise LookupError(f"{self.name} defines no {name}: correct the entries of the identity")
            self.parts[name] = self._part(self.definitions[name])
        return self.parts[name]

    def _part(self, nodes: tuple[ast.stmt, ...]) -> _Part:
        uses, lines, asks = set[Definition](), [], set[str]()
        for node in nodes:
            imports = {**self.imports, **_imports(node)}
            for chain in _names(node):
                uses |= self._definitions(chain, imports)
            asks |= {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
            executed = _Bare().visit(copy.deepcopy(node))
            outside = {line for chain in _names(executed) if (line := _library(chain, imports))}
            lines += [ast.unparse(ast.fix_missing_locations(executed)), *sorted(outside)]
        return _Part(hashlib.sha256("\n".join(lines).encode()).hexdigest(), frozenset(uses), frozenset(asks))

    def _definitions(self, chain: tuple[str, ...], imports: Mapping[str, tuple[str, str]]) -> set[Definition]:
        """The definitions that a dotted name leads to."""
        first, *rest = chain
        if first not in imports:
            return {(self.name, first)} if first in self.definitions else set()
        module, name = imports[first]
        return set(self._followed(module, [name, *rest] if name else rest))

    def _followed(self, module: str, rest: list[str]) -> Iterator[Definition]:
        if module.partition(".")[0] not in PACKAGES:
            return
        while rest and _file(self.root, f"{module}.{rest[0]}") is not None:
            module, rest = f"{module}.{rest[0]}", rest[1:]
        if _file(self.root, module) is None:
            return
        read = _read(self.root, module, self.choice)
        if not rest:  # the module itself is handed on
            yield from ((module, name) for name in read.definitions)
        elif rest[0] in read.definitions:
            yield module, rest[0]
        elif rest[0] in read.imports:  # passed on by a package's own file
            there, name = read.imports[rest[0]]
            yield from self._followed(there, [name, *rest[1:]] if name else rest[1:])


@cache
def _file(root: Path, module: str) -> Path | None:
    """The file of a module of the project; None where there is none of that name."""
    place = root.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


@cache
def _read(root: Path, module: str, choice: Choice) -> _Module:
    """A module of the project, without what was not chosen."""
    file = _file(root, module)
    if file is None:
        raise LookupError(f"there is no module {module}: correct the entries of the identity")
    definitions: dict[str, tuple[ast.stmt, ...]] = {}
    imports: dict[str, tuple[str, str]] = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.If):
            imports |= _imports(node)
        if names := _bound(node):
            chosen = _Chosen(choice).visit(node)
            members = _members(chosen)
            if members:
                chosen.body = [each for each in chosen.body if each not in members.values()] or [ast.Pass()]
            definitions |= {name: (*definitions.get(name, ()), chosen) for name in names}
            definitions |= {f"{name}.{member}": (each,) for name in names for member, each in members.items()}
    return _Module(module, root, choice, definitions, imports)


def _library(chain: tuple[str, ...], imports: Mapping[str, tuple[str, str]]) -> str:
    """What a name imported from elsewhere stands for: code that names another thing by it does another thing."""
    module, name = imports.get(chain[0], ("", ""))
    return f"{chain[0]}: {module} {name}" if module and module.partition(".")[0] != "configs" else ""


def _bound(node: ast.stmt) -> set[str]:
    """The names that a top-level statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    return set()


def _members(node: ast.stmt) -> dict[str, ast.stmt]:
    """The methods and attributes of a class that keeps a contract, but `__init__` and its like: nobody asks for those by name."""
    if not isinstance(node, ast.ClassDef) or not CONTRACTS & {node.name, *map(ast.unparse, node.bases)}:
        return {}
    return {name: each for each in node.body for name in _bound(each) if not name.startswith("__")}


def _imports(tree: ast.AST) -> dict[str, tuple[str, str]]:
    """Every import in a tree: local name -> module, and name in it ("" for the module itself)."""
    found: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(each.asname or each.name.partition(".")[0]): (each.name, "") for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {(each.asname or each.name): (node.module or "", each.name) for each in node.names}
    return found


# --- one definition ----------------------------------------------------------------------------------------------------


def _names(tree: ast.AST) -> set[tuple[str, ...]]:
    """The names that a tree reads, each with all the dots behind it."""
    found: set[tuple[str, ...]] = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name | ast.Attribute) and (chain := _chain(node)):
            found.add(chain)
        else:
            waiting += ast.iter_child_nodes(node)
    return found


def _chain(node: ast.expr) -> tuple[str, ...]:
    """a.b.c as its names; nothing where it does not begin with one."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute) and (before := _chain(node.value)):
        return (*before, node.attr)
    return ()


class _Chosen(ast.NodeTransformer):
    """Drops the cases and entries of what was not chosen, what is for the type checker, and the words of errors."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice

    def visit_Match(self, node: ast.Match) -> ast.AST:
        node.cases = [case for case in node.cases if not self.choice.drops(_pattern_names(case.pattern))]
        return self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        kept = [
            (key, value)
            for key, value in zip(node.keys, node.values, strict=True)
            if not (isinstance(key, ast.Constant) and isinstance(key.value, str) and self.choice.drops({key.value}))
        ]
        node.keys, node.values = [key for key, _ in kept], [value for _, value in kept]
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.copy_location(ast.Raise(kind, None), node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def _pattern_names(pattern: ast.pattern) -> set[str]:
    """The texts and the classes that a pattern asks for."""
    found = set()
    for node in ast.walk(pattern):
        if isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found.add(node.value.value)
        elif isinstance(node, ast.MatchClass):
            found.add(ast.unparse(node.cls).rpartition(".")[2])
    return found


class _Bare(ast.NodeTransformer):
    """Drops docstrings, annotations and imports, whose targets are named apart."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        for each in ast.walk(node.args):
            if isinstance(each, ast.arg):
                each.annotation = None
        return self._without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._without_docstring(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:  # a field: its name and place count
            return ast.copy_location(ast.Expr(node.target), node)
        return self.generic_visit(ast.copy_location(ast.Assign([node.target], node.value), node))

    def visit_Import(self, node: ast.Import) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)

    def _without_docstring(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.AST:
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.copy_location(ast.Pass(), first)]
        return self.generic_visit(node)
