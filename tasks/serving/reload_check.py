"""Run in a process of its own: load a stored model with the network cut, answer, and write the answers down.

    python -m tasks.serving.reload_check PARENT < {"model": FOLDER, "texts": FILE, "answers": FILE}

It imports what it needs while it waits for its input, in time that others leave: so it can be started early and answer soon.
It ends when the process PARENT does.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tasks.common.processes import die_with, quick_import, step_back
from tasks.serving.input_cells import input_frame

if TYPE_CHECKING:
    import pandas as pd


def cut_network() -> None:
    """Refuse every connection from here on: what has to be fetched now would not be there tomorrow."""

    def refuse(_: object, address: object) -> NoReturn:
        raise OSError(f"the network is cut here, and something asked for {address}")

    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.socket.connect_ex = refuse  # type: ignore[method-assign]


def main() -> None:
    """Warm up, wait for the job on standard input, do it."""
    die_with(int(sys.argv[1]))
    step_back()
    with quick_import():
        _warm_up()
    job = json.loads(sys.stdin.readline())
    import mlflow.pyfunc

    cut_network()
    model = mlflow.pyfunc.load_model(job["model"], suppress_warnings=True)  # they would have no reader
    texts = json.loads(Path(job["texts"]).read_text())
    columns = model.metadata.get_input_schema().input_names()
    answers: pd.DataFrame = model.predict(input_frame(texts, columns))
    answers.to_json(job["answers"], orient="records", double_precision=15)


def _warm_up() -> None:
    import mlflow.pyfunc  # noqa: F401

    import tasks.serving.pyfunc  # noqa: F401  (what the model's own code will import)
    from tasks.learning.network import warm_up

    warm_up()


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)  # the parent waits: taking the imported libraries apart piece by piece takes seconds
