"""The installation's key."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from configs.errors import InputError
from tasks.data.redaction.key import key_id, redaction_key


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: redaction_key(tmp_path, {}), range(16)))
    assert len(keys) == 1 and len(keys.pop()) == 32
    assert (tmp_path / "redaction.key").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["redaction.key"]


def test_the_environment_overrides_the_file(tmp_path):
    key = redaction_key(tmp_path, {"TUNEKEEPER_REDACTION_KEY": "a secret of some length"})
    assert not (tmp_path / "redaction.key").exists()
    assert key == redaction_key(tmp_path / "elsewhere", {"TUNEKEEPER_REDACTION_KEY": "a secret of some length"})


def test_a_short_secret_or_a_damaged_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="at least 16"):
        redaction_key(tmp_path, {"TUNEKEEPER_REDACTION_KEY": "short"})
    for damaged in (b"abc", b"\xff" * 64):
        (tmp_path / "redaction.key").write_bytes(damaged)
        with pytest.raises(InputError, match="holds no key"):
            redaction_key(tmp_path, {})


def test_the_key_id_names_the_key_without_telling_it():
    assert key_id(b"a" * 32) != key_id(b"b" * 32)
    assert len(key_id(b"a" * 32)) == 12 and key_id(b"a" * 32) not in (b"a" * 32).hex()
