"""Find the pretrained base a pipeline starts from, and refuse any other than the one it names."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from configs.errors import InputError
from tasks.common.files import file_sha256

# What a base consists of; anything else in its folder (README, training logs) is neither hashed nor stored.
BASE_FILES = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "tokenizer.model", "1_Pooling/config.json",
    "chat_template.jinja",
)  # fmt: skip
# Read only where there is no tokenizer.json, which says all of it.
OTHER_TOKENIZER_FILES = (
    "sentencepiece.bpe.model", "source.spm", "target.spm", "spm.model", "bpe.codes", "tekken.json", "spm_char.model",
)  # fmt: skip
TOKENIZER_SETTINGS = tuple(name for name in BASE_FILES if "token" in name or name.startswith(("vocab.", "merges.", "spiece.")))
POOLING_FILE = "1_Pooling/config.json"
POOLINGS: dict[str, Literal["mean", "first", "last", "max"]] = {
    "mean": "mean", "cls": "first", "lasttoken": "last", "max": "max"
}  # fmt: skip
FLAGS = {  # sentence-transformers' older settings
    "pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
}  # fmt: skip
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.h5", "*.msgpack")
MERGE = "merge it first: PeftModel.from_pretrained(base, FOLDER).merge_and_unload().save_pretrained(NEW_FOLDER)"
POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class Base:
    """A base on disk: `weights` is the sha256 of model.safetensors, `digest` covers every file that is loaded.

    `target_tokenizer` is the folder within it that holds the tokenizer of what it writes, where that is another one.
    """

    name: str
    path: Path
    weights: str
    digest: str
    bytes: int
    target_tokenizer: str = ""


def find_base(name: str, revision: str | None = None, sha256: str | None = None, target_tokenizer: str | None = None) -> Base:
    """Look a base up as local path, installed package, hub cache, hub, in this order; check its hash."""
    return read_base(_folder_of_base(name, revision, target_tokenizer), name, sha256, target_tokenizer)


def read_base(path: Path, name: str, sha256: str | None = None, target_tokenizer: str | None = None) -> Base:
    """Hash a base folder; raises InputError where it is not one, or not the one that `sha256` names."""
    files = base_files(path, target_tokenizer)
    shards = [file for file in files if file.suffix == ".safetensors"]
    if not shards or not (path / "config.json").is_file():
        raise InputError(f"model.base {name}: {_missing_base_text(path)}")
    if target_tokenizer and not any(file.parent == path / target_tokenizer for file in files):
        raise InputError(
            f"model.target_tokenizer {target_tokenizer}: {path} has no folder of that name that holds a tokenizer: correct it, "
            "or drop the setting where targets are read by the base's own tokenizer"
        )
    refuse_pointers(files)
    hashes = {file.relative_to(path).as_posix(): file_sha256(file) for file in files}
    weights = hashes[shards[0].name] if len(shards) == 1 else _combined_hash({s.name: hashes[s.name] for s in shards})
    if sha256 is not None and weights != sha256:
        raise InputError(
            f"model.base {name}: its weights have sha256 {weights}, model.sha256 says {sha256}: "
            "this is another model; get the right one, or correct model.sha256 if the change is meant"
        )
    return Base(name, path, weights, _combined_hash(hashes), sum(file.stat().st_size for file in files), target_tokenizer or "")


def base_files(path: Path, target_tokenizer: str | None = None) -> list[Path]:
    """The files that make up a base, in a fixed order, those of its target tokenizer among them."""
    weights = sorted(path.glob("model*.safetensors")) + sorted(path.glob("model.safetensors.index.json"))
    extra = [file for file in weights if file.is_file()]  # to open a pipe is to wait for ever
    names = BASE_FILES if (path / "tokenizer.json").is_file() else (*BASE_FILES, *OTHER_TOKENIZER_FILES)
    inner = [f"{target_tokenizer}/{name}" for name in TOKENIZER_SETTINGS] if target_tokenizer else []
    return [file for name in (*names, *inner) if (file := path / name).is_file()] + extra


def _missing_base_text(path: Path) -> str:
    """What a folder without config.json or weights holds instead, with the remedy."""
    if (path / "adapter_config.json").is_file():
        return f"{path} holds an adapter, which is no base: {MERGE}, and write the tokenizer there too"
    named_files = [path / "config.json", *sorted(path.glob("model*.safetensors"))]
    if odd := [file.name for file in named_files if (file.is_symlink() or file.exists()) and not file.is_file()]:
        return f"{odd[0]} in {path} is no file but a pipe, a device or a link that leads nowhere: fetch the base again"
    absent = f"{path} holds no config.json with model.safetensors; other weight formats are refused"
    if pickled := sorted(file.name for pattern in PICKLED for file in path.glob(pattern)):
        remedy = "load it where you trust it, and write it with model.save_pretrained(NEW_FOLDER, safe_serialization=True)"
        return f"{absent}: {', '.join(pickled[:4])} can run code: {remedy}, its tokenizer too"
    return f"{absent}: fetch the base again, or name the folder that save_pretrained wrote"


def _folder_of_base(name: str, revision: str | None, target_tokenizer: str | None) -> Path:
    if name.startswith("package:"):
        return _package_folder(name)
    if (local := local_folder(name)) is not None:
        return local
    if not may_be_hub_name(name):
        raise InputError(f"model.base {name}: no such folder; name a local folder, package:NAME/FOLDER or a hub model OWNER/NAME")
    return _hub_folder(name, revision, target_tokenizer)


def local_folder(name: str) -> Path | None:
    """The folder of this machine that a base's name is; None where there is none."""
    try:
        path = Path(name).expanduser()
        return path if name and path.is_dir() else None
    except (RuntimeError, OSError):  # a user's home that is not known, a name too long for a file
        return None


