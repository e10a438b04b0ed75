"""A home that moves takes its artifacts along; a copy lets the old one be; what lies elsewhere on purpose stays there."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from configs.errors import InfraError
from tasks.common.home import Home
from tasks.tracking import moved_home
from tasks.tracking.client import Tracking
from tasks.tracking.moved_home import earlier_places, local_path, settle_places


@pytest.fixture
def home(tmp_path, empty_database, monkeypatch):
    """One whose path MLflow has to quote, with a run that has an artifact."""
    home = Home(tmp_path / "first höme")
    home.path.mkdir()
    shutil.copy(empty_database, home.path / "mlflow.db")
    tracking = Tracking(home)
    run = tracking.open_run("tiny", "key", "run", {})
    tracking.log_text(run, "kept", "note.txt")
    return home


@pytest.fixture(autouse=True)
def as_a_process_of_its_own(monkeypatch):
    """MLflow's client puts the address of the first home into the environment, where the next home would find it."""
    client = Tracking.client.func

    def forgotten(tracking):
        made = client(tracking)
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            monkeypatch.delenv(name, raising=False)
        return made

    monkeypatch.setattr(Tracking.client, "func", forgotten)


def note_of(home):
    """The artifact as it is fetched, and where it lies."""
    tracking = Tracking(home)
    run = tracking.find_run("tiny", "key")
    file = tracking.fetch(tracking.artifact_uri(run, "note.txt"), home.path / "fetched")
    return file.read_text(), local_path(tracking.location_of_artifact(f"runs:/{run}/note.txt"))


def test_a_home_that_was_moved_finds_its_artifacts_and_says_so_once(home, tmp_path, capsys):
    assert settle_places(home) is None
    moved = Home(home.path.rename(tmp_path / "second"))
    assert [str(place) for place in earlier_places(moved)] == [str(home.artifacts)]
    assert note_of(moved)[0] == "kept" and note_of(moved)[1].is_relative_to(moved.path)
    assert f"this home was in {home.path} before" in capsys.readouterr().err.replace("\n", "")
    back = Home(moved.path.rename(home.path))
    assert note_of(back)[0] == "kept" and settle_places(back) is None


def test_what_a_copy_does_is_not_done_to_the_home_it_was_copied_from(home, tmp_path):
    before = sorted(home.path.rglob("*"))
    copy = Home(shutil.copytree(home.path, tmp_path / "copy"))
    tracking = Tracking(copy)
    tracking.log_text(tracking.open_run("tiny", "another key", "run", {}), "of the copy", "note.txt")
    assert note_of(copy)[1].is_relative_to(copy.path) and len(list(copy.artifacts.rglob("note.txt"))) == 2
    assert sorted(home.path.rglob("*")) == before and settle_places(home) is None


@pytest.fixture
def unstored(tmp_path, empty_database):
    """A home with a run whose training has stored nothing yet."""
    home = Home(tmp_path / "first")
    home.path.mkdir()
    shutil.copy(empty_database, home.path / "mlflow.db")
    Tracking(home).open_run("tiny", "key", "run", {})
    return home


def test_a_home_that_moved_before_anything_was_stored_stores_where_it_lies_now(unstored, tmp_path):
    moved = Home(unstored.path.rename(tmp_path / "second"))
    tracking = Tracking(moved)
    tracking.log_text(tracking.find_run("tiny", "key"), "kept", "note.txt")
    assert note_of(moved)[1].is_relative_to(moved.path) and not unstored.path.exists()


@pytest.mark.parametrize("with_folder", [True, False])  # earlier homes have none
def test_a_copy_made_before_anything_was_stored_lets_the_old_home_be(unstored, tmp_path, with_folder):
    if not with_folder:
        shutil.rmtree(unstored.artifacts)
    before = sorted(unstored.path.rglob("*"))
    copy = Home(shutil.copytree(unstored.path, tmp_path / "copy"))
    tracking = Tracking(copy)
    tracking.log_text(tracking.find_run("tiny", "key"), "of the copy", "note.txt")
    assert note_of(copy)[1].is_relative_to(copy.path)
    assert sorted(unstored.path.rglob("*")) == before and settle_places(unstored) is None


