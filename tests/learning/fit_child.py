"""One fit in a process of its own, which counts the moments at which it could be killed, and dies at the one it is told."""

import json
import os
import resource
import signal
from dataclasses import replace
from pathlib import Path

import forks
import tiny

from configs.errors import InfraError
from configs.schema import Full, Lora, Preference, Supervised, Training
from tasks.common import files
from tasks.common.bases import find_base
from tasks.data.label_sets import all_labels
from tasks.learning import trainer
from tasks.learning.fit import Listener, StoppedEarlyError
from tasks.learning.network import spec_of
from tasks.learning.objectives.run import TrainingMaterial, train_network
from tasks.problems import problem_of

ADAPTERS = {
    "full": Full(), "lora": Lora(r=4, dropout=0.1), "decoder": Lora(r=4, dropout=0.1), "pairs": Full(),
    "chats": Lora(r=4, dropout=0.1), "answers": Lora(r=4, dropout=0.1), "spans": Lora(r=4, dropout=0.1),
}  # fmt: skip
TWO_TEXTS = {  # by problem
    "text-ranking": tiny.ranking_rows, "sentence-similarity": tiny.similar_rows, "text-retrieval": tiny.partner_rows,
}  # fmt: skip
TRAINING = {"epochs": 3, "batch_size": 8, "learning_rate": 3e-3, "checkpoint_every": 4, "seed": 3}
ROWS = 44  # 6 steps an epoch, the last one short


class Moments:
    """Names every moment as it comes; at number `last` the process is gone."""

    def __init__(self, last=None, send=signal.SIGKILL):
        self.seen, self.last, self.send = [], last, send

    def __call__(self, name):
        self.seen.append(name)
        if len(self.seen) == self.last:
            os.kill(os.getpid(), self.send)

    def around(self, module, name):
        """Count the moments before and after a function's calls."""
        function = getattr(module, name)

        def counted(*given, **named):
            self(f"before {name}")
            result = function(*given, **named)
            self(f"after {name}")
            return result

        setattr(module, name, counted)


def child(base, run, adapter, settings, moments, room):
    """Train, note what was logged in run/journal.jsonl, and leave what came of it in run/outcome.json.

    A file can have no more than `room` bytes: what a full disk does, without one.
    """
    for name in ("_write_manifest", "flush_to_disk"):
        moments.around(files, name)
    moments.around(trainer, "keep_newest")
    run = Path(run)
    run.mkdir(exist_ok=True)
    said = []

    def log(step, values):
        with (run / "journal.jsonl").open("a") as file:
            file.write(json.dumps([step, values]) + "\n")
        moments(f"log {step}")

    listener = Listener(log, lambda step, _: moments(f"step {step}"), said.append)
    preference = adapter == "pairs"
    chats, finds = adapter == "chats", adapter == "answers"
    decoder = adapter == "decoder" or preference or chats
    draw = tiny.preferences if preference else tiny.pairs if decoder else tiny.answer_rows if finds else tiny.frame
    draw = tiny.chat_rows if chats else draw
    rows, held_out = (TWO_TEXTS.get(adapter, draw)(*size) for size in ((ROWS, 0), (20, 1)))
    labels = () if decoder or finds or adapter in TWO_TEXTS else tuple(sorted(set(rows["target"])))
    problem = "text-generation" if decoder else "question-answering" if finds else "text-classification"
    objective = Preference() if preference else Supervised()
    problem, moves = (adapter, ADAPTERS["lora"]) if adapter in TWO_TEXTS else (problem, ADAPTERS[adapter])
    spec = spec_of(problem, moves, labels, 24 if finds else 16, settings["seed"], find_base(base))
    if adapter in TWO_TEXTS:
        spec = problem_of(problem).with_targets(spec, rows["target"].tolist())
    if chats:
        spec = replace(spec, messages=True, max_length=32)
    if adapter == "spans":  # more windows than rows
        rows, held_out = tiny.span_rows(ROWS, 0), tiny.span_rows(20, 1)
        spec = spec_of("token-classification", ADAPTERS[adapter], all_labels(rows["target"]), 12, settings["seed"], find_base(base))
    outcome = {"error": None, "weights": None}
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, most[1]) if room else most)
    try:
        trained = train_network(
            TrainingMaterial(spec, Path(base), rows, held_out), objective, Training(**settings), run / "fit", listener
        )
        outcome |= {"weights": trained.weights, "steps": trained.steps, "history": trained.history}
    except (StoppedEarlyError, InfraError) as error:
        outcome["error"] = f"{type(error).__name__}: {error}"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    (run / "outcome.json").write_text(json.dumps({**outcome, "said": said, "moments": moments.seen}))


def start(base, run, adapter="lora", settings=None, last=None, send=signal.SIGKILL, room=None):
    """Begin a child; returns its process."""
    return forks.start(child, str(base), str(run), adapter, {**TRAINING, **(settings or {})}, Moments(last, send), room)


def outcome(base, run, **given):
    """Run a child to its end: what came of it, or None if it was killed."""
    killed = forks.was_killed(start(base, run, **given))
    return None if killed else json.loads((Path(run) / "outcome.json").read_text())
