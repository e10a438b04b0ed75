"""The baselines of span labelling: cheap rules fitted on the train rows alone, the same on every run."""

from __future__ import annotations

import re
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.data.label_sets import all_labels
from tasks.data.redaction.placeholders import aligned_view
from tasks.data.spans import spans_of, write_spans
from tasks.problems.tagging import Places, best_tags, spans_of_tags, tag_count, tags_of

NOTHING = "no entity"
LONGEST = 12  # words of an entry of the dictionary
MOST_ROWS = 3_000  # training rows, at the most, that the linear model is fitted to
AROUND = 2  # words on either side that it reads
EPOCHS = 8
_WORD = re.compile(r"<[A-Z_]+>|\w+|[^\w\s]")


@dataclass(frozen=True, eq=False)
class SpanBaseline:
    """Spans of the test rows, and the seconds to fit and predict."""

    name: str
    predictions: list[str]
    seconds: float


def nothing(rows: int) -> SpanBaseline:
    """No span in any of `rows`."""
    return SpanBaseline(NOTHING, [write_spans(())] * rows, 0.0)


def dictionary(train_texts: Sequence[str], train_targets: Sequence[str], test_texts: Sequence[str]) -> SpanBaseline:
    """The spans of the train rows, word for word, each with its commonest label; of two that overlap the longer, from the left.

    An entry that is a span in less than half of the places where its words stand together is left out.
    """
    began = time.perf_counter()
    words = [words_of(text) for text in train_texts]
    labels: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for (tokens, places), target in zip(words, train_targets, strict=True):
        for start, end, label in spans_of(target):
            inside = [number for number, place in enumerate(places) if place[0] < end and place[1] > start]
            if 0 < len(inside) <= LONGEST:
                labels[tuple(tokens[inside[0] : inside[-1] + 1])][label] += 1
    stands = Counter(entry for tokens, _ in words for *_, entry in _matches(tokens, labels))
    entries = {
        entry: min(own.items(), key=lambda item: (-item[1], item[0]))[0]
        for entry, own in labels.items()
        if 2 * own.total() >= stands[entry]
    }
    predictions = [_look_up(text, entries) for text in test_texts]
    return SpanBaseline("dictionary of the training rows", predictions, time.perf_counter() - began)


def words_in_context(
    train_texts: Sequence[str], train_targets: Sequence[str], test_texts: Sequence[str], seed: int = 0
) -> SpanBaseline:
    """A logistic regression of each word's tag on its letters, its shape and the words around it, decoded to valid tags."""
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.linear_model import SGDClassifier

    began = time.perf_counter()
    labels = all_labels(train_targets)
    few: list[int] = np.linspace(0, len(train_texts) - 1, min(len(train_texts), MOST_ROWS)).astype(int).tolist()
    known = [(*words_of(train_texts[row]), train_targets[row]) for row in few]
    tags = [tag for tokens, places, target in known for tag in tags_of(places, spans_of(target), labels)]
    name = "logistic regression of words in context"
    if len(set(tags)) < 2:
        return SpanBaseline(name, [write_spans(())] * len(test_texts), time.perf_counter() - began)
    hasher = FeatureHasher(2**18, input_type="string", alternate_sign=False, dtype=np.float32)
    features = hasher.transform(feature for tokens, _, _ in known for feature in word_features(tokens))
    model = SGDClassifier(loss="log_loss", alpha=1e-6, max_iter=EPOCHS, tol=None, average=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(features, tags)
    test_words = [words_of(text) for text in test_texts]
    likely = np.full((sum(len(tokens) for tokens, _ in test_words), tag_count(len(labels))), -50.0)
    if len(likely):
        scores = model.decision_function(hasher.transform(feature for tokens, _ in test_words for feature in word_features(tokens)))
        scores = np.column_stack([-scores, scores]) if scores.ndim == 1 else scores
        likely[:, model.classes_] = -np.logaddexp(0.0, -scores)
    predictions, at = [], 0
    for text, (tokens, places) in zip(test_texts, test_words, strict=True):
        own = likely[at : at + len(tokens)]
        at += len(tokens)
        spans = spans_of_tags(places, best_tags(own).tolist(), labels, text) if len(own) else []
        predictions.append(write_spans(span for span, _ in spans))
    return SpanBaseline(name, predictions, time.perf_counter() - began)


def words_of(text: str) -> tuple[list[str], Places]:
    """The words and signs of a text, placeholders as their kinds, and where each lies in the text as it is stored."""
    view, alignment = aligned_view(text)
    matches = list(_WORD.finditer(view))
    return [match.group() for match in matches], [alignment.back(*match.span()) for match in matches]


def word_features(tokens: Sequence[str]) -> Iterator[list[str]]:
    """The features of each word: itself, its ends, its shape, and those of its neighbours."""
    own = [
        [f"w={token.casefold()}", f"s={_shape(token)}", f"e={token[-3:].casefold()}", f"b={token[:3].casefold()}"]
        for token in tokens
    ]
    for place in range(len(tokens)):
        features = ["bias"]
        for step in range(-AROUND, AROUND + 1):
            there = own[place + step] if 0 <= place + step < len(own) else ["edge"]
            features += [f"{step}{feature}" for feature in there]
            if step in (-1, 1):
                features += [f"{step}{there[0]}&{own[place][0]}", f"{step}{there[0]}&{own[place][-3]}"]
        yield features


def _shape(token: str) -> str:
    """How a word is written, runs of equal kinds as one: Xx, 9, X9."""
    kinds = ["X" if c.isupper() else "x" if c.isalpha() else "9" if c.isdigit() else c for c in token[:20]]
    return "".join(kind for place, kind in enumerate(kinds) if place == 0 or kind != kinds[place - 1])


def _matches(tokens: Sequence[str], entries: object) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """(first word, behind the last, words) of every entry that stands in a text."""
    for first in range(len(tokens)):
        for last in range(first + 1, min(len(tokens), first + LONGEST) + 1):
            words = tuple(tokens[first:last])
            if words in entries:  # type: ignore[operator]
                yield first, last, words


def _look_up(text: str, entries: dict[tuple[str, ...], str]) -> str:
    tokens, places = words_of(text)
    spans, behind = [], 0
    for first, last, words in sorted(_matches(tokens, entries), key=lambda match: (match[0], -match[1])):
        if first >= behind:
            spans.append((places[first][0], places[last - 1][1], entries[words]))
            behind = last
    return write_spans(spans)
