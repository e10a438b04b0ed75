"""Find credentials in URLs, so that configs refuse them, and mask them in every text that leaves the process.

It imports the standard library alone, as errors and the schema use it. Of `SCHEME://USER:PASSWORD@HOST/...?KEY=VALUE#...` what
stands before the host goes (of http a user alone too, for tokens are written so), and the value of every key in query, fragment or
a connection string whose name says that it is secret. Passwords whose characters should have been percent-encoded go too.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import unquote

T = TypeVar("T")
MASK = "***"
LONGEST = 1000  # characters of a login or a value: a longer run is neither, so each match takes a bounded time
_SECRET_WORDS = "password|passwd|passphrase|pwd|secret|apikey|accesskey|privatekey|accountkey|authkey|signature|credential"  # noqa: S105
# Tokens of a listing's pages and of a tokenizer are no secrets.
_PLAIN_TOKENS = ("page", "next", "continuation", "pagination", "sync", "pad", "eos", "bos", "unk", "sep", "cls", "mask")
_TOKEN = "".join(f"(?<!{name})" for name in _PLAIN_TOKENS) + r"token\d*$"
_SECRET_NAME = re.compile(rf"(?:{_SECRET_WORDS})(?!s$)|{_TOKEN}|^(?:pass|pw|pat|sig|auth|key|jwt|sas|authorization)$")
_ASSIGNED_NAME = re.compile(r"password|passwd|passphrase|secret|apikey|accesskey|privatekey|accountkey|authstring")
_WEB = ("https", "http", "wss", "ws", "ftps", "ftp")
_PASSWORD = rf"(?:[^\s\"<>]{{0,{LONGEST}}}@|(?:(?!\",\"|\":\")[^\s@]){{0,{LONGEST}}}@)"
# A port: of the web where a path or the end follows, of others where a quote ends the address and another value follows.
_ENDED = rf"(?:[/?#][^\s@\"']{{0,{LONGEST}}})?(?:\"[\])}}]{{0,9}}[,:]|'[\])}}]{{0,9}},\s?')"
_PORT = rf"[0-9]{{1,5}}(?:{_ENDED}|(?(web)(?:[/?#]|$)|(?!)))"
_LOGIN = re.compile(
    rf"(?:(?P<web>{'|'.join(_WEB)})|{''.join(f'(?<!{name})' for name in _WEB)})://(?!\[)"
    rf"(?:[^\s@/?#:\"<>]{{0,{LONGEST}}}:(?!{_PORT}){_PASSWORD}|(?(web)[^\s@/?#:\"<>]{{1,{LONGEST}}}@|(?!)))",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?P<start>[?&;#]|(?<![\w%.\-/]))(?P<name>[\w%.\-]{1,100})\s?=\s?")  # a/NAME=1/b.csv is a folder of a partition
_VALUE = re.compile(
    rf"(?P<quote>\\{{0,9}}[\"'])(?!,\s?[\"']|[\]}}])(?:(?!(?P=quote))(?:\\[\s\S]|[^\\])){{1,{LONGEST}}}(?P=quote)"
    rf"|(?:\\{{0,9}}\"(?!,\s?[\"']|[\]}}]))?(?:(?!',')[^\s&\"<>]){{1,{LONGEST}}}"
)
_DATABASE = re.compile(rf"(?!(?:{'|'.join(_WEB)})://)[A-Za-z][\w+.\-]*://", re.IGNORECASE)
_WEBHOOK = re.compile(
    r"((?:hooks\.slack\.com/(?:services|workflows)|discord(?:app)?\.com/api/webhooks|webhook\.office\.com|api\.telegram\.org)/)"
    rf"[^\s\"<>]{{1,{LONGEST}}}",
    re.IGNORECASE,
)  # their path is the secret
_AFTER = "'),.;:]}`"  # what follows a URL in a sentence, and is no part of it


def without_credentials(text: str) -> str:
    """The text with MASK in the place of every credential of a URL or a connection string in it."""
    if "://" in text:
        text = _LOGIN.sub(lambda login: f"{login['web'] or ''}://{MASK}@", text)
        text = _WEBHOOK.sub(rf"\g<1>{MASK}", text)
    parts, end = [], 0
    for start, stop, _ in _secret_values(text):
        parts += [text[end:start], MASK]
        end = stop
    return "".join([*parts, text[end:]])


def credential_in(text: str) -> str | None:
    """The kind of credential in a text, in words without it; None where there is none."""
    address = _login_search_text(text)
    if (login := _LOGIN.search(address)) is not None:
        return "a password before its @" if ":" in login[0].partition("://")[2] else "a token before its @"
    if _WEBHOOK.search(address) is not None:
        return "the path of a webhook"
    name = next((name for _, _, name in _secret_values(text)), None)
    return None if name is None else f"a credential in its part `{name}`"


def mask_value(value: str) -> str:
    """A value of a config or a command as an error shows it: its credentials masked, those with spaces too."""
    if any(map(str.isspace, value)) and _DATABASE.match(value.strip()) and _LOGIN.search(_login_search_text(value)) is not None:
        scheme, _, rest = value.partition("://")
        value = f"{scheme}://{MASK}@{rest.rpartition('@')[2]}"
    return without_credentials(value)


def remedy_for(text: str) -> str:
    """Where a credential belongs instead, by the kind of address."""
    scheme = text.partition("://")[0].strip().lower()
    if scheme.startswith(("postgres", "redshift", "cockroach")):
        login = "user and password come from PGUSER and PGPASSWORD, ~/.pgpass or PGSERVICE"
        return f"write postgresql+psycopg2://HOST/DATABASE/TABLE; {login}"
    if scheme == "hf":
        return "the hub's token comes from HF_TOKEN in the environment"
    if scheme.startswith("s3"):
        return "the keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or from ~/.aws"
    return "give it by the environment of the process"


def clean_value(value: T) -> T:
    """A plain value (texts, mappings, lists, tuples) whose texts are without credentials."""
    return _clean_nested_value(value)  # type: ignore[no-any-return]


def refused_pattern() -> str:
    """A pattern of JSON Schema that texts without credentials match: a server refuses others before it keeps them.

    It finds less than `credential_in`, as several dialects of regular expressions have to read it.
    """
    login = r"""://[^\s@/?#:"<>\[]{0,999}:(?![0-9]{1,5}[/?#"'])[^\s"<>]{0,999}@"""
    words = _any_word("password", "passwd", "passphrase", "pwd", "secret", "apikey", "api_key", "api-key")
    before, after = r"[A-Za-z0-9_.-]{0,40}", r"([_.-]?[A-RT-Za-rt-z0-9][A-Za-z0-9_.-]{0,40})?"
    owners = _any_word("access", "auth", "security", "refresh", "api", "bearer", "session", "sas", "private", "client", "hf", "hub")
    token = rf"({before}{owners}[_.-]?)?{_any_word('token')}"
    assignment = rf"""[?&;#]({before}{words}{after}|{token}|{_any_word("pass")})=[^\s&"'<>]"""
    port = r"""(\s*[0-9]){1,5}\s*[/?#"']"""
    spaced = rf"""\s*(?!{_any_word(*_WEB)}://)[A-Za-z][A-Za-z0-9_+.-]*://[^@/?#:"<>\[]{{0,999}}:(?!{port})[^"<>]{{0,999}}@"""
    return rf"^(?!{spaced}|.*({login}|{assignment}))"


