"""One definition's syntax tree: the names that it reads, and what of it is executed under a choice."""

from __future__ import annotations

import ast

from tasks.identity.choice import Choice


def names_read(tree: ast.AST) -> set[tuple[str, ...]]:
    """The names that a tree reads, each with all the dots behind it."""
    names: set[tuple[str, ...]] = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name | ast.Attribute) and (chain := _dotted_names(node)):
            names.add(chain)
        else:
            waiting += ast.iter_child_nodes(node)
    return names


def _dotted_names(node: ast.expr) -> tuple[str, ...]:
    """a.b.c as its names; nothing where it does not begin with one."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute) and (before := _dotted_names(node.value)):
        return (*before, node.attr)
    return ()


class ChosenBranches(ast.NodeTransformer):
    """Drops the cases and entries of what was not chosen, what is for the type checker, and the words of errors."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice

    def visit_Match(self, node: ast.Match) -> ast.AST:
        node.cases = [case for case in node.cases if not self.choice.drops(_pattern_names(case.pattern))]
        return self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        entries = [
            (key, value)
            for key, value in zip(node.keys, node.values, strict=True)
            if not (isinstance(key, ast.Constant) and isinstance(key.value, str) and self.choice.drops({key.value}))
        ]
        node.keys, node.values = [key for key, _ in entries], [value for _, value in entries]
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.copy_location(ast.Raise(kind, None), node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def _pattern_names(pattern: ast.pattern) -> set[str]:
    """The texts and the classes that a pattern asks for."""
    names = set()
    for node in ast.walk(pattern):
        if isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            names.add(node.value.value)
        elif isinstance(node, ast.MatchClass):
            names.add(ast.unparse(node.cls).rpartition(".")[2])
    return names


class ExecutedParts(ast.NodeTransformer):
    """Drops docstrings, annotations and imports, whose targets are named apart."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._visit_function(node)

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
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
