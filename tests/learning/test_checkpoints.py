"""A checkpoint is valid or absent, and one that is neither is dropped, saying so."""

import pytest

from tasks.common.files import atomic_folder, is_valid
from tasks.learning.checkpoints import CHECKPOINTS_KEPT, REQUIRED, in_order, keep_newest, newest_valid


def make(run, step, files=REQUIRED):
    with atomic_folder(run / f"checkpoint-{step}") as aside:
        for name in files:
            (aside / name).write_text(f"{name} of step {step}" * 20)
    return run / f"checkpoint-{step}"


@pytest.fixture
def said():
    return []


def test_a_folder_appears_whole_under_its_name(tmp_path):
    with atomic_folder(tmp_path / "deep" / "made") as aside:
        (aside / "a").write_text("a")
        (aside / "below").mkdir()
        (aside / "below" / "b").write_text("b")
        assert not (tmp_path / "deep" / "made").exists()
    assert is_valid(tmp_path / "deep" / "made") is None
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["made"]


def test_a_block_that_fails_leaves_what_was_there_before(tmp_path):
    make(tmp_path, 1)
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "checkpoint-1") as aside:
        (aside / "half").write_text("half")
        raise RuntimeError
    assert is_valid(tmp_path / "checkpoint-1", REQUIRED) is None and [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"]


def test_a_second_writing_replaces_the_first(tmp_path):
    make(tmp_path, 1)
    with atomic_folder(tmp_path / "checkpoint-1") as aside:
        (aside / "new").write_text("new")
    assert {file.name for file in (tmp_path / "checkpoint-1").iterdir()} == {"new", "manifest.json"}


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_truncated_or_missing_file_sends_training_back_to_the_checkpoint_before(tmp_path, said, name):
    good, cut, gone = (make(tmp_path, step) for step in (9, 10, 100))
    (cut / name).write_bytes((cut / name).read_bytes()[:-7])
    (gone / name).unlink()
    assert newest_valid(tmp_path, said.append) == good
    assert f"checkpoint-100: {name} is gone; falling back" in said[0] and f"checkpoint-10: {name} is damaged" in said[1]
    assert in_order(tmp_path) == [good]


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_checkpoint_that_was_written_without_one_of_its_parts_is_none(tmp_path, said, name):
    make(tmp_path, 5, REQUIRED - {name})
    assert newest_valid(tmp_path, said.append) is None and said == [
        f"checkpoint checkpoint-5: without {name}; falling back to the one before it"
    ]


def test_a_manifest_that_is_gone_or_half_written_makes_no_checkpoint(tmp_path, said):
    (make(tmp_path, 1) / "manifest.json").unlink()
    (make(tmp_path, 2) / "manifest.json").write_text('{"trainable.safetens')
    assert newest_valid(tmp_path, said.append) is None and all("no readable manifest.json" in sentence for sentence in said)


def test_what_a_killed_writer_left_is_swept_away(tmp_path, said):
    left = tmp_path / ".checkpoint-7.4242.tmp"
    (left / "checkpoint-7").mkdir(parents=True)
    kept = make(tmp_path, 3)
    assert newest_valid(tmp_path, said.append) == kept and not left.exists() and said == []


def test_a_run_that_never_was_has_no_checkpoint(tmp_path, said):
    assert newest_valid(tmp_path / "absent", said.append) is None and said == []


def test_the_newest_are_kept_by_their_step_not_their_spelling(tmp_path):
    for step in (8, 9, 10, 100):
        make(tmp_path, step)
    keep_newest(tmp_path)
    assert [path.name for path in in_order(tmp_path)] == ["checkpoint-10", "checkpoint-100"] and CHECKPOINTS_KEPT == 2


def test_the_same_written_again_leaves_what_others_are_reading_and_mends_what_was_damaged(tmp_path):
    made = make(tmp_path, 1)
    before = made.stat().st_ino
    assert make(tmp_path, 1).stat().st_ino == before and not list(tmp_path.glob(".*"))
    (made / "scheduler.pt").write_text("damaged")
    assert is_valid(make(tmp_path, 1), REQUIRED) is None
