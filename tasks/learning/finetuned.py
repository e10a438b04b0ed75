"""Checks a model that was fine-tuned elsewhere, in the folder that `save_pretrained` wrote, before it is used."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import InputError
from configs.schema import Full, ProblemName, facts_of
from tasks.common.bases import MERGE, PICKLED, Base, read_base
from tasks.data.labels import canonical_labels
from tasks.learning.network import spec_of
from tasks.problems import problem_of
from tasks.problems.base import Problem
from tasks.problems.tagging import read_tag_names
from tasks.problems.types import Spec, read_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model")


@dataclass(frozen=True)
class FinetunedModel:
    """A folder that holds a whole model: its files by hash, and the classes of its head (none: it writes text)."""

    base: Base
    labels: tuple[str, ...]

    def spec(self, problem: ProblemName, max_length: int, languages: tuple[str, ...] = ()) -> Spec:
        """Its network: its own head, no weight moved. The hash names it, as its folder may be gone tomorrow."""
        spec = spec_of(problem, Full(), self.labels, max_length, 0, self.base)
        return replace(spec, head="own", base_name=f"adopted:{self.base.digest[:16]}", languages=languages)


def read_finetuned(
    folder: Path, problem: ProblemName, max_length: int, target_tokenizer: str | None = None, languages: tuple[str, ...] = ()
) -> FinetunedModel:
    """Hash a folder and load its model once, without running code of it; InputError, with the remedy, where it is no whole one.

    Only safetensors are read. Refused: adapters without their base, custom code, quantised weights, heads of another kind or
    without weights, classes without names, missing tokenizers or ones that do not know `languages`, models that cannot read
    `max_length` tokens or, of those that write, models that see later ones.
    """
    config = _read_config(folder)
    _check_files(folder, config)
    labels = _check_head(folder, config, problem)
    base = read_base(folder, f"adopted:{folder.name}", None, target_tokenizer)
    _check_network(base, problem_of(problem), max_length, languages)
    return FinetunedModel(base, labels)


def refuse_folder(folder: Path, fault: str, remedy: str) -> InputError:
    return InputError(f"--model {folder}: {fault}: {remedy}")


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise refuse_folder(folder, "no such folder", "give the folder that save_pretrained wrote")
    if (folder / "adapter_config.json").is_file():
        raise refuse_folder(folder, "holds an adapter, which is no model without its base", MERGE)
    if not (folder / "config.json").is_file():
        raise refuse_folder(folder, "has no config.json", "write the folder with save_pretrained")
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise refuse_folder(folder, f"config.json is no JSON ({error})", "write the folder anew with save_pretrained") from None
    if not isinstance(config, dict):
        raise refuse_folder(folder, "config.json is no JSON object", "write the folder anew with save_pretrained")
    return config


def _check_files(folder: Path, config: dict[str, object]) -> None:
    if not any(file.is_file() for file in folder.glob("model*.safetensors")):
        pickled = sorted(file.name for pattern in PICKLED for file in folder.glob(pattern))
        pickles = f", only {', '.join(pickled)}, which can run code" if pickled else ""
        remedy = "load it where you trust it, and write it with save_pretrained, which writes safetensors"
        raise refuse_folder(folder, f"holds no model.safetensors{pickles}", remedy)
    for name in ("config.json", "tokenizer_config.json"):
        if (folder / name).is_file() and "auto_map" in (folder / name).read_text(encoding="utf-8"):
            remedy = "only architectures of transformers itself are loaded"
            raise refuse_folder(folder, f"{name} asks for code of its own (auto_map)", remedy)
    if "quantization_config" in config:
        raise refuse_folder(folder, "its weights are quantised", "write them with save_pretrained after model.dequantize()")
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise refuse_folder(folder, "has no tokenizer", "write it into the folder: tokenizer.save_pretrained(FOLDER)")


def _check_head(folder: Path, config: dict[str, Any], problem: ProblemName) -> tuple[str, ...]:
    """The labels of a classifier's head, in the order of its logits; none where it writes text."""
    from transformers.models.auto import modeling_auto

    task = problem_of(problem)
    heads = config.get("architectures") or ["no architecture"]
    if heads[0] not in getattr(modeling_auto, task.finetuned_table).values():
        remedy = f"write it with {task.finetuned_class}, or fine-tune it here: model.base={folder}"
        raise refuse_folder(folder, f"config.json says {heads[0]}, which is no model for {problem}", remedy)
    facts = facts_of(problem)
    if facts.embeds:
        raise refuse_folder(folder, "a head reads the vectors away that are to be answered", f"train from it: model.base={folder}")
    if facts.is_number:
        _check_single_number(folder, config)
    if facts.has_spans:
        return _read_types(folder, config)
    return _read_labels(folder, config, sets=facts.has_label_sets) if facts.has_labels else ()


