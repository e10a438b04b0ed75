"""How what people write of answers is kept: normalised and redacted as the data are."""

from __future__ import annotations

from collections.abc import Callable

from configs.schema import Pipeline
from tasks.home import Home

Clean = Callable[[list[str]], list[str]]


def cleaner(pipeline: Pipeline, home: Home) -> Clean:
    """Texts -> what the traffic log keeps of them as corrections."""
    from tasks.text.key import redaction_key
    from tasks.text.normalise import normalise
    from tasks.text.redact import Redactor

    wanted = pipeline.data.redact
    redactor = Redactor(wanted.entities, redaction_key(home.path), wanted.ner_model) if wanted.enabled else None
    layout = pipeline.problem == "text-generation"

    def clean(texts: list[str]) -> list[str]:
        plain = [normalise(text, layout) for text in texts]
        return [text or "" for text in redactor.redact_each(plain)] if redactor else plain  # nothing of one over its budget

    return clean
