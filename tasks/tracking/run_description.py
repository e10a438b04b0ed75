"""The verdict and why, in Markdown, where MLflow shows a description: of a run, of the version it made, of the model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from configs.credentials import without_credentials

if TYPE_CHECKING:
    from mlflow import MlflowClient

DESCRIPTION = "tunekeeper.description"  # a tag: the hash of what we wrote, or `OLD,NEW` with that of what it replaces
LONGEST = 4900  # characters; MLflow's databases keep 5,000


def describe_everywhere(client: MlflowClient, run_id: str, model: str, version: str, text: str) -> None:
    """Write it in all three places through MLflow's client, save where a person has written something of their own."""
    from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

    text = _shorten_lines(without_credentials(text))
    tags = client.get_run(run_id).data.tags
    if (mark := _mark_tag(tags.get(MLFLOW_RUN_NOTE), tags, text)) is not None:
        client.set_tag(run_id, DESCRIPTION, mark)
        client.set_tag(run_id, MLFLOW_RUN_NOTE, text)
    model_version = client.get_model_version(model, version)
    if (mark := _mark_tag(model_version.description, model_version.tags, text)) is not None:
        client.set_model_version_tag(model, version, DESCRIPTION, mark)
        client.update_model_version(model, version, text)
    registered_model = client.get_registered_model(model)
    headed = f"The last decision was on version {version}.\n\n{text}"
    if (mark := _mark_tag(registered_model.description, registered_model.tags, headed)) is not None:
        client.set_registered_model_tag(model, DESCRIPTION, mark)
        client.update_registered_model(model, headed)


def _mark_tag(old: str | None, tags: Mapping[str, str], new: str) -> str | None:
    """The tag to set before a description is replaced: a kill between the two leaves it ours. None where it is a person's."""
    if not old:
        return _text_hash(new)
    if _text_hash(old) not in tags.get(DESCRIPTION, "").split(","):
        return None
    return ",".join(dict.fromkeys((_text_hash(old), _text_hash(new))))


def _shorten_lines(text: str) -> str:
    """Whole lines, as many as MLflow keeps; of a longer line its beginning."""
    if len(text) <= LONGEST:
        return text
    end = text.rfind("\n", 0, LONGEST - 2)
    return text[: end if end > 0 else LONGEST - 2] + "\n…"


def _text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
