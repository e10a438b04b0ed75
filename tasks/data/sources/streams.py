"""The bytes of a file as a stream, wherever it lies and whatever it is packed with; what a packed file may grow to is bounded."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from configs.errors import InputError
from tasks.data.sources.chunk import library_text
from tasks.data.sources.formats import PACKED, foreign_remedy, packing_of
from tasks.data.sources.source_files import File

if TYPE_CHECKING:
    import pyarrow as pa

MOST_TIMES = 200  # as large as what was read of the packed file: texts pack to a tenth or so, logs to a fiftieth
_BLOCK = 1 << 16  # bytes that are unpacked at once
_PEEKED = 4096  # bytes of a beginning that is looked at
_XZ_MEMORY = 1 << 28  # bytes that a file of xz may ask for to be unpacked; `xz -9` asks for a quarter of it
ALWAYS = 64 << 20  # bytes that any packed file may grow to
_GZIP = b"\x1f\x8b"
_MAGIC = {
    _GZIP: ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"BZh": ".bz2", b"PK\x03\x04": ".zip", b"PAR1": ".parquet",
    b"\xd0\xcf\x11\xe0": ".xls", b"\xfd7zXZ\x00": ".xz", b"\x04\x22\x4d\x18": ".lz4", b"7z\xbc\xaf\x27\x1c": ".7z",
    b"Rar!\x1a\x07": ".rar",
}  # fmt: skip


@contextmanager
def open_packed(file: File, seeks: bool = True) -> Iterator[BinaryIO]:
    """The bytes as they lie there."""
    if file.is_local:
        with Path(file.path).open("rb") as stream:
            yield stream
        return
    from tasks.data.sources import remote

    with remote.open_remote(file.path, seeks) as stream:
        yield stream


@contextmanager
def open_text(file: File) -> Iterator[BinaryIO]:
    """The bytes of a file of lines, unpacked.

    InputError where it is damaged, is packed and does not say so, or unpacks to more than MOST_TIMES its size.
    """
    codec = packing_of(file.name)
    with open_packed(file, seeks=False) as stream:
        lying = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
        start = lying.peek(_PEEKED)[:_PEEKED]
        if codec is None or (codec == "gzip" and not file.is_local and _is_unpacked(start)):
            _check_not_packed(file, start)
            yield lying
        else:
            with io.BufferedReader(_DecompressedStream(lying, codec, file.path), 1 << 20) as unpacked:
                yield unpacked


def check_growth(path: str, packed: int, plain: int) -> None:
    """Refuse a file that claims to hold far more than its size; both in bytes."""
    if plain > ALWAYS + MOST_TIMES * packed:
        raise InputError(
            f"{path}: unpacks to more than {MOST_TIMES} times its size, which no table of texts does: unpack it yourself and look, "
            "then name the unpacked file"
        )


def _is_unpacked(start: bytes) -> bool:
    """Whether a server unpacked a file on its way (Content-Encoding: gzip), so that its name says what it no longer is."""
    return bool(start) and not start.startswith(_GZIP) and b"\0" not in start


def _check_not_packed(file: File, start: bytes) -> None:
    for magic, end in _MAGIC.items():
        if not start.startswith(magic):
            continue
        if end == ".zip" and (b"[Content_Types].xml" in start or b"xl/" in start):
            end = ".xlsx"
        remedy = f"name it {PurePosixPath(file.name).name}{end}" if end in PACKED else f"name it {end}"
        remedy = foreign_remedy(end) or remedy
        raise InputError(f"{file.path}: is a {end} file by its first bytes, and is read as {file.format}: {remedy}")


class _CountingStream:
    """The stream that a decompressor reads from; it counts the bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.read_bytes, self.closed = stream, 0, False

    def read(self, size: int = -1) -> bytes:
        block = self.stream.read(size)
        self.read_bytes += len(block)
        return block

    def close(self) -> None:
        self.closed = True


class _DecompressedStream(io.RawIOBase):
    def __init__(self, stream: BinaryIO, codec: str, path: str) -> None:
        self._path, self._codec, self._given = path, codec, 0
        self._packed = _CountingStream(stream)
        self._plain = _open_decompressor(self._packed, codec)

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        try:
            block = self._plain.read(len(target))
        except (EOFError, ValueError, zlib.error, lzma.LZMAError, OSError) as error:
            if isinstance(error, OSError) and (error.errno is not None or type(error) not in (OSError, gzip.BadGzipFile)):
                raise
            raise InputError(
                f"{self._path}: is no whole {self._codec} file ({library_text(error)}): pack or copy it again"
            ) from error
        self._given += len(block)
        check_growth(self._path, self._packed.read_bytes, self._given)
        target[: len(block)] = block
        return len(block)


class _Bz2Members:
    """The members of a bz2 file; `bz2.BZ2File` ends in silence where the beginning of one is damaged, and loses the rest."""

    def __init__(self, packed: _CountingStream) -> None:
        self._packed, self._member, self._held = packed, self._begin_member(), b""

    def _begin_member(self) -> bz2.BZ2Decompressor | lzma.LZMADecompressor:
        return bz2.BZ2Decompressor()

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        while True:
            if self._member.eof:
                self._held = self._rest_after_member()
                if not self._held:
                    return b""
                self._member = self._begin_member()
            packed = b""
            if self._member.needs_input:
                packed, self._held = self._held or self._packed.read(_BLOCK), b""
                if not packed:
                    raise EOFError("it ends within a member")
            if block := self._member.decompress(packed, size):
                return block

    def _rest_after_member(self) -> bytes:
        """The bytes after a member without leading zeros; empty at the end."""
        rest = self._member.unused_data.lstrip(b"\0")
        while not rest and (block := self._packed.read(_BLOCK)):
            rest = block.lstrip(b"\0")
        return rest


class _XzMembers(_Bz2Members):
    """The members of an xz file."""

    def _begin_member(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _open_decompressor(packed: Any, codec: str) -> gzip.GzipFile | _Bz2Members | pa.CompressedInputStream:
    """A reader over all members of a file, empty ones too, and over the zeros that fill up its last block."""
    match codec:
        case "gzip":
            return gzip.GzipFile(fileobj=packed, mode="rb")
        case "bz2":
            return _Bz2Members(packed)
        case "xz":
            return _XzMembers(packed)
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), codec)
