"""One fit in a process of its own, which counts the moments at which it could be killed, and dies at the one it is told."""

import json
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import forks
import pandas as pd
import tiny

from configs.errors import InfraError
from configs.schema import (
    Adapter,
    AnchoredPreference,
    Contrastive,
    Full,
    Lora,
    Objective,
    OddsRatioPreference,
    Preference,
    ProblemName,
    SimplePreference,
    Supervised,
    ThumbPreference,
    Training,
)
from tasks.common import files
from tasks.common.bases import find_base
from tasks.learning import trainer
from tasks.learning.fit import Listener, StoppedEarlyError
from tasks.learning.network import spec_of
from tasks.learning.objectives.chain import train_chain
from tasks.learning.objectives.run import TrainingMaterial
from tasks.problems import problem_of

LORA, SUPERVISED = Lora(r=4, dropout=0.1), (Supervised(),)


@dataclass(frozen=True)
class Kind:
    """What is trained: a problem on the rows that `draw` gives, with an adapter and objectives."""

    problem: ProblemName
    draw: Callable[..., pd.DataFrame]
    adapter: Adapter = LORA
    objectives: tuple[Objective, ...] = SUPERVISED
    max_length: int = 16
    messages: bool = False


KINDS = {
    "lora": Kind("text-classification", tiny.frame),
    "few rows": Kind(
        "text-classification", tiny.frame, LORA, (Contrastive(pairs_per_row=1), Supervised(head="logistic", epochs=2))
    ),
    "full": Kind("text-classification", tiny.frame, Full()),
    "label sets": Kind("multi-label-classification", tiny.label_set_rows),
    "numbers": Kind("text-regression", tiny.number_rows),
    "spans": Kind("token-classification", tiny.span_rows, max_length=12),  # more windows than rows
    "answers": Kind("question-answering", tiny.answer_rows, max_length=24),
    "rankings": Kind("text-ranking", tiny.ranking_rows),
    "similarities": Kind("sentence-similarity", tiny.similar_rows),
    "partners": Kind("text-retrieval", tiny.partner_rows),
    "decoder": Kind("text-generation", tiny.pairs),
    "pairs": Kind("text-generation", tiny.preferences, Full(), (Preference(),)),
    "anchored": Kind("text-generation", tiny.preferences, Lora(r=4), (AnchoredPreference(loss="apo_down"),)),
    "odds ratio": Kind("text-generation", tiny.preferences, Lora(r=4), (OddsRatioPreference(loss="orpo"),)),
    "simple preference": Kind("text-generation", tiny.preferences, Full(), (SimplePreference(loss="simpo"),)),
    "thumbs": Kind("text-generation", tiny.thumbs, Full(), (ThumbPreference(loss="kto"),)),
    "chain": Kind("text-generation", tiny.preferences, Lora(r=4), (Supervised(epochs=1), Preference(epochs=2))),
    "chats": Kind("text-generation", tiny.chat_rows, max_length=32, messages=True),
    "seq2seq": Kind("text2text-generation", tiny.pairs),
    **{f"adapter {name}": Kind("text-classification", tiny.frame, adapter) for name, adapter in tiny.ADAPTERS.items()},
}
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


def child(base, run, kind, settings, moments, room):
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
    rows, held_out = kind.draw(ROWS, 0), kind.draw(20, 1)
    spec = spec_of(kind.problem, kind.adapter, (), kind.max_length, settings["seed"], find_base(base))
    spec = replace(problem_of(kind.problem).with_targets(spec, rows["target"].tolist()), messages=kind.messages)
    outcome = {"error": None, "weights": None}
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, most[1]) if room else most)
    try:
        material = TrainingMaterial(spec, Path(base), rows, held_out)
        trained = train_chain(material, kind.objectives, Training(**settings), run / "fit", listener)
        outcome |= {"weights": trained.weights, "steps": trained.steps, "history": trained.history}
    except (StoppedEarlyError, InfraError) as error:
        outcome["error"] = f"{type(error).__name__}: {error}"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    (run / "outcome.json").write_text(json.dumps({**outcome, "said": said, "moments": moments.seen}))


def start(base, run, kind="lora", settings=None, last=None, send=signal.SIGKILL, room=None):
    """Begin a child; returns its process."""
    return forks.start(child, str(base), str(run), KINDS[kind], {**TRAINING, **(settings or {})}, Moments(last, send), room)


def outcome(base, run, **given):
    """Run a child to its end: what came of it, or None if it was killed."""
    killed = forks.was_killed(start(base, run, **given))
    return None if killed else json.loads((Path(run) / "outcome.json").read_text())
