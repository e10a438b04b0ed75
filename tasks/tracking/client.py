"""The only door to MLflow: runs by train-key, bases stored once, models and their versions."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs.credentials import without_credentials
from tasks.common.bases import Base, base_files
from tasks.common.files import atomic_folder
from tasks.tracking.connection import PREFIX, sent_once
from tasks.tracking.runs import Runs, model_id_of

BASES = "tunekeeper-bases"  # the experiment that keeps them
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


class Tracking(Runs):
    """One tracking server: its runs, and the bases, models and versions that it keeps.

    Every call is tried a few times, then fails as InfraError with the address and the remedy.
    """

    def store_base(self, base: Base) -> str:
        """Keep a base once, under its digest, beside the models that need it; returns its artifact URI.

        A run that a killed storing left unfinished is finished, not joined by another.
        """
        where = self.experiment(BASES)
        query = f"tags.`{PREFIX}base` = '{base.digest}'"
        tags = {f"{PREFIX}base": base.digest, f"{PREFIX}weights_sha256": base.weights, f"{PREFIX}name": base.name}

        def find() -> Any:
            runs = self.client.search_runs([where], query)
            with sent_once():
                return runs or [self.client.create_run(where, run_name=base.name, tags=tags)]

        runs = self.attempt("looking for the base", find)
        whole = next((run.info.run_id for run in runs if run.info.status == "FINISHED"), None)
        if whole is not None:
            return self.artifact_uri(whole, "base")
        run = runs[0].info.run_id
        with tempfile.TemporaryDirectory() as aside:
            for file in base_files(base.path, base.target_tokenizer):
                target = Path(aside) / file.relative_to(base.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
            self.log_folder(run, Path(aside), "base")
        self.close_run(run)
        return self.artifact_uri(run, "base")

    def log_model(
        self, run_id: str, folder: Path, code: Path, example: object, signature_of: tuple[object, object], variant: str
    ) -> str:
        """Store an artifact folder as a models-from-code pyfunc; returns models:/m-..., the same for the same run and variant.

        `variant` is a short hash of what else than the run's weights decides the model's answers. By the parts that
        `mlflow.pyfunc.log_model` is made of: it would load the model in this process and ask it the example, and close the run.
        """
        name = f"model_uri.{variant}"
        earlier = self.tags(run_id).get(name)
        if earlier is not None:
            return earlier
        uri = self.attempt("storing the model", lambda: self._log_model(run_id, folder, code, example, signature_of))
        self.tag(run_id, {name: uri})
        return uri

    def _log_model(self, run_id: str, folder: Path, code: Path, example: object, signature_of: tuple[object, object]) -> str:
        import mlflow
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus
        from mlflow.models import Model

        run = self.client.get_run(run_id)
        with sent_once():
            model = self.client.create_logged_model(run.info.experiment_id, "model", run_id, params=run.data.params)
            self.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        with tempfile.TemporaryDirectory() as aside:
            with atomic_folder(Path(aside, "model")) as whole:  # with the hashes of all its files
                mlflow.pyfunc.save_model(
                    path=str(whole),
                    python_model=str(code),
                    artifacts={"kept": str(folder)},
                    signature=_signature_of(*signature_of),
                    input_example=example,
                    pip_requirements=_requirements(),
                    mlflow_model=Model(model.artifact_location, run_id, model_uuid=model.model_id, model_id=model.model_id),
                )
            self.client.log_model_artifacts(model.model_id, f"{aside}/model")
        self.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        return f"models:/{model.model_id}"

    def register(self, model: str, uri: str, run_id: str, tags: Mapping[str, str]) -> str:
        """The one version of a stored model `uri` (models:/m-...): the one that is there, or a new one.

        The stored model names its version, as `mlflow.register_model` would have it do.
        """
        from mlflow.exceptions import MlflowException
        from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

        model_id = model_id_of(uri)

        def find() -> Any:
            try:
                self.client.create_registered_model(model)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            for version in self.client.search_model_versions(f"name = '{model}'"):
                if version.source == uri:
                    return version
            own_tags = {PREFIX + key: value for key, value in tags.items()}
            with sent_once():
                return self.client.create_model_version(
                    model, uri, run_id, tags=own_tags, model_id=model_id
                )  # no server guesses it

        def register() -> str:
            number = find().version
            versions = json.dumps([{"name": model, "version": number}])
            self.client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: versions})
            return str(number)

        return self.attempt("registering the version", register)

    def version_tags(self, model: str, version: str) -> dict[str, str]:
        """Ours, without their prefix, and the version's `run_id` and `source`."""
        entry = self.attempt(f"reading {model} {version}", lambda: self.client.get_model_version(model, version))
        own = {key.removeprefix(PREFIX): value for key, value in entry.tags.items() if key.startswith(PREFIX)}
        return {**own, "run_id": entry.run_id or "", "source": entry.source or ""}

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


def _signature_of(example: object, answers: object) -> Any:
    """MLflow's signature of a model; its hint on columns of whole numbers is of no use, as answers miss none."""
    from mlflow.models import infer_signature

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Hint: Inferred schema contains integer column")
        return infer_signature(example, answers)


def _requirements() -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={version(name).partition('+')[0]}" for name in PIP_PACKAGES]
