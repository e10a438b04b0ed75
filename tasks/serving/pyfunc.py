"""The model as MLflow runs it (models from code): `mlflow models serve -m models:/NAME@champion --env-manager local`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import set_model

from tasks.common.workspace import workspace
from tasks.learning.network import read_spec
from tasks.serving.input_cells import inputs_of
from tasks.serving.packaged_model import PackagedModel, adopt_base, load_package, local_base, read_preparation


class KeptModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Answers a frame whose first column holds raw texts, or conversations as lists of messages.

    A second column, if there is one, holds the texts that are read beside the first.
    """

    kept: PackagedModel

    def load_context(self, context: Any) -> None:
        """Load the weights on their base, which is fetched from the tracking server where this machine has none with its hash."""
        folder = Path(context.artifacts["kept"])
        home = Path(os.environ.get("TUNEKEEPER_HOME") or ".tunekeeper").expanduser().absolute()
        home.mkdir(parents=True, exist_ok=True)
        spec = read_spec(folder)
        base = local_base(spec, home)
        if base is None:
            uri = read_preparation(folder).base_uri
            with workspace(home / "work", "base-") as aside:
                base = adopt_base(spec, Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(aside))), home)
        self.kept = load_package(folder, base, home)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One line of answer per row of input."""
        return self.kept.predict(inputs_of(model_input, messages=self.kept.network.spec.messages))


set_model(KeptModel())
