"""YAML + `key=value` overrides -> Pipeline; all errors at once, each by its path, with the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from configs.credentials import mask_value
from configs.errors import InputError
from configs.remedies import remedy_for_key, remedy_for_type
from configs.schema import Pipeline
from configs.schema.problem_defaults import usual_columns
from configs.yaml_text import HALF_CHARACTER, LONGEST, YamlError, YamlSyntaxError, parse_yaml

SHOWN = 200  # characters of a value that an error shows
_BRANCHES = ("str", "tuple[str, ...]", "one", "several")  # how faults name the kinds of value of which a setting takes one
_SIGN = re.compile(r"[^\w~]")  # a lone sign is a plain text, though to YAML | and > begin a text, # a comment, - a list


def load_pipeline(path: Path, overrides: Sequence[str] = ()) -> Pipeline:
    """Read one pipeline; raises InputError with every fault of the file and the overrides together."""
    values = _read(path)
    for override in overrides:
        _set_override(values, override)
    try:
        return Pipeline.model_validate(values)
    except ValidationError as error:
        usual = usual_columns(values.get("problem"))
        faults = "\n".join(f"  {_explain(fault, usual)}" for fault in error.errors() if not _is_of_another_kind(fault))
        raise InputError(f"{path} is no valid pipeline:\n{faults}\n`tunekeeper schema` prints every key") from None


def _read(path: Path) -> dict[str, object]:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(f"{path} is no file but a pipe or a device: write the config to a file, and name that")
        with path.open(encoding="utf-8") as file:
            values = parse_yaml(file.read(LONGEST + 1))
    except FileNotFoundError:
        raise InputError(f"no config at {path}: name a YAML file, such as configs/helpdesk.yaml") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder: name the YAML file in it") from None
    except OSError as error:
        raise InputError(
            f"{_abbreviate_value(str(path))}: cannot be read ({error.strerror}): correct the path, or its permissions"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start}: save it as UTF-8") from None
    except YamlError as error:
        raise InputError(f"{path} {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no keys: start with `name:`, `problem:`, `data:` and `model:`")
    return values


def _set_override(values: dict[str, object], override: str) -> None:
    """Set one dotted key in place; a changed `kind` or `by` starts that union member afresh."""
    path, equals, text = override.partition("=")
    plain = f"{mask_value(path)}{equals}{mask_value(text)}"
    if HALF_CHARACTER.search(override):
        raise InputError(f"`{path!a}` is set to what holds half of a surrogate pair, which is no character: write it in UTF-8")
    if not equals or not path:
        raise InputError(f"`{plain}` is no override: write key=value, such as training.seed=1")
    *parents, last = path.split(".")
    place = values
    for parent in parents:
        child = place.setdefault(parent, {})
        if not isinstance(child, dict):
            raise InputError(f"`{plain}`: {parent} holds the value {_abbreviate_value(child)}, no keys: set {parent} itself")
        place = child
    try:
        value = text if _SIGN.fullmatch(text) else parse_yaml(text)
    except YamlSyntaxError:
        value = text
    except YamlError as error:
        raise InputError(f"`{plain[:SHOWN]}`: {error}") from None
    if last in ("kind", "by") and place.get(last, value) != value:
        place.clear()
    place[last] = value


def _is_of_another_kind(fault: Any) -> bool:
    """Whether a setting takes a text or a list of texts, and a fault is of the one that was not given: the other fault tells it."""
    kind, is_list = fault["loc"][-1:], isinstance(fault["input"], list)
    return bool((kind == ("tuple[str, ...]",) and not is_list) or (kind == ("str",) and is_list))


def _explain(fault: Any, usual: Mapping[str, str]) -> str:
    """One fault in one line: where, what, what to do; `usual` are the columns that the problem's settings name by themselves."""
    unknown = fault["type"] == "extra_forbidden"
    keys, models = _locate_fault(fault["loc"][:-1] if unknown else fault["loc"])
    where = ".".join([*keys, str(fault["loc"][-1])] if unknown else keys) or "the pipeline"
    if unknown:
        sections = {name: _models_in(field.annotation) for name, field in Pipeline.model_fields.items() if name not in keys}
        if keys == ["data"] and (setting := usual.get(str(fault["loc"][-1]))):
            return f"{where}: unknown key; the setting that names this column is `{setting}`: write `{setting}: ...`"
        return f"{where}: unknown key; {remedy_for_key(str(fault['loc'][-1]), models, sections)}"
    if fault["type"] == "missing":
        return f"{where}: is required but absent: add it"
    if fault["type"] == "union_tag_invalid":
        key, tag, known = (str(fault["ctx"][name]).strip("'") for name in ("discriminator", "tag", "expected_tags"))
        return f"{where}.{key} = {_abbreviate_value(tag)}: write one of '{known}'"
    message = _fault_message(fault, keys[-1] if keys else "", models)
    value_text = "" if isinstance(fault["input"], dict) else f" = {_abbreviate_value(fault['input'])}"
    return f"{where}{value_text}: {message}"


