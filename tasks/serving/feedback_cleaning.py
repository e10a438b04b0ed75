"""What people write of answers is prepared: normalised and redacted as the data are."""

from __future__ import annotations

from collections.abc import Callable

from configs.schema import Pipeline
from tasks.common.home import Home
from tasks.data.answers import map_right_answer
from tasks.data.redaction.key import redaction_key
from tasks.data.spans import correction_labels, rename_correction
from tasks.serving.text_preparation import Recipe, prepare_texts

Clean = Callable[[list[str]], list[str]]


def recipe_of(pipeline: Pipeline, home: Home) -> Recipe:
    """How labels and corrections of a pipeline's answers are prepared."""
    redact, layout = pipeline.data.redact, pipeline.facts.writes_text
    return Recipe(layout, redact.entities, redaction_key(home.path), redact.ner_model) if redact.enabled else Recipe(layout, None)


def clean_answers(clean: Clean) -> Clean:
    """The same for answers that stand in a context, in whose values the text alone was written by a person."""
    return lambda values: [map_right_answer(lambda text: clean([text])[0], value) for value in values]


def corrections_cleaner(clean: Clean) -> Clean:
    """Corrected spans with their labels cleaned: to a redactor their places may look like personal numbers. A thumb stays."""

    def cleaned(values: list[str]) -> list[str]:
        labels = sorted({label for value in values if value for label in correction_labels(value)})
        names = dict(zip(labels, clean(labels), strict=True))
        return [rename_correction(value, names) if value else value for value in values]

    return cleaned


def feedback_cleaner(pipeline: Pipeline, home: Home) -> Clean:
    """Texts -> labels and corrections as the traffic log keeps them; empty for one over its budget."""
    recipe = recipe_of(pipeline, home)
    return lambda texts: [text or "" for text in prepare_texts(recipe, texts)]
