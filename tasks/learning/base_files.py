"""Checks that the files of a base are whole, by sizes, headers and names: it imports and reads nothing heavy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from configs.errors import InputError
from tasks.common.bases import OTHER_TOKENIZER_FILES, read_json

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
LENGTH_BYTES = 8  # a safetensors file: the length of its header (little-endian), the header (JSON), the tensors
MOST_HEADER = 100_000_000  # bytes; the format allows no more
FETCH = "fetch the base again"
TOKENIZER_FILES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model", *OTHER_TOKENIZER_FILES
)  # fmt: skip


def read_config(name: str, path: Path) -> dict[str, Any]:
    """`config.json`, of a kind that can be trained here.

    Raises InputError where it is no JSON, names no kind of network, or holds quantized weights.
    """
    config = read_json(path / "config.json")
    if not isinstance(config.get("model_type"), str):
        raise InputError(
            f"model.base {name}: its config.json names no model_type: add the one that its weights were made with, or {FETCH}"
        )
    method = config.get("quantization_config")
    if method is not None:
        kind = method.get("quant_method", "unknown") if isinstance(method, dict) else method
        raise InputError(
            f"model.base {name}: its weights are quantized ({kind}), which cannot be trained here: name the base that they were "
            "made from"
        )
    return config


def check_tokenizer_files(name: str, path: Path) -> None:
    """Raises InputError where there is no tokenizer file at all; base_tokenizer.py checks the content later."""
    if not any((path / file).is_file() for file in (*TOKENIZER_FILES, "tokenizer_config.json")):
        raise InputError(f"model.base {name}: {no_tokenizer(path)}")


def no_tokenizer(path: Path) -> str:
    """The sentence that names the missing file, with the remedy."""
    others = ", ".join(TOKENIZER_FILES[1:6])
    return f"{path} holds no {TOKENIZER_FILES[0]} (nor {others}): copy it from where the weights came from"


def read_shapes(name: str, path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor; InputError where a file of weights is missing, cut short, or not as the index has it."""
    index = path / INDEX
    if (path / WHOLE).is_file():
        return _tensors(name, path / WHOLE)
    if not index.is_file():
        shards = ", ".join(sorted(file.name for file in path.glob("model*.safetensors"))[:4])
        raise InputError(
            f"model.base {name}: {path} holds {shards}, but neither {WHOLE} nor {INDEX}, which names the parts: {FETCH}"
        )
    return _read_shards(name, path, index)


def _read_shards(name: str, path: Path, index: Path) -> dict[str, tuple[int, ...]]:
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise InputError(f"model.base {name}: {index} has no weight_map: {FETCH}")
    shards = sorted({str(file) for file in places.values()})
    missing = [file for file in shards if not (path / file).is_file()]
    if missing:
        more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        raise InputError(
            f"model.base {name}: {', '.join(missing[:4])}{more} of {len(shards)} shards are missing in {path}: {FETCH}"
        )
    shapes: dict[str, tuple[int, ...]] = {}
    for file in shards:
        tensors = _tensors(name, path / file)
        absent = {tensor for tensor, place in places.items() if place == file} - tensors.keys()
        if absent:
            raise InputError(f"model.base {name}: {file} lacks {sorted(absent)[0]}, which {INDEX} places there: {FETCH}")
        shapes |= tensors
    return shapes


def _tensors(name: str, file: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a safetensors file's tensors; InputError unless it has exactly the bytes that its header announces."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
        if not 0 < length <= min(MOST_HEADER, size - LENGTH_BYTES):
            raise InputError(f"model.base {name}: {file} ({size:,} bytes) is no whole safetensors file: {FETCH}")
        try:
            header = json.loads(stream.read(length))
            tensors = {key: value for key, value in header.items() if key != "__metadata__"}
            end = max((int(value["data_offsets"][1]) for value in tensors.values()), default=0)
            shapes = {key: tuple(map(int, value["shape"])) for key, value in tensors.items()}
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            raise InputError(f"model.base {name}: {file} has no readable header: {FETCH}") from None
    announced = LENGTH_BYTES + length + end
    if size != announced:
        raise InputError(f"model.base {name}: {file} has {size:,} bytes where its header announces {announced:,}: {FETCH}")
    return shapes
