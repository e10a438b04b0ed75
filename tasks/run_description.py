"""The verdict and why, in Markdown, where MLflow shows a description: of a run, of the version it made, of the model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from configs.credentials import without_credentials

DESCRIPTION = "tunekeeper.description"  # a tag: the hash of the description that we wrote
LONGEST = 4900  # characters; MLflow's databases keep 5,000


def describe(client: Any, run_id: str, model: str, version: str, text: str) -> None:
    """Write it in all three places through MLflow's client, save where a person has written something of their own."""
    from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

    text = _shortened(without_credentials(text))
    tags = client.get_run(run_id).data.tags
    if _is_ours(tags.get(MLFLOW_RUN_NOTE), tags):
        client.set_tag(run_id, MLFLOW_RUN_NOTE, text)
        client.set_tag(run_id, DESCRIPTION, _hash(text))
    one = client.get_model_version(model, version)
    if _is_ours(one.description, one.tags):
        client.update_model_version(model, version, text)
        client.set_model_version_tag(model, version, DESCRIPTION, _hash(text))
    whole = client.get_registered_model(model)
    if _is_ours(whole.description, whole.tags):
        headed = f"The last decision was on version {version}.\n\n{text}"
        client.update_registered_model(model, headed)
        client.set_registered_model_tag(model, DESCRIPTION, _hash(headed))


def _is_ours(text: str | None, tags: Mapping[str, str]) -> bool:
    """Whether a description is absent, or as we wrote it last."""
    return not text or tags.get(DESCRIPTION) == _hash(text)


def _shortened(text: str) -> str:
    """Whole lines, as many as MLflow keeps."""
    return text if len(text) <= LONGEST else text[: text.rfind("\n", 0, LONGEST - 2)] + "\n…"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
