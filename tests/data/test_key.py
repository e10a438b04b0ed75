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


def test_a_key_that_is_gone_is_not_made_anew_under_rows_that_were_redacted_with_it(tmp_path):
    (tmp_path / "snapshots" / "abc").mkdir(parents=True)
    (tmp_path / "snapshots" / "abc" / "manifest.json").write_text('{"redactor_key_id": "0123"}')
    with pytest.raises(InputError, match=r"is gone.* the rows of .*abc were redacted.*openssl rand -hex 32 >"):
        redaction_key(tmp_path, {})
    assert not (tmp_path / "redaction.key").exists()
    (tmp_path / "redaction.key").write_text("0123456789abcdef" * 4 + "\n")  # as openssl writes one
    assert redaction_key(tmp_path, {}).hex() == "0123456789abcdef" * 4


def test_a_home_whose_rows_were_not_redacted_gets_its_first_key(tmp_path):
    (tmp_path / "snapshots" / "abc").mkdir(parents=True)
    (tmp_path / "snapshots" / "abc" / "manifest.json").write_text('{"redactor_key_id": null}')
    assert len(redaction_key(tmp_path, {})) == 32


def test_the_key_id_names_the_key_without_telling_it():
    assert key_id(b"a" * 32) != key_id(b"b" * 32)
    assert len(key_id(b"a" * 32)) == 12 and key_id(b"a" * 32) not in (b"a" * 32).hex()
