"""YAML as plain values, at a bounded cost; what a parser passes over in silence (a key named twice) is an error with its line.

Repeated aliases let a small file stand for any number of values, so the values that aliases stand for are counted before anything
is built.
"""

from __future__ import annotations

import re

import yaml

LONGEST = 250_000  # characters
MOST_VALUES = 100_000  # with every alias written out
HALF_CHARACTER = re.compile("[\ud800-\udfff]")


class YamlError(ValueError):
    """What is wrong with a text, by line and with the remedy; the caller names the file."""


class YamlSyntaxError(YamlError):
    """The text is no YAML at all."""


def parse_yaml(text: str) -> object:
    """The values of one document; YamlError where it is no YAML, names a key twice, or stands for more than MOST_VALUES values."""
    if len(text) > LONGEST:
        raise YamlError(f"has {len(text):,} characters, and a config at most {LONGEST:,}: name the data by file, not one by one")
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _count_values(node, {}, set())
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError:
        raise YamlError("is nested too deeply: no setting is more than a few levels deep") from None
    except yaml.YAMLError as error:
        raise YamlSyntaxError(f"is no YAML: {' '.join(str(error).split())}") from None
    except ValueError as error:
        if isinstance(error, YamlError):
            raise
        raise YamlError(f"holds a value that is none of its kind ({str(error)[:200]}): put it in quotes, or correct it") from None


def _count_values(node: yaml.Node, sizes: dict[int, int], above: set[int]) -> int:
    """How many values a node stands for, its aliases written out; each node is counted once."""
    if id(node) in above:
        raise YamlError(f"line {_line(node)}: a value that holds itself by an alias: write it out")
    if id(node) in sizes:
        return sizes[id(node)]
    above.add(id(node))
    size = 1
    if isinstance(node, yaml.ScalarNode):
        if HALF_CHARACTER.search(node.value):
            raise YamlError(f"line {_line(node)}: holds half of a surrogate pair, which is no character: correct it")
    elif isinstance(node, yaml.MappingNode):
        _check_keys(node)
        size += sum(_count_values(part, sizes, above) for pair in node.value for part in pair)
    else:
        size += sum(_count_values(part, sizes, above) for part in node.value)
    if size > MOST_VALUES:
        raise YamlError(
            f"line {_line(node)}: stands for more than {MOST_VALUES:,} values once its aliases are written out: use fewer aliases"
        )
    above.discard(id(node))
    sizes[id(node)] = size
    return size


def _check_keys(node: yaml.MappingNode) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError(f"line {_line(key)}: a key is a list or a mapping: keys are names")
        if key.value in lines:
            raise YamlError(
                f"line {_line(key)}: the key `{key.value[:100]}` is there already, in line {lines[key.value]}: remove one of them"
            )
        lines[key.value] = _line(key)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
