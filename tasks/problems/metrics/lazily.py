"""Imports `evaluate.module` without the other imports of `evaluate`.

`import evaluate` takes 4 s alone and up to 2 s beside torch and transformers: its `__init__` imports its evaluators, these
`transformers.pipelines`, and that the image, audio and loss code of every model. A metric needs none of it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from threading import RLock

_LOCK = RLock()


def lighten_evaluate() -> None:
    """Let the package `evaluate` run its `__init__` when one of its names is first asked for, not when a submodule is imported.

    The same module object is filled in then (PEP 562), so `evaluate.combine` and the rest work as before for all code in
    the process; only the time of the import moves. Does nothing where `evaluate` was imported already.
    """
    with _LOCK:
        if "evaluate" in sys.modules:
            return
        spec = importlib.util.find_spec("evaluate")
        if spec is None or spec.loader is None:
            raise ImportError("the package `evaluate` is not installed: run `make install`")
        package, execute = importlib.util.module_from_spec(spec), spec.loader.exec_module

        def fill(name: str) -> object:
            if name == "config":  # the one submodule that evaluate's other submodules ask the package for
                return importlib.import_module("evaluate.config")
            with _LOCK:
                if package.__dict__.pop("__getattr__", None) is not None:
                    execute(package)
                if name in package.__dict__:
                    return package.__dict__[name]
            raise AttributeError(f"module 'evaluate' has no attribute {name!r}")

        package.__dict__["__getattr__"] = fill
        sys.modules["evaluate"] = package