def test_one_home_by_two_names_stays_as_it_is(home, tmp_path):
    (tmp_path / "link").symlink_to(home.path)
    assert earlier_places(Home(tmp_path / "link")) == () and note_of(Home(tmp_path / "link"))[0] == "kept"


def test_an_experiment_of_somebody_else_and_one_whose_artifacts_are_not_here_keep_their_places(home, tmp_path):
    tracking, elsewhere = Tracking(home), tmp_path / "disk" / "artifacts"
    for name in ("theirs", "big"):
        tracking.client.create_experiment(name, (elsewhere / name).as_uri())
    (home.artifacts / "theirs").mkdir()  # no run of ours is in it
    tracking.open_run("big", "key", "run", {})  # nothing of it is in this home
    assert earlier_places(home) == () and settle_places(home) is None
    assert tracking.client.get_experiment_by_name("theirs").artifact_location == (elsewhere / "theirs").as_uri()


def test_a_database_that_is_gone_is_not_made_anew_beside_the_artifacts_it_listed(home):
    (home.path / "mlflow.db").unlink()
    with pytest.raises(InfraError, match=r"mlflow.db is gone, though .*restore it from a copy.*nothing was made"):
        _ = Tracking(home).client
    assert not (home.path / "mlflow.db").exists()


def test_a_database_that_cannot_be_read_is_named_and_kept(home):
    (home.path / "mlflow.db").write_bytes(b"no database at all, and long enough to be read as one" * 40)
    with pytest.raises(InfraError, match=r"mlflow.db cannot be read .*keep this one"):
        _ = Tracking(home).client


def test_a_whole_database_that_cannot_be_opened_is_not_to_be_replaced_by_a_copy(home, monkeypatch):
    def refused(*_, **__):
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(moved_home.sqlite3, "connect", refused)
    with pytest.raises(InfraError, match=r"mlflow.db cannot be read .*check the path and its permissions$"):
        earlier_places(home)


def test_a_path_that_a_record_names_lies_where_the_home_lies_now(home, tmp_path):
    page = home.path / "runs" / "key" / "report" / "report.html"
    page.parent.mkdir(parents=True)
    page.touch()
    assert home.locate(page) == page
    assert home.locate("/another/home/runs/key/report/report.html") == page
    assert str(home.locate("/another/home/runs/other/report.html")) == "/another/home/runs/other/report.html"


def test_a_page_that_a_copys_own_ledger_names_is_not_looked_for_in_the_home_it_was_copied_from(tmp_path, monkeypatch):
    monkeypatch.delenv("TUNEKEEPER_LEDGER_URL", raising=False)
    copy, recorded = Home(tmp_path / "copy"), tmp_path / "docs" / "first" / "runs" / "key" / "report" / "report.html"
    recorded.parent.mkdir(parents=True)
    recorded.touch()
    assert copy.locate_page(recorded) == copy.run("key") / "report" / "report.html"
    assert copy.locate(recorded) == recorded, "of MLflow's artifacts some lie elsewhere on purpose"
    assert copy.locate_page("") == Path() and copy.locate_page("/disk/page.html") == Path("/disk/page.html")
    monkeypatch.setenv("TUNEKEEPER_LEDGER_URL", "postgresql+psycopg2://db/ledger")  # other homes write to it
    assert copy.locate_page(recorded) == recorded


def test_a_database_of_another_home_whose_name_only_begins_alike_is_not_this_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/home-two/mlflow.db")
    assert not Home(tmp_path / "home").tracks_here and Home(tmp_path / "home-two").tracks_here


def test_a_table_that_this_mlflow_lacks_is_passed_over(home, tmp_path):
    with closing(sqlite3.connect(home.path / "mlflow.db")) as database:
        database.execute("alter table logged_models rename to models_of_another_version")
    moved = Home(home.path.rename(tmp_path / "second"))
    assert settle_places(moved) is not None and earlier_places(moved) == ()
