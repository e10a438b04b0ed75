"""The installation's redaction key: without it a placeholder can neither be read back nor guessed."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from configs.errors import InputError

VARIABLE, KEY_FILE = "TUNEKEEPER_REDACTION_KEY", "redaction.key"


def redaction_key(home: Path, environment: Mapping[str, str] = os.environ) -> bytes:
    """The 32-byte key: from the environment where set (one key on many machines), else `home`/redaction.key, made on first use.

    Raises InputError where it is gone or damaged: a new one would give every value another tag, and no id could be found again.
    """
    secret = environment.get(VARIABLE)
    if secret is not None:
        if len(secret) < 16:
            raise InputError(f"{VARIABLE} has {len(secret)} characters: set at least 16, e.g. from `openssl rand -hex 32`")
        return hashlib.sha256(secret.encode()).digest()
    path = home / KEY_FILE
    if not path.exists():
        if (sealed := redacted_snapshot(home)) is not None:
            raise InputError(
                f"{path} is gone, and {VARIABLE} is not set, though the rows of {sealed} were redacted with a key: restore it from "
                f"a copy, or set the variable as it was; where both are lost, `openssl rand -hex 32 > {path}` makes another, which "
                "changes every tag"
            )
        _create_key_file(path)
    text = path.read_text(errors="replace").strip()
    if len(text) != 64 or any(c not in "0123456789abcdef" for c in text):
        raise InputError(
            f"{path}: holds no key (64 hexadecimal digits): restore it from a copy; where there is none, "
            f"`openssl rand -hex 32 > {path}` makes another, which changes every tag"
        )
    return bytes.fromhex(text)


def redacted_snapshot(home: Path) -> Path | None:
    """A snapshot of this home whose rows were redacted, if there is one."""
    for manifest in sorted((home / "snapshots").glob("*/manifest.json")):
        with suppress(OSError, ValueError):
            if json.loads(manifest.read_bytes()).get("redactor_key_id"):
                return manifest.parent
    return None


def keys_in_use(home: Path) -> dict[str, str]:
    """Name of each pipeline of this home whose latest rows were redacted -> the id of the key that they were redacted with."""
    keys = {}
    for file in sorted((home / "index").glob("latest-*.json")):
        with suppress(OSError, ValueError, KeyError):
            latest = json.loads(file.read_bytes())
            if "redactor_key_id" not in latest:  # earlier versions noted it in the snapshot alone
                latest = json.loads((home / "snapshots" / latest["snapshot"] / "manifest.json").read_bytes())
            if latest["redactor_key_id"]:
                keys[file.stem.removeprefix("latest-")] = str(latest["redactor_key_id"])
    return keys


def key_id(key: bytes) -> str:
    """A short name of the key, safe to record: two snapshots with the same id have comparable placeholders."""
    return hashlib.sha256(b"tunekeeper key id" + key).hexdigest()[:12]


def _create_key_file(path: Path) -> None:
    """Write the key beside its place and link it there: the first process wins, and none reads half a key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        temporary.unlink()
