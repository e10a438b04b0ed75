"""Files that lie at an address (s3://, gs://, https://, memory://, ...), through fsspec: which there are, their state, their bytes.

Logins come from the environment or the usual files of each store (AWS_PROFILE, AWS_ENDPOINT_URL,
GOOGLE_APPLICATION_CREDENTIALS, ...); an address that holds one is refused by the schema.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from configs.errors import InfraError, InputError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure", "adl": "azure"}
WEB = ("http", "https")
_STATE = ("ETag", "etag", "md5Hash", "content_md5", "crc32c")  # what a store says of an object's content
_ERRORS = {
    "botocore.exceptions": "BotoCoreError", "aiohttp": "ClientError", "google.auth.exceptions": "GoogleAuthError",
    "azure.core.exceptions": "AzureError",
}  # fmt: skip
_BLOCK = 1 << 20


def list_files(address: str) -> tuple[list[tuple[str, str]], bool]:
    """(name, address) of the files that an address means, and whether it names them itself (a file, a pattern) or their folder.

    A name does not tell where the folder lies. InputError where there is none, InfraError where the store does not answer.
    """
    with _report_store_faults(address):
        system, path = _file_system(address)
        if urlsplit(address).scheme in WEB:
            system.info(path)
            return [(urlsplit(address).path.rpartition("/")[2] or "index", address)], True
        if system.isfile(path):
            root, files, lone = path.rpartition("/")[0], [path], True
        elif set("*?[") & set(path) and not system.isdir(path):  # a name may hold such a sign
            root, files, lone = _fixed_part(path), sorted(p for p in system.glob(path) if system.isfile(p)), True
        else:
            root, files, lone = path.rstrip("/"), sorted(system.find(path)), False
        if not files:
            raise FileNotFoundError(path)
        return [(_relative_path(name, root), str(system.unstrip_protocol(name))) for name in files], lone


def remote_digest(address: str) -> str:
    """The hash of a file's bytes, or of what its store says of them (ETag, MD5), so that an unchanged object is not read again."""
    with _report_store_faults(address):
        system, path = _file_system(address)
        info = system.info(path)
        state = [f"{name}={info[name]}" for name in _STATE if info.get(name) and not str(info[name]).startswith("W/")]
        if state:
            return hashlib.sha256("\n".join([*state, f"size={info.get('size')}"]).encode()).hexdigest()
        hashed = hashlib.sha256()
        with open_remote(address) as stream:
            while block := stream.read(_BLOCK):
                hashed.update(block)
        return hashed.hexdigest()


@contextmanager
def open_remote(address: str, seeks: bool = False) -> Iterator[BinaryIO]:
    """The bytes of a file as a stream; what `seeks` in a file of the web reads a copy, for few servers give parts of one."""
    with _report_store_faults(address):
        system, path = _file_system(address)
        if urlsplit(address).scheme not in WEB:
            with system.open(path, "rb") as stream:
                yield stream
            return
        with system.open(path, "rb", block_size=0) as stream:
            if not seeks:
                yield stream
                return
            with TemporaryFile() as copy:
                shutil.copyfileobj(stream, copy, _BLOCK)
                copy.seek(0)
                yield copy


def _file_system(address: str) -> tuple[AbstractFileSystem, str]:
    from fsspec.core import url_to_fs

    scheme = address.partition("://")[0]
    if "::" in address:
        raise InputError(f"data.source {address}: is a chain of addresses: name the file itself")
    # Else a server may pack a file on its way, or say that a .gz file is one packed so, which is then unpacked before it is seen.
    plain = {"headers": {"Accept-Encoding": "identity"}} if scheme in WEB else {}
    try:
        system, path = url_to_fs(address, **plain)
    except ImportError as error:
        extra = EXTRAS.get(scheme)
        remedy = f"pip install 'tunekeeper[{extra}]'" if extra else str(error)
        raise InfraError(f"data.source {address}: {scheme}:// needs a package that is not installed: {remedy}") from error
    except ValueError as error:
        raise InputError(
            f"data.source {address}: {scheme}:// is no kind of address that is known: write s3://, gs://, abfs:// or https://, "
            "DIALECT://HOST/DATABASE/TABLE, hf://dataset/split, or a path"
        ) from error
    system.invalidate_cache()  # what is there now, not what this process saw before
    return system, str(path)


def _fixed_part(path: str) -> str:
    parts = path.split("/")
    return "/".join(parts[: next(i for i, part in enumerate(parts) if set("*?[") & set(part))])


def _relative_path(path: str, root: str) -> str:
    return path.removeprefix(root).lstrip("/") or path.rpartition("/")[2]


@contextmanager
def _report_store_faults(address: str) -> Iterator[None]:
    """Raise a store's faults as InputError (absent, forbidden) or InfraError (no answer)."""
    try:
        yield
    except _network_errors() as error:
        # Of the web fsspec says "not found" whatever it was.
        cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ is not None else error
        refused = isinstance(cause, PermissionError) or "Credential" in type(cause).__name__
        if refused or getattr(cause, "status", None) in (401, 403):
            fault = "may not be read with the login of this environment: set the store's own variables or profile"
            raise InputError(f"data.source {address}: {fault}") from error
        absent = isinstance(cause, FileNotFoundError) or getattr(cause, "status", None) in (404, 410)
        if absent or not isinstance(cause, _network_errors()):
            raise InputError(f"data.source {address}: there is no such file or folder: correct the address") from error
        reason = f"{type(cause).__name__}: {cause}"[:200]
        raise InfraError(
            f"data.source {address}: its store does not answer ({reason}): see that it is up, then run again"
        ) from error


def _network_errors() -> tuple[type[BaseException], ...]:
    """The errors of the libraries that are loaded; they share no base."""
    loaded = ((sys.modules.get(module), name) for module, name in _ERRORS.items())
    return (OSError, *(getattr(module, name) for module, name in loaded if module is not None))
