"""Lists and objects that a cell writes out, as JSON, as Python or as NumPy does."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize

_STRINGS_APART = re.compile(r"""['"]\s+[bruBRU]?['"]""")  # what Python reads as one string
_ENDS, _BEGINS, _NAMES = frozenset("]})"), frozenset(["[", "{", "(", "array"]), frozenset(["None", "True", "False"])
_LAYOUT = frozenset([tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER])


def read_written(text: str) -> object:
    """The value that a text writes; ValueError where it writes none.

    NumPy parts the items of an array by spaces alone, which Python reads as one string: they are items here. What was left out of a
    long array, for which NumPy writes `...`, makes it unreadable.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return _evaluate(_with_commas(text) if _STRINGS_APART.search(text) else text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        pass
    try:
        return _evaluate(_with_commas(text))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise ValueError("no value that is written out") from None


def _evaluate(text: str) -> object:
    return ast.literal_eval(_ArraysAsLists().visit(ast.parse(text.strip(), mode="eval")))


class _ArraysAsLists(ast.NodeTransformer):
    """`array([1, 2], dtype=int32)` as its list."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if not (isinstance(node.func, ast.Name) and node.func.id == "array" and len(node.args) == 1):
            raise ValueError("a call")
        return self.generic_visit(node.args[0])

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if node.value is Ellipsis:
            raise ValueError("items are left out")
        return node


def _with_commas(text: str) -> str:
    """A text with a comma between any two values that follow each other."""
    out, ended = list[str](), False  # whether a value ends where the last token did
    try:
        for token in tokenize.generate_tokens(io.StringIO(text.strip()).readline):
            if token.type in _LAYOUT:
                continue
            if token.type == tokenize.ERRORTOKEN:
                raise ValueError("a sign that no value has")
            is_value = token.type in (tokenize.STRING, tokenize.NUMBER) or token.string in _NAMES
            if ended and (is_value or token.string in _BEGINS):
                out.append(",")
            out.append(token.string)
            ended = is_value or token.string in _ENDS
    except tokenize.TokenError:
        raise ValueError("no tokens of a value") from None
    return " ".join(out)