def _check_single_number(folder: Path, config: dict[str, Any]) -> None:
    if (kind := config.get("problem_type")) not in (None, "regression"):
        raise refuse_folder(folder, f"its problem_type is {kind}", "a text has one number here")
    names = config.get("id2label") or {}
    if len(names) != 1:
        raise refuse_folder(folder, f"its head has {len(names)} outputs", "write it with num_labels=1, for one number")


def _read_types(folder: Path, config: dict[str, Any]) -> tuple[str, ...]:
    outputs = read_tag_names({int(code): str(name) for code, name in (config.get("id2label") or {}).items()})
    if outputs is None:
        remedy = "name its outputs in id2label and label2id of config.json: O, and B-X and I-X of each type X"
        raise refuse_folder(folder, "its outputs are not named as tags of spans", remedy)
    return tuple(sorted(label for label in outputs if label))


def _read_labels(folder: Path, config: dict[str, Any], *, sets: bool) -> tuple[str, ...]:
    kind = config.get("problem_type")
    if sets and kind != "multi_label_classification":
        raise refuse_folder(folder, f"its problem_type is {kind}", "a text has any number of labels here, each by itself")
    if not sets and kind not in (None, "single_label_classification"):
        raise refuse_folder(folder, f"its problem_type is {kind}", "a text has one class here")
    names = {int(code): str(name) for code, name in (config.get("id2label") or {}).items()}
    remedy = "name the classes as the data do, in id2label and label2id of config.json, in the order of the logits"
    if len(names) < 2 or sorted(names) != list(range(len(names))):
        raise refuse_folder(folder, "its config names no two classes (id2label)", remedy)
    labels = canonical_labels(names[code] for code in sorted(names))
    if all(name == f"LABEL_{code}" for code, name in names.items()):
        raise refuse_folder(folder, f"its classes have no names ({labels[0]}, {labels[1]}...)", remedy)
    if len(set(labels)) < len(labels):
        raise refuse_folder(folder, "two of its classes have one name, as labels are spelled here (2.0 is 2, True is true)", remedy)
    return labels


def _check_network(base: Base, problem: Problem, max_length: int, languages: tuple[str, ...]) -> None:
    """Load it and let it read `max_length` tokens; InputError where it cannot."""
    import torch
    import transformers
    from safetensors import SafetensorError

    folder = base.path
    loader = getattr(transformers, problem.finetuned_class)
    safe = {"local_files_only": True, "use_safetensors": True, "trust_remote_code": False, "output_loading_info": True}
    again = "write the folder anew with save_pretrained"
    try:
        problem.check_languages(folder, base.target_tokenizer, languages)
        tokenizer = read_tokenizer(folder)
        model, info = loader.from_pretrained(folder, **safe, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise refuse_folder(folder, f"does not load ({str(error).strip().splitlines()[0][:200]})", again) from error
    if absent := sorted({*info["missing_keys"], *(str(key[0]) for key in info["mismatched_keys"])}):
        raise refuse_folder(folder, f"{len(absent)} of its weights are missing, among them {absent[0]}", again)
    embedded = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > embedded:
        fault = f"its tokenizer has {len(tokenizer)} tokens, its embeddings {embedded}"
        raise refuse_folder(folder, fault, "write both from one training")
    words = [token for token in range(len(tokenizer)) if token not in tokenizer.all_special_ids][:2]
    ids = torch.full((1, max_length), words[0])
    ids[0, -1] = words[-1] if tokenizer.eos_token_id is None else tokenizer.eos_token_id
    try:
        logits = _logits(model, problem, ids)
    except (IndexError, RuntimeError, ValueError) as error:
        fault = f"cannot read {max_length} tokens ({str(error).strip().splitlines()[0][:200]})"
        raise refuse_folder(folder, fault, "lower model.max_length to what it was trained with") from error
    if problem.is_causal:
        other = torch.full_like(ids, words[0])
        if not torch.allclose(logits[0, :-1], _logits(model, problem, other)[0, :-1], atol=1e-3):
            raise refuse_folder(
                folder, "a token that comes later changes what it says before", "a model that writes sees none of them"
            )


def _logits(model: PreTrainedModel, problem: Problem, ids: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.inference_mode():
        return problem.model_logits(model.eval(), ids)  # type: ignore[no-any-return]
