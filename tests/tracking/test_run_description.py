"""A description is replaced as long as it is ours, whatever killed the last writer; a person's stays."""

import shutil

import pytest
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from tasks.common.home import Home
from tasks.tracking.client import Tracking
from tasks.tracking.run_description import LONGEST, _shorten_lines, describe_everywhere

WRITES = ("set_tag", "set_model_version_tag", "update_model_version", "set_registered_model_tag", "update_registered_model")


class Killed(BaseException):
    """The process ends here."""


class Client:
    """MLflow's own, that is killed before its write of a number."""

    def __init__(self, client, last):
        self.client, self.left = client, last

    def __getattr__(self, name):
        call = getattr(self.client, name)
        return (lambda *given: self._write(call, given)) if name in WRITES else call

    def _write(self, call, given):
        if self.left == 0:
            raise Killed
        self.left -= 1
        return call(*given)


@pytest.fixture
def described(tmp_path, empty_database, monkeypatch):
    """Where to describe: MLflow's client, a run, a model and its version."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    tracking = Tracking(Home(tmp_path))
    run = tracking.open_run("tiny", "key", "run", {})
    client = tracking.client
    client.create_registered_model("tiny")
    client.create_model_version("tiny", f"file://{tmp_path}/artifacts/tiny/model", run)
    return client, (run, "tiny", "1")


def texts(client, run):
    version, model = client.get_model_version("tiny", "1"), client.get_registered_model("tiny")
    return client.get_run(run).data.tags.get(MLFLOW_RUN_NOTE), version.description, model.description.partition("\n\n")[2]


def test_a_kill_at_any_write_leaves_the_description_ours(described):
    client, (run, model, version) = described
    for number in range(7):
        old, new = f"first {number}", f"second {number}"
        describe_everywhere(client, run, model, version, old)
        assert texts(client, run) == (old, old, old)
        if number < 6:
            with pytest.raises(Killed):
                describe_everywhere(Client(client, number), run, model, version, new)
        describe_everywhere(client, run, model, version, f"third {number}")
        assert texts(client, run) == (f"third {number}",) * 3


def test_what_a_person_wrote_stays_also_after_a_kill(described):
    client, (run, model, version) = described
    describe_everywhere(client, run, model, version, "ours")
    with pytest.raises(Killed):
        describe_everywhere(Client(client, 3), run, model, version, "ours too")
    client.update_model_version(model, version, "mine")
    describe_everywhere(client, run, model, version, "the last")
    assert texts(client, run) == ("the last", "mine", "the last")


@pytest.mark.parametrize("text", ["a" * 6000, "\n" + "a" * 6000, "a\n" * 3000, "a" * LONGEST])
def test_a_long_text_is_cut_to_what_mlflow_keeps_and_begins_as_it_did(text):
    short = _shorten_lines(text)
    assert len(short) <= LONGEST and short.removesuffix("\n…") == text[: len(short.removesuffix("\n…"))]
    assert len(short) > LONGEST - 10
