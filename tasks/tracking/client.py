"""The only door to MLflow: runs by train-key, metrics that outlive an outage, bases stored once, versions and aliases."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from configs.credentials import without_credentials
from configs.errors import InfraError
from tasks.common.bases import Base, base_files
from tasks.common.files import atomic_folder
from tasks.common.home import Home
from tasks.common.terminal import print_notice
from tasks.tracking.moved_home import settle_places
from tasks.tracking.run_description import describe_everywhere
from tasks.tracking.run_facts import SplitFacts, dataset_inputs, origin_tags

T = TypeVar("T")
PREFIX = "tunekeeper."
BASES = "tunekeeper-bases"
ATTEMPTS = 4
PIP_PACKAGES = (
    "mlflow",
    "torch",
    "transformers",
    "peft",
    "safetensors",
    "pandas",
    "numpy",
    "pydantic",
    "google-re2",
    "presidio_analyzer",
    "phonenumbers",
)


def make_database(home: Home) -> None:
    """Make a home's own database aside, and show it when it is whole; nothing where it is there, or where a server keeps it.

    MLflow builds it in some fifty steps and neither goes on with nor mends one that a kill or a full disk left half built.
    """
    place = Path(home.tracking_uri.removeprefix("sqlite:///"))
    if not home.tracks_here or place.exists():
        return
    if home.artifacts.is_dir() and any(home.artifacts.iterdir()):
        raise InfraError(
            f"{place} is gone, though {home.artifacts} holds what it lists: restore it from a copy of this home, or set "
            "TUNEKEEPER_HOME to another folder to begin anew; nothing was made or recorded"
        )
    from mlflow import MlflowClient

    (home.path / "locks").mkdir(parents=True, exist_ok=True)
    with (home.path / "locks" / "mlflow.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.exists():
            return
        for left in place.parent.glob(f".{place.name}.*"):
            left.unlink()
        aside = place.with_name(f".{place.name}.{os.getpid()}.{time.monotonic_ns()}")  # MLflow remembers what it has opened
        MlflowClient(f"sqlite:///{aside}").search_experiments(max_results=1)
        aside.replace(place)


def open_database(home: Home) -> None:
    """Make a home's own database where there is none; where the home was moved or copied, set its paths right, and say so."""
    make_database(home)
    if notice := settle_places(home):
        print_notice(notice)


