"""One alias in MLflow's registry: the champion's."""

from __future__ import annotations

from tasks.tracking.client import Tracking


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
                # auth's word for a model that is not there
                if error.error_code == "PERMISSION_DENIED" and not self._has_model(model):
                    return None
                raise

        return self.tracking.attempt(f"reading the alias {self.alias}", find)

    @property
    def place(self) -> str:
        """MLflow's address, without a password."""
        return self.tracking.home.tracking_uri.rpartition("@")[2]

    def knows(self, model: str) -> bool:
        """Whether a model of this name is registered, with versions or without."""
        return self.tracking.attempt(f"looking for {model}", lambda: self._has_model(model))

    def run_of(self, model: str, version: str) -> str | None:
        """The run that made a version."""
        return self.tracking.version_tags(model, version)["run_id"] or None

    def _has_model(self, model: str) -> bool:
        return bool(self.tracking.client.search_registered_models(f"name = '{model}'"))

    def set_champion(self, model: str, version: str) -> None:
        client = self.tracking.client
        self.tracking.attempt("moving the alias", lambda: client.set_registered_model_alias(model, self.alias, version))

    def versions(self, model: str) -> set[str]:
        client = self.tracking.client
        versions = self.tracking.attempt("listing versions", lambda: client.search_model_versions(f"name = '{model}'"))
        return {str(version.version) for version in versions}
