"""The code of this project that a computation executes: definition by definition, hashed as what it does.

From entry points (functions, by module and name) names are followed through imports, wherever those stand, as far as the packages
in SCIENCES and the modules of the entries themselves: what carries files and records between them changes no result. Comments,
docstrings, annotations and the words of errors are no part of a hash. Of a `match` or a dictionary whose cases or keys are names
of a choice (a problem; the settings of an objective or an adapter) those of what was chosen count alone. So another file, another
adapter's `case` and a comment change nothing; a changed line that is executed does. Of a class that keeps a contract (a problem,
an objective) a method or attribute counts where its name is asked for: training executes none of the methods that score.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tasks.identity.choice import Choice
from tasks.identity.source_modules import Definition, read_module

SCIENCES = (
    "expectations", "tasks.common.bases", "tasks.data", "tasks.problems", "tasks.learning", "tasks.stats", "tasks.gate",
    "tasks.drift", "tasks.serving",
)  # fmt: skip


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
        read = read_module(root, module, choice)
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
