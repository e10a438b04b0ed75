"""What people write of answers is prepared: normalised and redacted as the data are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from configs.schema import Pipeline, ProblemFacts
from tasks.common.home import Home
from tasks.data.answers import map_right_answer
from tasks.data.label_sets import labels_of, rename_labels
from tasks.data.redaction.key import redaction_key
from tasks.data.spans import correction_labels, rename_correction
from tasks.serving.text_preparation import Recipe, prepare_texts

Clean = Callable[[list[str]], list[str]]


def recipe_of(pipeline: Pipeline, home: Home) -> Recipe:
    """How labels and corrections of a pipeline's answers are prepared."""
    redact, layout = pipeline.data.redact, pipeline.facts.writes_text
    return Recipe(layout, redact.entities, redaction_key(home.path), redact.ner_model) if redact.enabled else Recipe(layout, None)


def cleaner_of(facts: ProblemFacts, clean: Clean) -> Clean | None:
    """What cleans the values of a problem's feedback, by what cleans texts.

    None for numbers: those are no texts that could hold personal data, though their digits may look like a telephone number.
    """
    if facts.is_number:
        return None
    if facts.has_spans:
        return corrections_cleaner(clean)
    if facts.has_label_sets:
        return label_sets_cleaner(clean)
    return clean_answers(clean) if facts.finds_answers else clean


def clean_answers(clean: Clean) -> Clean:
    """The same for answers that stand in a context, in whose values the text alone was written by a person."""
    return lambda values: [map_right_answer(lambda text: clean([text])[0], value) for value in values]


def corrections_cleaner(clean: Clean) -> Clean:
    """Corrected spans with their labels cleaned: to a redactor their places may look like personal numbers. A thumb stays."""
    return _labels_cleaner(clean, correction_labels, rename_correction)


def label_sets_cleaner(clean: Clean) -> Clean:
    """Sets of labels, each label cleaned by itself: between the signs of JSON values are missed, or its escapes broken."""
    return _labels_cleaner(clean, labels_of, rename_labels)


def _labels_cleaner(
    clean: Clean, labels_in: Callable[[str], Sequence[str]], rename: Callable[[str, Mapping[str, str]], str]
) -> Clean:
    """Cleans the labels in values, and nothing else of them."""

    def cleaned(values: list[str]) -> list[str]:
        labels = sorted({label for value in values if value for label in labels_in(value)})
        names = dict(zip(labels, clean(labels), strict=True))
        return [rename(value, names) if value else value for value in values]

    return cleaned


def feedback_cleaner(pipeline: Pipeline, home: Home) -> Clean:
    """Texts -> labels and corrections as the traffic log keeps them; empty for one over its budget."""
    recipe = recipe_of(pipeline, home)
    return lambda texts: [text or "" for text in prepare_texts(recipe, texts)]
