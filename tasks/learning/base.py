"""Find the pretrained base a pipeline starts from, and refuse any other than the one it names."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from configs.errors import InputError

# What a base consists of; anything else in its folder (README, training logs) is neither hashed nor stored.
BASE_FILES = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "tokenizer.model", "1_Pooling/config.json",
    "chat_template.jinja",
)  # fmt: skip


@dataclass(frozen=True)
class Base:
    """A base on disk: `weights` is the sha256 of model.safetensors, `digest` covers every file that is loaded."""

    name: str
    path: Path
    weights: str
    digest: str
    bytes: int


def find_base(name: str, revision: str | None = None, sha256: str | None = None) -> Base:
    """Look a base up as local path, installed package, hub cache, hub, in this order; check its hash."""
    return read_base(_folder(name, revision), name, sha256)


def read_base(path: Path, name: str, sha256: str | None = None) -> Base:
    """Hash a base folder; raises InputError where it is not one, or not the one that `sha256` names."""
    files = base_files(path)
    shards = [file for file in files if file.suffix == ".safetensors"]
    if not shards or not (path / "config.json").is_file():
        raise InputError(f"model.base {name}: {path} holds no config.json with model.safetensors; other weight formats are refused")
    hashes = {file.relative_to(path).as_posix(): _sha256(file) for file in files}
    weights = hashes[shards[0].name] if len(shards) == 1 else _combined({s.name: hashes[s.name] for s in shards})
    if sha256 is not None and weights != sha256:
        raise InputError(
            f"model.base {name}: its weights have sha256 {weights}, model.sha256 says {sha256}: "
            "this is another model; get the right one, or correct model.sha256 if the change is meant"
        )
    return Base(name, path, weights, _combined(hashes), sum(file.stat().st_size for file in files))


def base_files(path: Path) -> list[Path]:
    """The files that make up a base, in a fixed order."""
    extra = sorted(path.glob("model*.safetensors")) + sorted(path.glob("model.safetensors.index.json"))
    return [file for name in BASE_FILES if (file := path / name).is_file()] + extra


def _folder(name: str, revision: str | None) -> Path:
    if name.startswith("package:"):
        return _package_folder(name)
    local = Path(name).expanduser()
    if local.is_dir():
        return local
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise InputError(f"model.base {name}: no such folder; name a local folder, package:NAME/FOLDER or a hub model OWNER/NAME")
    return _hub_folder(name, revision)


def _package_folder(name: str) -> Path:
    package, _, inner = name.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"model.base {name}: no package `{package}` is installed: pip install it, or name another base")
    folder = Path(spec.submodule_search_locations[0]) / inner
    if not folder.is_dir():
        raise InputError(f"model.base {name}: the package {package} has no folder `{inner}`")
    return folder


def _hub_folder(name: str, revision: str | None) -> Path:
    """The hub's cache first; the hub itself only if the environment does not forbid it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [*BASE_FILES, "model*.safetensors", "model.safetensors.index.json"]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        raise InputError(
            f"model.base {name}: neither a local folder, nor in the hub's cache, nor to be had from the hub "
            f"({type(error).__name__}): check the name, or give the path of a folder"
        ) from None


def pooling_of(path: Path) -> str | None:
    """How a sentence-transformers base was trained to pool (`1_Pooling/config.json`): mean, first, or None if unsaid."""
    file = path / "1_Pooling" / "config.json"
    if not file.is_file():
        return None
    settings = json.loads(file.read_text())
    if settings.get("pooling_mode_mean_tokens") or settings.get("pooling_mode") == "mean":
        return "mean"
    return "first" if settings.get("pooling_mode_cls_token") or settings.get("pooling_mode") == "cls" else None


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _combined(hashes: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
