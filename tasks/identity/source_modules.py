"""The project's modules as definitions by name: each with the hash of its text as executed, and the definitions that it names."""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tasks.identity.choice import Choice
from tasks.identity.syntax import ChosenBranches, ExecutedParts, names_read

PACKAGES = frozenset({"configs", "expectations", "tasks", "flows"})
CONTRACTS = frozenset(
    {"Measure", "Problem", "EncoderHead", "TextWriter", "Text2TextGeneration", "Objective", "PreferenceObjective"}
)  # they, and classes made of them, count by member
Definition = tuple[str, str]  # module and name, of a member `Class.name`


@dataclass(frozen=True)
class _DefinitionFacts:
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
    parts: dict[str, _DefinitionFacts] = field(default_factory=dict)

    def part(self, name: str) -> _DefinitionFacts:
        if name not in self.parts:
            if name not in self.definitions:
                raise LookupError(f"{self.name} defines no {name}: correct the entries of the identity")
            self.parts[name] = self._hash_statements(self.definitions[name])
        return self.parts[name]

    def _hash_statements(self, nodes: tuple[ast.stmt, ...]) -> _DefinitionFacts:
        uses, lines, asks = set[Definition](), [], set[str]()
        for node in nodes:
            imports = {**self.imports, **_imports_in(node)}
            for chain in names_read(node):
                uses |= self._definitions(chain, imports)
            asks |= {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}
            executed = ExecutedParts().visit(copy.deepcopy(node))
            outside = {line for chain in names_read(executed) if (line := _library_line(chain, imports))}
            lines += [ast.unparse(ast.fix_missing_locations(executed)), *sorted(outside)]
        return _DefinitionFacts(hashlib.sha256("\n".join(lines).encode()).hexdigest(), frozenset(uses), frozenset(asks))

    def _definitions(self, chain: tuple[str, ...], imports: Mapping[str, tuple[str, str]]) -> set[Definition]:
        """The definitions that a dotted name leads to."""
        first, *rest = chain
        if first not in imports:
            return {(self.name, first)} if first in self.definitions else set()
        module, name = imports[first]
        return set(self._follow_import(module, [name, *rest] if name else rest))

    def _follow_import(self, module: str, rest: list[str]) -> Iterator[Definition]:
        if module.partition(".")[0] not in PACKAGES:
            return
        while rest and _module_file(self.root, f"{module}.{rest[0]}") is not None:
            module, rest = f"{module}.{rest[0]}", rest[1:]
        if _module_file(self.root, module) is None:
            return
        read = read_module(self.root, module, self.choice)
        if not rest:  # the module itself is handed on
            yield from ((module, name) for name in read.definitions)
        elif rest[0] in read.definitions:
            yield module, rest[0]
        elif rest[0] in read.imports:  # passed on by a package's own file
            there, name = read.imports[rest[0]]
            yield from self._follow_import(there, [name, *rest[1:]] if name else rest[1:])


@cache
def _module_file(root: Path, module: str) -> Path | None:
    """The file of a module of the project; None where there is none of that name."""
    place = root.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


@cache
def read_module(root: Path, module: str, choice: Choice) -> _Module:
    """A module of the project, without what was not chosen."""
    file = _module_file(root, module)
    if file is None:
        raise LookupError(f"there is no module {module}: correct the entries of the identity")
    definitions: dict[str, tuple[ast.stmt, ...]] = {}
    imports: dict[str, tuple[str, str]] = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.If):
            imports |= _imports_in(node)
        if names := _bound_names(node):
            chosen = ChosenBranches(choice).visit(node)
            members = _contract_members(chosen)
            if members:
                chosen.body = [statement for statement in chosen.body if statement not in members.values()] or [ast.Pass()]
            definitions |= {name: (*definitions.get(name, ()), chosen) for name in names}
            definitions |= {f"{name}.{member}": (statement,) for name in names for member, statement in members.items()}
    return _Module(module, root, choice, definitions, imports)


def _library_line(chain: tuple[str, ...], imports: Mapping[str, tuple[str, str]]) -> str:
    """What a name imported from elsewhere stands for: code that names another thing by it does another thing."""
    module, name = imports.get(chain[0], ("", ""))
    return f"{chain[0]}: {module} {name}" if module and module.partition(".")[0] != "configs" else ""


def _bound_names(node: ast.stmt) -> set[str]:
    """The names that a top-level statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)}
    return set()


def _contract_members(node: ast.stmt) -> dict[str, ast.stmt]:
    """The methods and attributes of a class that keeps a contract, but `__init__` and its like: no code asks for those by name."""
    if not isinstance(node, ast.ClassDef) or not CONTRACTS & {node.name, *map(ast.unparse, node.bases)}:
        return {}
    return {name: statement for statement in node.body for name in _bound_names(statement) if not name.startswith("__")}


def _imports_in(tree: ast.AST) -> dict[str, tuple[str, str]]:
    """Every import in a tree: local name -> module, and name in it ("" for the module itself)."""
    imports: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {(alias.asname or alias.name.partition(".")[0]): (alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imports |= {(alias.asname or alias.name): (node.module or "", alias.name) for alias in node.names}
    return imports
