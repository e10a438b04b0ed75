"""The bytes of a file as a stream, wherever it lies and whatever it is packed with; what a packed file may grow to is bounded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from configs.errors import InputError
from tasks.text.formats import packing
from tasks.text.sources import File

MOST_TIMES = 200  # as large as what was read of the packed file: texts pack to a tenth or so, logs to a fiftieth
ALWAYS = 64 << 20  # bytes that any packed file may grow to
_MAGIC = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"BZh": ".bz2", b"PK\x03\x04": ".zip", b"PAR1": ".parquet"}


@contextmanager
def open_packed(file: File, seeks: bool = True) -> Iterator[BinaryIO]:
    """The bytes as they lie there."""
    if file.is_local:
        with Path(file.path).open("rb") as stream:
            yield stream
        return
    from tasks.text import remote

    with remote.opened(file.path, seeks) as stream:
        yield stream


@contextmanager
def open_text(file: File) -> Iterator[BinaryIO]:
    """The bytes of a file of lines, unpacked.

    InputError where it is damaged, is packed and does not say so, or unpacks to more than MOST_TIMES its size.
    """
    codec = packing(file.name)
    with open_packed(file, seeks=False) as stream:
        if codec is None:
            plain = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
            _check_plain(file.path, plain.peek(4)[:4])
            yield plain
        else:
            with io.BufferedReader(_Unpacked(stream, codec, file.path), 1 << 20) as unpacked:
                yield unpacked


def check_growth(path: str, packed: int, plain: int) -> None:
    """Refuse what claims to hold far more than it is large; both in bytes."""
    if plain > ALWAYS + MOST_TIMES * packed:
        raise InputError(
            f"{path}: unpacks to more than {MOST_TIMES} times its size, which no table of texts does: unpack it yourself and look, "
            "then name the unpacked file"
        )


def _check_plain(path: str, start: bytes) -> None:
    for magic, end in _MAGIC.items():
        if start.startswith(magic):
            raise InputError(f"{path}: is a {end} file by its first bytes, and its name says another: name it {end}")


class _Counted:
    """What pyarrow reads from; it says how much was read."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.read_bytes, self.closed = stream, 0, False

    def read(self, size: int = -1) -> bytes:
        block = self.stream.read(size)
        self.read_bytes += len(block)
        return block

    def close(self) -> None:
        self.closed = True


class _Unpacked(io.RawIOBase):
    def __init__(self, stream: BinaryIO, codec: str, path: str) -> None:
        import pyarrow as pa

        self._path, self._codec, self._given = path, codec, 0
        self._packed = _Counted(stream)
        self._plain: Any = pa.CompressedInputStream(pa.PythonFile(self._packed, mode="r"), codec)

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        import pyarrow as pa

        try:
            block = self._plain.read(len(target))
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise InputError(f"{self._path}: is no whole {self._codec} file ({str(error)[:200]}): pack or copy it again") from error
        self._given += len(block)
        check_growth(self._path, self._packed.read_bytes, self._given)
        target[: len(block)] = block
        return len(block)
