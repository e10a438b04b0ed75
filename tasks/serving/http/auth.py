"""API keys, each with a name and the roles that it has."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from configs.errors import InputError

VARIABLE = "TUNEKEEPER_API_KEYS"
SHORTEST_KEY = 16
KEY_HEADERS = (b"authorization", b"x-api-key")
Role = Literal["ask", "feedback", "audit", "metrics"]
ROLES: tuple[Role, ...] = get_args(Role)
PLAIN: frozenset[Role] = frozenset({"ask", "feedback"})  # the roles of a key that names none
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
_KEY = re.compile(r"[A-Za-z0-9_.~+/=:-]+")
_BARE_KEY = re.compile(r"[A-Za-z0-9_.~+/=-]+")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")
FORM = f"write it as KEY or as name:role+role:KEY, the roles being {', '.join(ROLES)}; `openssl rand -hex 32` makes a key"


@dataclass(frozen=True)
class Caller:
    """The sender of a request: the name of its key, and the roles that it has."""

    name: str
    roles: frozenset[Role]


@dataclass(frozen=True)
class Key:
    """One entry of the variable; only the hash of the key is held."""

    caller: Caller
    digest: bytes = field(repr=False)


class Keys:
    """The API keys of an installation; a key is compared with the hashes of all, in a time that reveals nothing."""

    def __init__(self, keys: tuple[Key, ...] = ()) -> None:
        self._keys = keys

    def __bool__(self) -> bool:
        return bool(self._keys)

    @property
    def callers(self) -> tuple[Caller, ...]:
        return tuple(key.caller for key in self._keys)

    def caller(self, api_key: bytes | None) -> Caller | None:
        """The caller that a key belongs to; None for an unknown key."""
        digest = hashlib.sha256(api_key or b"").digest()
        matching = [key.caller for key in self._keys if hmac.compare_digest(digest, key.digest)]
        return matching[0] if matching else None


def keyless_caller(local: bool) -> Caller:
    """The caller of a service without keys: this machine may do all, other machines all but audits."""
    return Caller("anybody", frozenset(ROLES) if local else frozenset(ROLES) - {"audit"})


def read_keys(environment: Mapping[str, str]) -> Keys:
    """Keys from the environment, comma separated; InputError for an entry that is none, naming its place and never its text."""
    value = environment.get(VARIABLE, "")
    entries = [entry.strip() for entry in value.split(",") if entry.strip()]
    if value and not entries:
        raise InputError(f"{VARIABLE} is set and holds no key, so that anybody could ask: unset it where that is meant, or {FORM}")
    keys = tuple(_parse_key(entry, f"{VARIABLE}: entry {place} of {len(entries)}") for place, entry in enumerate(entries, 1))
    for place, key in enumerate(keys, 1):
        before = keys[: place - 1]
        for name, again in {
            "key": any(key.digest == earlier.digest for earlier in before),
            "name": any(key.caller.name == earlier.caller.name for earlier in before),
        }.items():
            if again:
                raise InputError(f"{VARIABLE}: entry {place} of {len(entries)} has the {name} of an earlier one: give it its own")
    return Keys(keys)


def _parse_key(entry: str, place: str) -> Key:
    if ":" not in entry:
        if not _BARE_KEY.fullmatch(entry):
            raise InputError(f"{place} holds a character that no key has: {FORM}")
        digest = _parse_digest(entry, place)
        return Key(Caller(f"key-{digest.hex()[:8]}", PLAIN), digest)
    parts = entry.split(":", 2)
    if len(parts) != 3:
        raise InputError(f"{place} has one colon: {FORM}")
    name, role_names, key = parts
    if not _NAME.fullmatch(name) or len(name) >= len(key):
        raise InputError(f"{place} does not begin with a name of up to 40 letters and digits, shorter than its key: {FORM}")
    roles = role_names.split("+")
    if unknown := [number for number, role in enumerate(roles, 1) if role not in ROLES]:
        raise InputError(f"{place}: role {unknown[0]} of {len(roles)} is none of {', '.join(ROLES)}: {FORM}")
    if not _KEY.fullmatch(key):
        raise InputError(f"{place} holds a character that no key has: {FORM}")
    return Key(Caller(name, frozenset(role for role in ROLES if role in roles)), _parse_digest(key, place))


def _parse_digest(key: str, place: str) -> bytes:
    if len(key) < SHORTEST_KEY:
        raise InputError(f"{place}: its key has fewer than {SHORTEST_KEY} characters: {FORM}")
    return hashlib.sha256(key.encode()).digest()


def key_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The key that a request carries, in either of the usual headers."""
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key")


def is_local(host: bytes) -> bool:
    """Whether a Host header names this machine by its own name: a page elsewhere that points a name of its own here does not."""
    name = host.decode("latin-1").lower()
    return (name[: name.index("]") + 1] if name.startswith("[") and "]" in name else name.partition(":")[0]) in LOOPBACK
