"""Processes to be killed: forked from a server that has imported the heavy libraries once, so that one more costs what it does."""

import multiprocessing
import signal

# no prefect: it reads its settings as it is imported, and each child has its own
HEAVY = [
    "torch", "transformers.trainer", "transformers.models.auto.modeling_auto", "peft", "trl", "pandas", "mlflow.pyfunc",
    "sklearn.linear_model", "great_expectations", "tasks.learning.objectives.run",
]  # fmt: skip


def context():
    """The way to fork: a test process has one server, whose imports are those that it is first started with."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(HEAVY)
    return server


def start(target, *given):
    """Begin target(*given) in a process of its own."""
    process = context().Process(target=target, args=given)
    process.start()
    return process


def was_killed(process, timeout=120):
    """Wait for its end: True after kill -9, False after a good one; anything else is a fault of the test."""
    process.join(timeout)
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0