class Tracking:
    """One tracking server; every call is tried a few times, then fails as InfraError with the address and the remedy.

    `only_look` leaves a database as it is: for those who say what is wrong and mend nothing.
    """

    def __init__(self, home: Home, pause: Callable[[float], None] = time.sleep, *, only_look: bool = False) -> None:
        self.home, self.pause, self.only_look = home, pause, only_look
        self._experiments: dict[str, str] = {}

    @cached_property
    def client(self) -> Any:
        import mlflow

        # it prints the traceback of every fault that `attempt` tells of
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        if not self.only_look:
            open_database(self.home)
        mlflow.set_tracking_uri(self.home.tracking_uri)
        mlflow.set_registry_uri(self.home.tracking_uri)
        return mlflow.MlflowClient(self.home.tracking_uri)

    def attempt(self, what: str, call: Callable[[], T]) -> T:
        """Call, and call again after pauses of 1, 2, 4 seconds where the server or its database does not answer."""
        for number in range(ATTEMPTS):
            try:
                return call()
            except tracking_failures() as error:
                if not _passing(error) or number == ATTEMPTS - 1:
                    raise self._fault(what, error) from error
                self.pause(2.0**number)
        raise AssertionError("unreachable")

    def _fault(self, what: str, error: Exception) -> InfraError:
        where = without_credentials(self.home.tracking_uri)
        return InfraError(
            f"MLflow at {where}: {what} failed ({first_line(error)}): "
            "see that the server answers and the disk has room, then run again"
        )

    # --- runs ---------------------------------------------------------------------------------------------------------

    def experiment(self, name: str) -> str:
        """The id of an experiment, made if absent; local artifacts lie under the home."""

        def find() -> str:
            from mlflow.exceptions import MlflowException

            found = self.client.get_experiment_by_name(name)
            if found is not None:
                return str(found.experiment_id)
            place = self.home.artifacts / name if self.home.tracking_uri.startswith("sqlite") else None
            if place is not None:  # made at once: a home that is moved before anything is stored knows its experiment by it
                place.mkdir(parents=True, exist_ok=True)
            try:
                return str(self.client.create_experiment(name, place.as_uri() if place is not None else None))
            except MlflowException:  # made by another process between the two calls
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
                return str(found.experiment_id)

        if name not in self._experiments:
            self._experiments[name] = self.attempt(f"finding experiment {name}", find)
        return self._experiments[name]

    def find_run(self, experiment: str, train_key: str) -> str | None:
        """The one run of a train-key, if it was ever opened."""
        where = self.experiment(experiment)
        return self.attempt("looking for the run", lambda: self._run_of(where, train_key))

    def _run_of(self, where: str, train_key: str) -> str | None:
        found = self.client.search_runs([where], f"tags.`{PREFIX}train_key` = '{train_key}'", max_results=1)
        return str(found[0].info.run_id) if found else None

    def open_run(self, experiment: str, train_key: str, name: str, tags: Mapping[str, str], command: str = "tunekeeper") -> str:
        """The one run of a train-key, set to RUNNING: a new one, or the one that an earlier attempt left.

        `command` is what MLflow shows as its source.
        """

        def find() -> str:
            where = self.experiment(experiment)
            found = self._run_of(where, train_key)
            if found is not None:
                self.client.update_run(found, status="RUNNING")
                return found
            marked = {f"{PREFIX}{key}": without_credentials(value) for key, value in {**tags, "train_key": train_key}.items()}
            origin = origin_tags(command, Path.cwd())
            return str(self.client.create_run(where, run_name=name, tags={**origin, **marked}).info.run_id)

        return self.attempt("opening the run", find)

    def close_run(self, run_id: str, status: str = "FINISHED") -> None:
        self.attempt("closing the run", lambda: self.client.set_terminated(run_id, status))

    def has_run(self, run_id: str) -> bool:
        """Whether a run is there and not deleted."""
        from mlflow.exceptions import MlflowException

        try:
            return str(self.attempt("reading a run", lambda: self.client.get_run(run_id)).info.lifecycle_stage) == "active"
        except InfraError as error:
            if isinstance(error.__cause__, MlflowException) and error.__cause__.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise

    def log_params(self, run_id: str, values: Mapping[str, object]) -> None:
        """All parameters in one call; the same values logged again change nothing."""
        from mlflow.entities import Param

        entries = [Param(key, without_credentials(str(value))[:6000]) for key, value in values.items()]
        self.attempt("logging parameters", lambda: self.client.log_batch(run_id, params=entries))

    def log_metrics(
        self, run_id: str, values: Mapping[str, float], step: int = 0, first: Collection[str] = (), model_uri: str | None = None
    ) -> None:
        """Values of a step, once: what an attempt that was killed has logged already is not logged again.

        Of the names in `first` the run keeps what it was told first: what a later attempt finds done took it no time. With
        `model_uri` (models:/m-...) they are shown with that stored model too.
        """
        self.attempt("logging metrics", lambda: self.upload(run_id, self._new(run_id, values, step, first), model_uri))

    def _new(
        self, run_id: str, values: Mapping[str, float], step: int, first: Collection[str]
    ) -> list[tuple[int, str, float, int]]:
        last: dict[str, float] = self.client.get_run(run_id).data.metrics
        equal = {name for name, value in values.items() if last.get(_metric_name(name)) == value}
        if equal:  # what is logged together is of one step, and one history tells it of all
            steps = [each.step for each in self.client.get_metric_history(run_id, _metric_name(min(equal)))]
            equal = equal if max(steps) == step else set()
        known = equal | {name for name in first if _metric_name(name) in last}
        return [(step, name, float(value), int(time.time() * 1000)) for name, value in values.items() if name not in known]

    def upload(self, run_id: str, entries: Sequence[tuple[int, str, float, int]], model_uri: str | None = None) -> None:
        from mlflow.entities import Metric

        model_id = _model_id(model_uri) if model_uri else None
        metrics = [Metric(_metric_name(name), value, at, step, model_id) for step, name, value, at in entries]
        for start in range(0, len(metrics), 1000):
            self.client.log_batch(run_id, metrics=metrics[start : start + 1000])

    def tag(self, run_id: str, values: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(PREFIX + key, without_credentials(value)) for key, value in values.items()]
        self.attempt("tagging the run", lambda: self.client.log_batch(run_id, tags=tags))

    def tags(self, run_id: str) -> dict[str, str]:
        """Ours alone, without their prefix."""
        found = self.attempt("reading the run", lambda: self.client.get_run(run_id)).data.tags
        return {key.removeprefix(PREFIX): value for key, value in found.items() if key.startswith(PREFIX)}

    def log_datasets(self, run_id: str, splits: Sequence[SplitFacts]) -> None:
        """The data that a run is made from, as MLflow's page of it lists them; the same ones again change nothing."""
        self.attempt("naming the data sets", lambda: self.client.log_inputs(run_id, dataset_inputs(splits)))

    def describe(self, run_id: str, model: str, version: str, text: str) -> None:
        """Put Markdown where MLflow shows a description: of the run, the version and the model. What a person wrote there stays."""
        self.attempt("describing the run", lambda: describe_everywhere(self.client, run_id, model, version, text))

    def log_artifact(self, run_id: str, file: Path, folder: str | None = None) -> None:
        self.attempt(f"storing {file.name}", lambda: self.client.log_artifact(run_id, str(file), folder))

    def log_folder(self, run_id: str, source: Path, folder: str) -> None:
        self.attempt(f"storing {folder}", lambda: self.client.log_artifacts(run_id, str(source), folder))

    def log_text(self, run_id: str, text: str, name: str) -> None:
        self.attempt(f"storing {name}", lambda: self.client.log_text(run_id, without_credentials(text), name))

    def fetch(self, uri: str, target: Path) -> Path:
        """Download an artifact into a folder; its path there."""
        import mlflow

        def download() -> Path:
            _ = self.client
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(target)))

        target.mkdir(parents=True, exist_ok=True)
        return self.attempt(f"fetching {uri}", download)

    def names_of(self, uri: str) -> set[str]:
        """The files of an artifact folder, by their paths in it."""
        import mlflow

        def walk(folder: str, prefix: str) -> Iterator[str]:
            for entry in mlflow.artifacts.list_artifacts(artifact_uri=folder):
                name = PurePosixPath(entry.path).name
                if entry.is_dir:
                    yield from walk(f"{folder}/{name}", f"{prefix}{name}/")
                else:
                    yield prefix + name

        _ = self.client
        return self.attempt(f"listing {uri}", lambda: set(walk(uri.rstrip("/"), "")))

    def artifact_uri(self, run_id: str, name: str) -> str:
        return f"runs:/{run_id}/{name}"

    def page_of(self, experiment: str, run_id: str, artifact: str, file: Path) -> str:
        """What shows a browser an artifact of a run: MLflow's page of it where a server is known, else its file on this machine."""
        pages = self.home.tracking_pages
        if pages is None:
            return file.as_uri()
        return f"{pages}/#/experiments/{self.experiment(experiment)}/runs/{run_id}/artifacts/{artifact}"

    # --- bases and models ---------------------------------------------------------------------------------------------

    def store_base(self, base: Base) -> str:
        """Keep a base once, under its digest, beside the models that need it; returns its artifact URI.

        A run that a killed storing left unfinished is finished, not joined by another.
        """
        where = self.experiment(BASES)
        query = f"tags.`{PREFIX}base` = '{base.digest}'"
        found = self.attempt("looking for the base", lambda: self.client.search_runs([where], query))
        whole = next((run.info.run_id for run in found if run.info.status == "FINISHED"), None)
        if whole is not None:
            return self.artifact_uri(whole, "base")
        tags = {f"{PREFIX}base": base.digest, f"{PREFIX}weights_sha256": base.weights, f"{PREFIX}name": base.name}
        made = found or [self.attempt("storing the base", lambda: self.client.create_run(where, run_name=base.name, tags=tags))]
        run = made[0].info.run_id
        with tempfile.TemporaryDirectory() as aside:
            for file in base_files(base.path, base.target_tokenizer):
                target = Path(aside) / file.relative_to(base.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
            self.log_folder(run, Path(aside), "base")
        self.close_run(run)
        return self.artifact_uri(run, "base")

    def log_model(self, run_id: str, folder: Path, code: Path, example: object, signature_of: tuple[object, object]) -> str:
        """Store an artifact folder as a models-from-code pyfunc; returns models:/m-..., the same again for the same run.

        By the parts that `mlflow.pyfunc.log_model` is made of: it would load the model in this process and ask it the example, and
        close the run.
        """
        import mlflow
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus
        from mlflow.models import Model, infer_signature

        earlier = self.tags(run_id).get("model_uri")
        if earlier is not None:
            return earlier

        def log() -> str:
            run = self.client.get_run(run_id)
            made = self.client.create_logged_model(run.info.experiment_id, "model", run_id, params=run.data.params)
            self.client.log_outputs(run_id, [LoggedModelOutput(made.model_id, step=0)])
            with tempfile.TemporaryDirectory() as aside:
                with atomic_folder(Path(aside, "model")) as whole:  # with the hashes of all its files
                    mlflow.pyfunc.save_model(
                        path=str(whole),
                        python_model=str(code),
                        artifacts={"kept": str(folder)},
                        signature=infer_signature(*signature_of),
                        input_example=example,
                        pip_requirements=_requirements(),
                        mlflow_model=Model(made.artifact_location, run_id, model_uuid=made.model_id, model_id=made.model_id),
                    )
                self.client.log_model_artifacts(made.model_id, f"{aside}/model")
            self.client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
            return f"models:/{made.model_id}"

        uri = self.attempt("storing the model", log)
        self.tag(run_id, {"model_uri": uri})
        return uri

    def register(self, model: str, uri: str, run_id: str, tags: Mapping[str, str]) -> str:
        """The one version of a run's stored model `uri` (models:/m-...): the one that is there, or a new one.

        The stored model names its version, as `mlflow.register_model` would have it do.
        """
        from mlflow.exceptions import MlflowException
        from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

        model_id = _model_id(uri)

        def find() -> Any:
            try:
                self.client.create_registered_model(model)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            for version in self.client.search_model_versions(f"name = '{model}'"):
                if version.run_id == run_id:
                    return version
            marked = {PREFIX + key: value for key, value in tags.items()}
            return self.client.create_model_version(model, uri, run_id, tags=marked, model_id=model_id)  # no server guesses it

        def register() -> str:
            number = find().version
            said = json.dumps([{"name": model, "version": number}])
            self.client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: said})
            return str(number)

        return self.attempt("registering the version", register)

    def version_tags(self, model: str, version: str) -> dict[str, str]:
        """Ours, without their prefix, and the version's `run_id` and `source`."""
        found = self.attempt(f"reading {model} {version}", lambda: self.client.get_model_version(model, version))
        own = {key.removeprefix(PREFIX): value for key, value in found.tags.items() if key.startswith(PREFIX)}
        return {**own, "run_id": found.run_id or "", "source": found.source or ""}

    def location_of_version(self, model: str, version: str) -> str:
        """Where its artifact folder lies, in whatever store."""
        return str(self.attempt(f"reading {model} {version}", lambda: self.client.get_model_version_download_uri(model, version)))

    def location_of_artifact(self, uri: str) -> str:
        """Where an artifact of a run, `runs:/RUN/NAME`, lies."""
        run_id, _, name = uri.removeprefix("runs:/").partition("/")
        return f"{self.attempt('reading a run', lambda: self.client.get_run(run_id)).info.artifact_uri}/{name}"

    def tag_version(self, model: str, version: str, values: Mapping[str, str]) -> None:
        def put() -> None:
            for key, value in values.items():
                self.client.set_model_version_tag(model, version, PREFIX + key, without_credentials(value))

        self.attempt("tagging the version", put)