class CleanLogRecord(logging.LogRecord):
    """A record of a log whose message, arguments and traceback are without credentials."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.args = _clean_nested_value(self.args)
        if self.exc_info and self.exc_info[0] is not None:
            self.exc_text = without_credentials("".join(traceback.format_exception(*self.exc_info)).rstrip("\n"))

    def getMessage(self) -> str:  # noqa: N802  (the name is logging's)
        return without_credentials(super().getMessage())


def show_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of an uncaught error without credentials: `sys.excepthook`."""
    sys.stderr.write(without_credentials("".join(traceback.format_exception(kind, error, trace))))


def _any_word(*words: str) -> str:
    """A pattern of any of these words, in upper or lower case."""
    return f"({'|'.join(''.join(f'[{each.upper()}{each}]' if each.isalpha() else each for each in word) for word in words)})"


def _login_search_text(text: str) -> str:
    """The text to search for a login: of a database's address without spaces, which a login may hold."""
    return "".join(text.split()) if _DATABASE.match(text.strip()) else text


def _clean_nested_value(value: Any) -> Any:
    if isinstance(value, str):
        return without_credentials(value)
    if type(value) is dict:
        return {_clean_nested_value(name): _clean_nested_value(each) for name, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_clean_nested_value(each) for each in value)
    return value


def _secret_values(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and name of each secret value; in a query more names are secret than in a sentence."""
    end = 0
    for match in _NAME.finditer(text) if "=" in text else ():
        name = re.sub(r"[^a-z0-9]", "", unquote(match["name"]).lower())
        if match.start() < end or not (_SECRET_NAME if match["start"] else _ASSIGNED_NAME).search(name):
            continue
        value = _VALUE.match(text, match.end())
        if value is not None:
            end = match.end() + len(value[0] if value["quote"] else value[0].rstrip(_AFTER) or value[0])
            yield match.end(), end, match["name"]