def _fault_message(fault: Any, key: str, models: list[type[BaseModel]]) -> str:
    """What is wrong with a value, and what is to be written instead."""
    value, texts = fault["input"], "a text or a list of texts" if "str" in fault["loc"][-1:] else "a text"
    match fault["type"]:
        case "model_type" | "model_attributes_type":
            return f"has keys of its own below it: write them, such as `{key}: {{{_example_key(value, models)}}}`"
        case "dict_type":
            return f"must be names with a value each: write `{key}: {{NAME: VALUE}}`"
        case "tuple_type":
            return f"must be a list: write `{key}: [{'...' if value is None else _yaml_text(value)}]`"
        case "string_type" if value is None:
            return "has no value: write one, or leave the key out"
        case "string_type" if isinstance(value, list | tuple | dict):
            return f"must be {texts}, and holds other values"
        case "string_type":
            return f"must be {texts}: put it in quotes (YAML reads 12:30 as 750, no as false)"
    return remedy_for_type(fault) or str(fault["msg"]).removeprefix("Value error, ")


def _example_key(value: object, models: list[type[BaseModel]]) -> str:
    """A key that a section has, with the value that was given in its place where that fits it."""
    kinds = {str(field.default): key for model in models for key, field in model.model_fields.items() if key in ("kind", "by")}
    if kinds:
        kind = value if isinstance(value, str) and value in kinds else next(iter(kinds))
        return f"{kinds[kind]}: {kind}"
    key, field = next(iter(models[0].model_fields.items()))
    fits = (isinstance(value, bool) and field.annotation is bool) or (isinstance(value, str) and field.is_required())
    return f"{key}: {_yaml_text(value) if fits else '...'}"


def _yaml_text(value: object) -> str:
    """A value as YAML has it."""
    return str(value).lower() if isinstance(value, bool) else _abbreviate_value(value).strip("'")


def _abbreviate_value(value: object) -> str:
    """A value as an error shows it; of a list or mapping only the first few parts."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(_abbreviate_value(each) for each in value[:3])}{', ...' if len(value) > 3 else ''}]"
    if isinstance(value, dict):
        return f"the keys {', '.join(mask_value(str(key))[:SHOWN] for key in list(value)[:5])}"
    if isinstance(value, int) and value.bit_length() >= 1000:
        return "a number of hundreds of digits"
    text = repr(mask_value(value) if isinstance(value, str) else value)  # masked before it is cut: half a login is not recognised
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _locate_fault(location: Iterable[int | str]) -> tuple[list[str], list[type[BaseModel]]]:
    """The keys that lead to a fault, and the sections whose keys are allowed there: of a union the one of its kind."""
    keys: list[str] = []
    models: list[type[BaseModel]] = [Pipeline]
    for part in location:
        if isinstance(part, int):  # a place in a list
            keys.append(str(part))
            continue
        fields = [model.model_fields[part].annotation for model in models if part in model.model_fields]
        chosen = [model for model in models if _is_of_kind(model, part)]
        if chosen and (not fields or len(models) > 1):  # the name of a kind, be it that of a key too
            models = chosen
        elif part not in _BRANCHES:
            keys.append(str(part))
            models = [nested for field in fields for nested in _models_in(field)]
    return keys, models


def _is_of_kind(model: type[BaseModel], name: str) -> bool:
    """Whether a fault's path names a section of a union so: by a default of its own, or by its loss."""
    losses = get_args(model.model_fields["loss"].annotation) if "loss" in model.model_fields else ()
    return name in losses or any(field.default == name for field in model.model_fields.values())


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is None or get_origin(annotation) is type(Union):
        return []
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
