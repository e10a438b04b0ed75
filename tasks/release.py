"""The face of release: pack, store, reload in a fresh process, compare, register; then the ledger, then the alias."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from prefect.cache_policies import NO_CACHE

from configs.errors import InfraError, InputError
from configs.schema import Pipeline
from configs.schema.problems import family_of
from tasks.common.home import Home
from tasks.common.orchestration import task
from tasks.common.processes import ONE_THREAD
from tasks.context import TrainingRun
from tasks.data.spans import spans_of_entities
from tasks.identity.keys import json_sha256
from tasks.snapshots import open_snapshot
from tasks.tracking.client import Tracking
from tasks.tracking.moved_home import local_path
from tasks.tracking.stored_model import champion_folder as champion_folder  # for callers of a release

if TYPE_CHECKING:
    import pandas as pd

    from tasks.learning.fit import TrainingResult
    from tasks.problems.types import Network, Spec
    from tasks.serving.packaged_model import Preparation

CHECKED_ROWS = 64
TOLERANCE = 1e-4  # of a probability: two processes batch alike, so equal code and weights agree far closer than this
ANSWER_SECONDS = 600.0  # a fresh process may take to load a model and answer
PYFUNC = Path(__file__).parent / "serving" / "pyfunc.py"


class Reload:
    """A fresh process that imports while the caller works on, then loads a stored model and answers with the network cut."""

    def __init__(self) -> None:
        self.process = self._start()
        self._aside: tempfile.TemporaryDirectory[str] | None = None
        self._answered: pd.DataFrame | None = None

    def _start(self) -> subprocess.Popen[str]:
        command, pipe = [sys.executable, "-m", "tasks.serving.reload_check", str(os.getpid())], subprocess.PIPE
        environment = {**os.environ, **ONE_THREAD}
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)

    def ask(self, fetch: Callable[[Path], Path], texts: list[str]) -> None:
        """Let it load the model that `fetch` brings into a folder, and answer raw texts; returns at once."""
        if self.process.poll() is not None:  # it was ended from outside
            self.process = self._start()
        self._aside = tempfile.TemporaryDirectory()
        texts_file, answers_file = (Path(self._aside.name) / name for name in ("texts.json", "answers.json"))
        texts_file.write_text(json.dumps(texts))
        job = {"model": str(fetch(Path(self._aside.name))), "texts": str(texts_file), "answers": str(answers_file)}
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):  # it died just now, which `answers` reports
                self.process.stdin.write(json.dumps(job) + "\n")
                self.process.stdin.flush()

    def answers(self) -> pd.DataFrame:
        """The stored model's answers; raises InfraError where it does not load."""
        import pandas as pd

        if self._aside is None:
            raise InfraError("the fresh process was not asked anything: report this")
        if self._answered is None:
            try:
                _, errors = self.process.communicate(timeout=ANSWER_SECONDS)
            except subprocess.TimeoutExpired:
                raise InfraError(
                    f"the stored model does not answer in a fresh process within {ANSWER_SECONDS:.0f} s; nothing was registered: "
                    "see what else keeps this machine busy, then run again"
                ) from None
            answers_file = Path(self._aside.name) / "answers.json"
            if self.process.returncode != 0 or not answers_file.is_file():
                raise InfraError(f"the stored model does not load in a fresh process; nothing was registered:\n{errors[-2000:]}")
            self._answered = pd.read_json(answers_file, orient="records", dtype=False)
        return self._answered

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._aside is not None:
            self._aside.cleanup()


@dataclass(frozen=True)
class PackedModel:
    """A stored model, not yet registered: its address, and the answers of the model in memory to the texts of its check."""

    uri: str
    expected: pd.DataFrame


@task(name="pack", cache_policy=NO_CACHE)
def pack_model(
    pipeline: Pipeline, home: Home, tracking: Tracking, run: TrainingRun, trained: TrainingResult, reload: Reload
) -> PackedModel:
    """Store the model in its run, and let the fresh process `reload` load it while others go on."""
    from tasks.learning.device import numerics, one_thread
    from tasks.serving.packaged_model import load_package, save_package
    from tasks.serving.smoke_test import write_check

    preparation = _preparation(pipeline, home, tracking.store_base(run.base))
    folder = save_package(trained.folder, _spec(trained), preparation, trained.folder.parent / "kept")
    package = load_package(folder, run.base.path, home.path)
    texts = open_snapshot(home, run.snapshot).frame("test")["text"].head(CHECKED_ROWS).tolist()
    with one_thread():  # as `reload` computes: in bf16 another number of threads gives other sums
        answers = package.answer(texts)
    expected = package.answer_table(texts, answers)
    write_check(folder, texts, answers, numerics(pipeline.training.precision))
    example = _example_row(pipeline, texts)
    variant = json_sha256(replace(preparation, base_uri="").values())[:16]  # where its base lies is no answer's matter
    uri = tracking.log_model(run.run_id, folder, PYFUNC, example, (example, expected.head(1)), variant)
    reload.ask(partial(tracking.fetch, uri), texts)
    return PackedModel(uri, expected)


