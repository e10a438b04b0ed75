"""A working folder never outlives its owner."""

import fcntl
import shutil

import pytest

from configs.errors import InfraError
from tasks.common.workspace import remove_orphans, workspace, world_faults


def test_the_folder_goes_at_the_end_even_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), workspace(tmp_path, "w-") as folder:
        (folder / "file").write_text("x")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_a_living_owners_folder_is_not_swept_and_a_dead_ones_is(tmp_path):
    with workspace(tmp_path, "w-") as folder:
        for name in ("w-dead", "w-killed-before-it-was-locked"):
            (tmp_path / name).mkdir()
        (tmp_path / "w-dead" / ".lock").touch()
        assert remove_orphans(tmp_path, "w-") == 2 and folder.is_dir()


def test_a_folder_is_swept_by_whoever_holds_its_lock_though_it_had_none(tmp_path, monkeypatch):
    remove, seen = shutil.rmtree, []

    def removed(folder, **options):  # as its owner sees it, who comes to lock it at this very moment
        with (folder / ".lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        seen.append(folder.name)
        remove(folder, **options)

    (tmp_path / "w-not-locked-yet").mkdir()
    monkeypatch.setattr(shutil, "rmtree", removed)
    assert remove_orphans(tmp_path, "w-") == 1 and seen == ["w-not-locked-yet"] and not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_gone_when_the_next_one_begins(tmp_path):
    (tmp_path / "w-dead").mkdir()
    (tmp_path / "w-dead" / ".lock").touch()
    with workspace(tmp_path, "w-") as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_a_fault_of_the_disk_is_told_with_its_place(tmp_path):
    with pytest.raises(InfraError, match="No such file"), world_faults(tmp_path):
        (tmp_path / "none" / "x").write_text("x")
