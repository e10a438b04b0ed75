"""The ledger before MLflow's own registry, in SQLite: what the file double stands for elsewhere."""

import os
import shutil

import pytest
from ledger_child import WON

from tasks.ledger.promotions import (
    ChampionMovedError,
    Ledger,
    PromotionRequest,
    RollbackRequest,
    ledger_history,
    promote,
    reconcile_alias,
    replayed_champion,
    rollback,
)

MODEL, ALIAS = "helpdesk", "champion"


class MlflowRegistry:
    def __init__(self, client):
        self.client = client

    def champion(self, model):
        found = self.client.get_registered_model(model).aliases.get(ALIAS)
        return None if found is None else str(found)

    def set_champion(self, model, version):
        self.client.set_registered_model_alias(model, ALIAS, version)

    def knows(self, model):
        return True

    def run_of(self, model, version):
        return self.client.get_model_version(model, version).run_id or None

    def versions(self, model):
        return {str(found.version) for found in self.client.search_model_versions(f"name='{model}'")}


@pytest.fixture(scope="module")
def client(tmp_path_factory, empty_database):
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    mlflow = pytest.importorskip("mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    shutil.copy(empty_database, folder / "mlflow.db")
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db", registry_uri=f"sqlite:///{folder}/mlflow.db")
    client.create_registered_model(MODEL)
    for _ in range(4):
        client.create_model_version(MODEL, source=str(folder))
    return client


def test_a_champions_life_in_mlflows_registry(client, tmp_path):
    ledger, registry = Ledger(f"sqlite:///{tmp_path}/ledger.db"), MlflowRegistry(client)

    def live():
        found = client.get_registered_model(MODEL).aliases.get(ALIAS)
        return None if found is None else str(found)

    promote(ledger, registry, MODEL, PromotionRequest("1", expected=None, evidence=WON, who="the flow"))
    promote(ledger, registry, MODEL, PromotionRequest("2", expected="1", evidence=WON, who="the flow"))
    with pytest.raises(ChampionMovedError):
        promote(ledger, registry, MODEL, PromotionRequest("3", expected="1", evidence=WON, who="the flow"))
    assert live() == replayed_champion(ledger, MODEL) == "2"

    client.set_registered_model_alias(MODEL, ALIAS, "4")  # a person, in MLflow's own UI
    assert "EXTERNAL" in reconcile_alias(ledger, registry, MODEL).notices[0]
    assert live() == replayed_champion(ledger, MODEL) == "4"

    client.delete_model_version(MODEL, "4")  # and the alias with it
    assert "version 4 was deleted" in reconcile_alias(ledger, registry, MODEL).notices[-1]
    assert live() is None is replayed_champion(ledger, MODEL)

    rollback(ledger, registry, MODEL, RollbackRequest(who="a person"))
    assert live() == replayed_champion(ledger, MODEL) == "2"
    assert [row.kind for row in ledger_history(ledger, MODEL)] == ["FIRST", "PROMOTE", "EXTERNAL", "EXTERNAL", "ROLLBACK"]