@task(name="release", cache_policy=NO_CACHE)
def register_model(
    pipeline: Pipeline, tracking: Tracking, packed: PackedModel, run_id: str, reload: Reload, tags: Mapping[str, str]
) -> str:
    """Register a stored model that answered in the fresh process as it did in memory; returns the version."""
    check_reloaded_answers(packed.expected, reload.answers(), packed.uri)
    return tracking.register(pipeline.name, packed.uri, run_id, tags)


def check_reloaded_answers(expected: pd.DataFrame, answers: pd.DataFrame, uri: str) -> None:
    """Refuse a stored model whose answers are not those of the model in memory."""
    if len(answers) != len(expected):
        raise InfraError(f"{uri} does not answer as the trained model did: {len(answers)} answers to {len(expected)} texts")
    if "entities" in expected:
        expected, answers = (frame.assign(entities=frame["entities"].map(spans_of_entities)) for frame in (expected, answers))
    words = [name for name in expected.columns if name not in ("score", "number")]
    wrong = sum(int((expected[name].astype(str).to_numpy() != answers[name].astype(str).to_numpy()).sum()) for name in words)
    gaps = [_largest_gap(expected[name], answers[name]) for name in ("score", "number") if name in expected]
    gap = float(np.max([0.0, *gaps]))  # not a number where one of them is none
    if wrong or not gap <= TOLERANCE:
        raise InfraError(
            f"{uri} does not answer as the trained model did: {wrong} of {len(expected)} answers differ, scores by up to "
            f"{gap:.2g}. Nothing was registered; the stored artifact is corrupt: please report this with the run's id"
        )


def _largest_gap(expected: pd.Series, answers: pd.Series) -> float:
    """The largest difference of probabilities or, as a share of the largest of them, of numbers."""
    unit = 1.0 if expected.name == "score" else max(float(expected.abs().max()), 1e-12)
    return float(np.max((expected - answers).abs().to_numpy())) / unit


def champion_network(tracking: Tracking, home: Home, model: str, version: str) -> Network:
    """The network of a registered version, on its own base."""
    from tasks.learning.network import TRAINABLE, build_network, read_spec

    folder, base = champion_files(tracking, home, model, version)
    return build_network(read_spec(folder), base, folder / TRAINABLE)


def labels_of(tracking: Tracking, home: Home, model: str, version: str) -> tuple[str, ...]:
    """The labels that a registered classifier can answer with."""
    from tasks.learning.network import read_spec

    return read_spec(champion_folder(tracking, home, model, version)).labels


def check_problem(pipeline: Pipeline, version: str, folder: Path) -> None:
    """InputError where a version, whose artifact folder this is, answers another problem than the config names now."""
    from tasks.learning.network import read_spec

    problem = read_spec(folder).problem
    if family_of(problem) != family_of(pipeline.problem):
        raise InputError(
            f"{pipeline.name} version {version} answers {problem}, and problem is {pipeline.problem} now: their answers cannot be "
            "compared or kept together. Give this config another name, or set its problem back"
        )


def champion_files(tracking: Tracking, home: Home, model: str, version: str) -> tuple[Path, Path]:
    """A version's artifact folder and its base's, on this machine: fetched where they are not there yet, or not whole."""
    from tasks.learning.network import read_spec
    from tasks.serving.packaged_model import read_preparation

    folder = champion_folder(tracking, home, model, version)
    return folder, base_folder(tracking, home, read_spec(folder), read_preparation(folder).base_uri)


def base_folder(tracking: Tracking, home: Home, spec: Spec, uri: str) -> Path:
    """The base that a network needs, by its digest: on this machine already, or fetched once."""
    from tasks.common.workspace import workspace
    from tasks.serving.packaged_model import adopt_base, local_base

    local = local_base(spec, home.path)
    if local is not None:
        return local
    place = local_path(tracking.location_of_artifact(uri))
    if place is not None and not home.locate(place).is_dir():
        own = home.path / "bases" / spec.base_digest
        raise InfraError(
            f"the base {spec.base_name} is gone from {home.locate(place)}: restore that folder from a copy, or put the base of "
            f"this digest into {own}"
        )
    with workspace(home.path / "work", "base-") as aside:
        return adopt_base(spec, tracking.fetch(uri, aside), home.path)


def _spec(trained: TrainingResult) -> Spec:
    from tasks.learning.network import read_spec

    return read_spec(trained.folder)


def _preparation(pipeline: Pipeline, home: Home, base_uri: str) -> Preparation:
    from tasks.data.redaction.key import key_id, redaction_key
    from tasks.serving.packaged_model import Preparation

    redact = pipeline.data.redact
    key = key_id(redaction_key(home.path)) if redact.enabled else None
    return Preparation(
        layout=pipeline.facts.writes_text,
        entities=redact.entities if redact.enabled else None,
        ner_model=redact.ner_model,
        key_id=key,
        base_uri=base_uri,
        new_tokens=pipeline.evaluation.max_new_tokens,
        precision=pipeline.training.precision,
        decoding=pipeline.evaluation.decoding,
    )


def _example_row(pipeline: Pipeline, texts: list[str]) -> pd.DataFrame:
    """One row as a caller would send it, under the data's own column name."""
    from tasks.serving.input_cells import input_frame

    return input_frame(texts[:1], pipeline.input_columns)