class Registry:
    """What the ledger may do in MLflow's registry: read and move one alias, see which versions are there and who made them."""

    def __init__(self, tracking: Tracking, alias: str) -> None:
        self.tracking, self.alias = tracking, alias

    def champion(self, model: str) -> str | None:
        from mlflow.exceptions import MlflowException

        def find() -> str | None:
            try:
                return str(self.tracking.client.get_model_version_by_alias(model, self.alias).version)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                if error.error_code == "PERMISSION_DENIED" and not self._known(model):  # auth's word for a model that is not there
                    return None
                raise

        return self.tracking.attempt(f"reading the alias {self.alias}", find)

    @property
    def place(self) -> str:
        """MLflow's address, without a password."""
        return self.tracking.home.tracking_uri.rpartition("@")[2]

    def knows(self, model: str) -> bool:
        """Whether a model of this name is registered, with versions or without."""
        return self.tracking.attempt(f"looking for {model}", lambda: self._known(model))

    def run_of(self, model: str, version: str) -> str | None:
        """The run that made a version."""
        return self.tracking.version_tags(model, version)["run_id"] or None

    def _known(self, model: str) -> bool:
        return bool(self.tracking.client.search_registered_models(f"name = '{model}'"))

    def set_champion(self, model: str, version: str) -> None:
        client = self.tracking.client
        self.tracking.attempt("moving the alias", lambda: client.set_registered_model_alias(model, self.alias, version))

    def versions(self, model: str) -> set[str]:
        client = self.tracking.client
        found = self.tracking.attempt("listing versions", lambda: client.search_model_versions(f"name = '{model}'"))
        return {str(version.version) for version in found}


def tracking_failures() -> tuple[type[Exception], ...]:
    """What a tracking server, its database or its disk may raise."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import OperationalError

    return MlflowException, RequestException, OperationalError, OSError


def _metric_name(name: str) -> str:
    """MLflow allows letters, digits, _ - . / : and space."""
    return "".join(letter if letter.isalnum() or letter in "_-. /:" else "_" for letter in name)


def _model_id(uri: str) -> str:
    return uri.removeprefix("models:/")


def _passing(error: Exception) -> bool:
    """Whether trying again can help: servers and locks recover, wrong requests do not."""
    code = getattr(error, "error_code", None)
    return code is None or code in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_CONFLICT")


def _requirements() -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={version(name).partition('+')[0]}" for name in PIP_PACKAGES]


def first_line(error: Exception) -> str:
    return next(iter(without_credentials(str(error)).strip().splitlines()), type(error).__name__)[:200]
