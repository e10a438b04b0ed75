"""What a problem has for settings that a config leaves out, and what a config means by the name of a problem."""

from __future__ import annotations

from configs.schema.metrics import BLEU, bleu_tokenizer_for
from configs.schema.problems import FACTS

# What a problem has for settings that a config leaves out, where it is other than the section's own default.
DEFAULTS: dict[str, dict[str, dict[str, object]]] = {
    "question-answering": {"model": {"max_length": 384}},
    "text-ranking": {"data": {"text": "query", "text_pair": "document", "number": "relevance"}},
    "sentence-similarity": {"data": {"text": "sentence1", "text_pair": "sentence2"}},
    "text-retrieval": {"data": {"text": "anchor", "text_pair": "positive"}},
    "summarization": {
        "data": {"prompt": "document", "completion": "summary"},
        "model": {"max_length": 512},
        "evaluation": {"max_new_tokens": 128},
    },
    "translation": {"data": {"prompt": "source", "completion": "target"}, "evaluation": {"max_new_tokens": 128}},
}


def usual_columns(problem: object) -> dict[str, str]:
    """Column -> the setting that names it where a config does not, of a problem whose columns have names of their own."""
    families = (str(problem), *(("text-retrieval",) if problem == "sentence-similarity" else ()))
    return {str(column): setting for name in families for setting, column in DEFAULTS.get(name, {}).get("data", {}).items()}


def with_defaults(config: dict[str, object]) -> dict[str, object]:
    """A config with its problem's own defaults for the settings that it leaves out.

    A text-classification with `data.labels` has many labels a text. A sentence-similarity without `data.number` has pairs that
    belong together.
    """
    data = config.get("data")
    if config.get("problem") == "sentence-similarity" and isinstance(data, dict) and data.get("number") is None:
        return with_defaults({**config, "problem": "text-retrieval"})
    if config.get("problem") == "text-classification" and isinstance(data, dict) and data.get("labels") is not None:
        return {**config, "problem": "multi-label-classification"}
    problem, filled = str(config.get("problem")), dict(config)
    defaults = {section: dict(values) for section, values in DEFAULTS.get(problem, {}).items()}
    if problem in FACTS and BLEU in FACTS[problem].metrics:
        defaults.setdefault("evaluation", {})["bleu_tokenizer"] = bleu_tokenizer_for(_target_language(config))
    for section, values in defaults.items():
        own = config.get(section, {})
        filled[section] = {**values, **own} if isinstance(own, dict) else own
    return filled


def _target_language(config: dict[str, object]) -> str:
    """The language that a config, not checked yet, says is written; empty where it says none."""
    place: object = config
    for name in ("model", "languages", "target"):
        place = place.get(name) if isinstance(place, dict) else None
    return place if isinstance(place, str) else ""
