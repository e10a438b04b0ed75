"""Reads format and compression of a file from its name."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from configs.errors import InputError

Format = Literal["csv", "jsonl", "parquet", "xlsx", "hf", "table"]
SUFFIXES: dict[str, Format] = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".pq": "parquet", ".xlsx": "xlsx",
}  # fmt: skip
TABBED = (".tsv", ".tab")
PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
READABLE = "CSV or TSV, JSON (lines or an array), Parquet or XLSX, the first two also as .gz, .zst, .bz2 or .xz"
_REMEDIES = {
    ".zip": "unpack it", ".7z": "unpack it", ".rar": "unpack it", ".tar": "unpack it", ".tgz": "unpack it",
    ".xls": "save it as .xlsx", ".xlsm": "save it as .xlsx", ".ods": "save it as .xlsx",
    ".lz4": "pack it as .gz or .zst", ".lzma": "pack it as .gz or .zst",
    ".txt": "name it .csv or .tsv if it holds a table",
}  # fmt: skip


def format_suffix(name: str) -> str:
    """The last suffix that tells the format, in lower case: `.csv` of `a.csv` and of `a.csv.gz`."""
    path = PurePosixPath(name.lower())
    return PurePosixPath(path.stem).suffix if path.suffix in PACKED else path.suffix


def packing_of(name: str) -> str | None:
    """The name of a file's compression; None for a plain file."""
    return PACKED.get(PurePosixPath(name.lower()).suffix)


def format_of(name: str, format: str) -> Format | None:
    """The format of a file where `data.format` is `format`; None where it cannot be told, or cannot be read."""
    known = SUFFIXES.get(format_suffix(name)) if format == "auto" else SUFFIXES[f".{format}"]
    return None if packing_of(name) and known in ("parquet", "xlsx") else known


def foreign_remedy(end: str) -> str | None:
    """What to do about a file of a kind that is read in no way; None for any other."""
    return None if end == ".txt" else _REMEDIES.get(end)


def is_data(name: str, format: str) -> bool:
    """Whether a file of a folder is read where `data.format` is `format`."""
    known = format_of(name, "auto")
    return known is not None and (format == "auto" or known == SUFFIXES[f".{format}"])


def remedy_for(name: str, format: str) -> str:
    """What to do about a file that is not read."""
    if format_of(name, "auto") is not None:
        return f"data.format is {format}: set it to auto to read it too"
    if packing_of(name) and SUFFIXES.get(format_suffix(name)) in ("parquet", "xlsx"):
        return "unpack it: that format is packed in itself"
    ends = (PurePosixPath(name.lower()).suffix, format_suffix(name))
    return next((_REMEDIES[end] for end in ends if end in _REMEDIES), f"rows are read from {READABLE}")


def unknown_format(path: str, name: str) -> InputError:
    """The error for a file that was named and whose format cannot be told; an address may end otherwise than the file's name."""
    end = PurePosixPath(name).suffix or name
    other = "" if foreign_remedy(end.lower()) else "; or set data.format to csv, jsonl or parquet"
    return InputError(f"{path}: its format cannot be told from `{end}`: {remedy_for(name, 'auto')}{other}")
