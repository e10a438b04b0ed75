"""How what people write of answers is kept: normalised and redacted as the data are."""

from __future__ import annotations

from collections.abc import Callable

from configs.schema import Pipeline
from tasks.home import Home

Clean = Callable[[list[str]], list[str]]


def cleaner(pipeline: Pipeline, home: Home) -> Clean:
    """Texts -> what the traffic log keeps of them as labels and corrections."""
    from tasks.text.load import redactor_of
    from tasks.text.normalise import normalise

    redactor = redactor_of(pipeline.data, home.path)
    layout = pipeline.problem == "text-generation"

    def clean(texts: list[str]) -> list[str]:
        plain = [normalise(text, layout) for text in texts]
        return [text or "" for text in redactor.redact_each(plain)] if redactor else plain  # nothing of one over its budget

    return clean
