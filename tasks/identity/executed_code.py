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
    entry_modules = {module for module, _ in entries}
    waiting, hashes = list(entries), dict[str, str]()
    idle_members, attributes = (
        set[Definition](),
        set[str](),
    )  # members of contracts not executed yet; attributes that the code names
    while waiting:
        module, name = waiting.pop()
        key = f"{module}.{name}"
        if key in hashes:
            continue
        read = read_module(root, module, choice)
        part = read.part(name)
        hashes[key] = part.hash
        waiting += [definition for definition in part.uses if definition[0] in entry_modules or _is_science(definition[0])]
        idle_members |= {(module, member) for member in read.definitions if member.startswith(f"{name}.")}
        attributes |= part.asks
        active = {definition for definition in idle_members if definition[1].partition(".")[2] in attributes}
        idle_members -= active
        waiting += active
    return dict(sorted(hashes.items()))


def source_bytes(root: Path) -> str:
    """The hash of all files in which executed code can lie: where it is the same, so is the code."""
    digest = hashlib.sha256()
    for file in sorted(file for package in ("expectations", "tasks") for file in (root / package).rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _is_science(module: str) -> bool:
    return any(module == science or module.startswith(f"{science}.") for science in SCIENCES)
