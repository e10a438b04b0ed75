"""A file that is replaced is whole, old or new, whatever happens on the way."""

import errno
import hashlib
import json

import pytest

from configs.errors import InfraError
from tasks.common.files import file_sha256, replaced_file, write_json, write_new_files
from tasks.common.workspace import world_faults


def test_a_file_takes_the_place_of_another_at_the_end_of_the_block(tmp_path):
    place = tmp_path / "deep" / "a.txt"
    for text in ("first", "second"):
        with replaced_file(place, durable=True) as aside:
            aside.write_text(text)
            assert not place.exists() or place.read_text() == "first"
        assert place.read_text() == text
    assert [file.name for file in place.parent.iterdir()] == ["a.txt"]


def test_of_a_block_that_fails_nothing_is_left(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(RuntimeError), replaced_file(tmp_path / "a.json") as aside:
        aside.write_text("half")
        raise RuntimeError
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1} and len(list(tmp_path.iterdir())) == 1


def test_a_hash_is_of_all_bytes(tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(256)) * 4096)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(bytes(range(256)) * 4096).hexdigest()


def test_new_files_are_written_all_or_none_and_never_over_another(tmp_path):
    write_new_files({tmp_path / "a": "1", tmp_path / "b": "2"})
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": "1", "b": "2"}
    with pytest.raises(FileExistsError):
        write_new_files({tmp_path / "c": "3", tmp_path / "b": "4"})
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": "1", "b": "2"}


def test_new_files_are_written_whole_on_a_disk_without_hard_links_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    test_new_files_are_written_all_or_none_and_never_over_another(tmp_path)


@pytest.mark.parametrize(("number", "remedy"), [(errno.EFBIG, "limit on the size of files"), (errno.ENOSPC, "free space there")])
def test_a_disk_that_takes_no_more_is_told_with_what_helps(tmp_path, number, remedy):
    with pytest.raises(InfraError, match=remedy), world_faults(tmp_path):
        raise OSError(number, "File too large")
