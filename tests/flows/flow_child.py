"""A retrain in a process of its own, and a reload without one."""

import os
import signal
import sys
import tempfile
from concurrent.futures import Future
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from tasks.serving.input_cells import input_frame


class HereReload:
    """Loads the stored model in this process, which has imported everything: what a fresh one does is tested elsewhere."""

    def ask(self, fetch, texts):
        self.aside = tempfile.TemporaryDirectory()
        self.model, self.texts = fetch(Path(self.aside.name)), texts

    def answers(self):
        import mlflow

        kept = mlflow.pyfunc.load_model(str(self.model))
        columns = kept.metadata.get_input_schema().input_names()
        return kept.predict(input_frame(self.texts, columns))

    def close(self):
        pass


class InProcessHelper:
    """Does in this process, which has imported everything, what `Beside` does in another."""

    def __init__(self, *modules):
        pass

    def submit(self, function, *args, **kwargs):
        done = Future()
        try:
            done.set_result(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  (raised again by whoever asks)
            done.set_exception(error)
        return done

    def step_back(self):
        """It is this process."""

    def close(self):
        pass


def child(environment, words, said, kill=None):
    """`tunekeeper retrain`, what it prints in said.json and said.txt; killed at the call of a function, given as (module, path)."""
    os.environ.clear()  # of the process it was forked from
    os.environ |= environment
    from flows.__main__ import main
    from tasks import release
    from tasks.common import processes

    release.Reload, processes.HelperProcess = HereReload, InProcessHelper
    if kill:
        _kill_before(*kill)
    with (
        Path(f"{said}.json").open("w") as out,
        Path(f"{said}.txt").open("w") as error,
        redirect_stdout(out),
        redirect_stderr(error),
    ):
        main(words)


def only_this_server(environment, words, said):
    """A command that may ask the one server that runs, and start none: what it prints as `child` keeps it."""
    os.environ.clear()
    os.environ |= environment
    assert "prefect" not in sys.modules  # each command imports it in an order of its own

    import subprocess

    started = subprocess.Popen.__init__

    def refuse(self, command, *given, **named):
        assert not any("uvicorn" in str(word) or "flows.local.server" in str(word) for word in command), command
        started(self, command, *given, **named)

    subprocess.Popen.__init__ = refuse
    child(dict(os.environ), words, said)


def _kill_before(module, path, send=signal.SIGKILL):
    """Send a signal at the first call of module.path."""
    import importlib

    *owner, name = path.split(".")
    place = importlib.import_module(module)
    for part in owner:
        place = getattr(place, part)
    function = getattr(place, name)

    def struck(*given, **named):
        setattr(place, name, function)
        os.kill(os.getpid(), send)
        return function(*given, **named)

    setattr(place, name, struck)
