"""Runs in MLflow: one of a train-key, with its parameters, metrics, tags, data sets and artifacts."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from configs.credentials import without_credentials
from configs.errors import InfraError
from tasks.common.home import Home
from tasks.tracking.connection import PREFIX, Connection, sent_once
from tasks.tracking.run_description import describe_everywhere
from tasks.tracking.run_facts import SplitFacts, dataset_inputs, origin_tags


class Runs(Connection):
    """The runs of a tracking server, and what is stored with them."""

    def __init__(
        self, home: Home, pause: Callable[[float], None] = time.sleep, *, only_look: bool = False, may_begin: bool = True
    ) -> None:
        super().__init__(home, pause, only_look=only_look, may_begin=may_begin)
        self._experiments: dict[str, str] = {}

    def experiment(self, name: str) -> str:
        """The id of an experiment, made if absent; local artifacts lie under the home."""

        def find() -> str:
            from mlflow.exceptions import MlflowException

            experiment = self.client.get_experiment_by_name(name)
            if experiment is not None:
                return str(experiment.experiment_id)
            place = self.home.artifacts / name if self.home.tracking_uri.startswith("sqlite") else None
            if place is not None:  # made at once: a home that is moved before anything is stored knows its experiment by it
                place.mkdir(parents=True, exist_ok=True)
            try:
                return str(self.client.create_experiment(name, place.as_uri() if place is not None else None))
            except MlflowException:  # made by another process between the two calls
                experiment = self.client.get_experiment_by_name(name)
                if experiment is None:
                    raise
                return str(experiment.experiment_id)

        if name not in self._experiments:
            self._experiments[name] = self.attempt(f"finding experiment {name}", find)
        return self._experiments[name]

    def deleted_experiment(self, name: str) -> str | None:
        """The id of an experiment that was deleted and can be restored; None where it was not."""
        experiment = self.attempt(f"finding experiment {name}", lambda: self.client.get_experiment_by_name(name))
        return str(experiment.experiment_id) if experiment is not None and experiment.lifecycle_stage == "deleted" else None

    def find_run(self, experiment: str, train_key: str) -> str | None:
        """The one run of a train-key, if it was ever opened."""
        where = self.experiment(experiment)
        return self.attempt("looking for the run", lambda: self._find_run(where, train_key))

    def _find_run(self, where: str, train_key: str) -> str | None:
        runs = self.client.search_runs([where], f"tags.`{PREFIX}train_key` = '{train_key}'", max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def open_run(self, experiment: str, train_key: str, name: str, tags: Mapping[str, str], command: str = "tunekeeper") -> str:
        """The one run of a train-key, set to RUNNING: a new one, or the one that an earlier attempt left.

        `command` is what MLflow shows as its source.
        """

        def find() -> str:
            where = self.experiment(experiment)
            run_id = self._find_run(where, train_key)
            if run_id is not None:
                self.client.update_run(run_id, status="RUNNING")
                return run_id
            own_tags = {f"{PREFIX}{key}": without_credentials(value) for key, value in {**tags, "train_key": train_key}.items()}
            origin = origin_tags(command, Path.cwd())
            with sent_once():
                return str(self.client.create_run(where, run_name=name, tags={**origin, **own_tags}).info.run_id)

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

        Of the names in `first` the run keeps the first value: what a later attempt finds done took it no time. With
        `model_uri` (models:/m-...) they are shown with that stored model too.
        """
        self.attempt("logging metrics", lambda: self.upload(run_id, self._new_metrics(run_id, values, step, first), model_uri))

    def _new_metrics(
        self, run_id: str, values: Mapping[str, float], step: int, first: Collection[str]
    ) -> list[tuple[int, str, float, int]]:
        last: dict[str, float] = self.client.get_run(run_id).data.metrics
        equal = {name for name, value in values.items() if last.get(_metric_name(name)) == value}
        if equal:  # what is logged together is of one step, and one history tells it of all
            steps = [point.step for point in self.client.get_metric_history(run_id, _metric_name(min(equal)))]
            equal = equal if max(steps) == step else set()
        known = equal | {name for name in first if _metric_name(name) in last}
        return [(step, name, float(value), int(time.time() * 1000)) for name, value in values.items() if name not in known]

    def upload(self, run_id: str, entries: Sequence[tuple[int, str, float, int]], model_uri: str | None = None) -> None:
        from mlflow.entities import Metric

        model_id = model_id_of(model_uri) if model_uri else None
        metrics = [Metric(_metric_name(name), value, at, step, model_id) for step, name, value, at in entries]
        for start in range(0, len(metrics), 1000):
            self.client.log_batch(run_id, metrics=metrics[start : start + 1000])

    def tag(self, run_id: str, values: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(PREFIX + key, without_credentials(value)) for key, value in values.items()]
        self.attempt("tagging the run", lambda: self.client.log_batch(run_id, tags=tags))

    def tags(self, run_id: str) -> dict[str, str]:
        """Ours alone, without their prefix."""
        stored_tags = self.attempt("reading the run", lambda: self.client.get_run(run_id)).data.tags
        return {key.removeprefix(PREFIX): value for key, value in stored_tags.items() if key.startswith(PREFIX)}

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


def _metric_name(name: str) -> str:
    """MLflow allows letters, digits, _ - . / : and space."""
    return "".join(letter if letter.isalnum() or letter in "_-. /:" else "_" for letter in name)


def model_id_of(uri: str) -> str:
    """Of a stored model `models:/m-...` the id."""
    return uri.removeprefix("models:/")