def may_be_hub_name(name: str) -> bool:
    """Whether it is as a hub's names are: OWNER/NAME."""
    return not name.startswith((".", "/", "~")) and name.count("/") == 1


def _package_folder(name: str) -> Path:
    package, _, inner = name.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"model.base {name}: no package `{package}` is installed: pip install it, or name another base")
    folder = Path(spec.submodule_search_locations[0]) / inner
    if not folder.is_dir():
        raise InputError(f"model.base {name}: the package {package} has no folder `{inner}`")
    return folder


def _hub_folder(name: str, revision: str | None, target_tokenizer: str | None) -> Path:
    """The hub's cache first; the hub itself only if the environment does not forbid it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [*BASE_FILES, *OTHER_TOKENIZER_FILES, "model*.safetensors", "model.safetensors.index.json"]
    patterns += [f"{target_tokenizer}/{name}" for name in TOKENIZER_SETTINGS] if target_tokenizer else []
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        raise InputError(
            f"model.base {name}: neither a local folder, nor in the hub's cache, nor to be had from the hub "
            f"({type(error).__name__}): check the name, or give the path of a folder"
        ) from None


def pooling_of(path: Path) -> Literal["mean", "first", "last", "max"] | None:
    """How a sentence-transformers base was trained to pool (`1_Pooling/config.json`), or None if it does not say.

    Raises InputError where it names a way, or a joint use of several, that is not supported.
    """
    ways = _pooling_modes(path)
    if not ways:
        return None
    if len(ways) > 1 or ways[0] not in POOLINGS:
        raise InputError(
            f"model.base {path}: {POOLING_FILE} names the pooling {' + '.join(ways)}; supported is one of {', '.join(POOLINGS)}: "
            "name another base, or move that file aside to pool as its network suggests"
        )
    return POOLINGS[ways[0]]


def earlier_pooling_of(path: Path) -> str | None:
    """What networks heeded of it that were stored without their pooling: the first of mean and cls."""
    ways = _pooling_modes(path)
    return "mean" if "mean" in ways else "first" if "cls" in ways else None


def _pooling_modes(path: Path) -> list[str]:
    """The ways that are switched on, by the names of sentence-transformers' `pooling_mode`."""
    file = path / POOLING_FILE
    if not file.is_file():
        return []
    settings = read_json(file)
    flags = [name for name, value in settings.items() if name.startswith("pooling_mode_") and value is True]
    mode = settings.get("pooling_mode")
    modes = [mode] if isinstance(mode, str) else mode if isinstance(mode, list) else []
    ways = [FLAGS.get(name, name.removeprefix("pooling_mode_")) for name in flags]
    return list(dict.fromkeys([*map(str, modes), *ways]))


def read_json(file: Path) -> dict[str, Any]:
    """A settings file of a base; raises InputError that names line and column where it is no JSON object."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"model.base: {file} is no JSON ({error.msg} at {where}): fetch the base again, or mend it") from None
    except UnicodeDecodeError:
        raise InputError(f"model.base: {file} is no text in UTF-8: fetch the base again") from None
    if not isinstance(values, dict):
        raise InputError(f"model.base: {file} holds no JSON object: fetch the base again, or mend it")
    return values


def refuse_pointers(files: Iterable[Path]) -> None:
    """Refuse what git-LFS leaves in place of files that were not fetched."""
    pointers = [file for file in files if _starts_with(file, POINTER)]
    if pointers:
        names = ", ".join(file.name for file in pointers)
        raise InputError(
            f"model.base: {names} in {pointers[0].parent} is a git-LFS pointer, not the file itself: run `git lfs pull` there, "
            "or fetch the base again"
        )


def _starts_with(file: Path, start: bytes) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(start)) == start


def _combined_hash(hashes: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
