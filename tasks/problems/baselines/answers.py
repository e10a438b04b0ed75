"""The baselines of answers that stand in a text: rules fitted on the train rows alone, the same on every run."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.data.answers import answer_texts, context_of, question_of
from tasks.problems.answer_spans import fit_threshold
from tasks.problems.metrics.answers import answer_scores

CONSTANT = "one answer, or none"
KNOWN = "known answers, the longest"
OVERLAP = "words beside those of the question"
OFTEN = 5  # train rows with a question from which its own answers are looked for alone
FITTED = 1_000  # train rows, at the most, that choose from what overlap on to answer
COMMON = 50  # words of the train contexts that no answer is made of
_TOKEN = re.compile(r"\w+|[^\w\s]")
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?=\S)[^.!?\n]*)*[.!?]?")

Words = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class AnswerBaseline:
    """The answers to the test rows, empty where it gives none, and the seconds to fit and answer."""

    name: str
    predictions: list[str]
    seconds: float


@dataclass(frozen=True, eq=False)
class KnownAnswers:
    """The train rows: inputs, accepted answers, and how often each answer is given to all questions and to each."""

    texts: list[str]
    accepted: list[list[str]]
    every: Counter[str]
    by_question: dict[str, Counter[str]]
    asked: Counter[str]

    @classmethod
    def of(cls, texts: Sequence[str], targets: Sequence[str]) -> KnownAnswers:
        """Those of inputs with targets in the form of tasks/data/answers.py."""
        accepted = [list(dict.fromkeys(answer_texts(target, text))) for target, text in zip(targets, texts, strict=True)]
        every, question_counts, by_question = Counter[str](), Counter[str](), dict[str, Counter[str]]()
        for text, answers in zip(texts, accepted, strict=True):
            question = _question_key(text)
            question_counts[question] += 1
            every.update(answers)
            by_question.setdefault(question, Counter()).update(answers)
        return cls(list(texts), accepted, every, by_question, question_counts)


def all_baselines(known: KnownAnswers, texts: Sequence[str]) -> tuple[AnswerBaseline, ...]:
    """Each baseline's answers to these inputs."""
    rules = ((CONSTANT, constant_answer), (KNOWN, longest_known), (OVERLAP, beside_the_question))
    return tuple(_timed(name, rule, known, texts) for name, rule in rules)


def constant_answer(known: KnownAnswers) -> Callable[[str], str]:
    """The commonest answer wherever it stands in the context, or none ever: which of the two has the higher F1 of train rows."""
    common = min(known.every, key=lambda text: (-known.every[text], text), default="")
    scores = [_mean_f1([text if text in context_of(row) else "" for row in known.texts], known.accepted) for text in ("", common)]
    chosen = common if scores[1] > scores[0] else ""
    return lambda text: chosen if chosen in context_of(text) else ""


def longest_known(known: KnownAnswers) -> Callable[[str], str]:
    """The longest train answer that stands in the context, word by word, of equally long ones the commonest; of the same question's
    answers where it was asked often."""
    lookups = {question: _by_words(answers) for question, answers in known.by_question.items() if known.asked[question] >= OFTEN}
    every = _by_words(known.every)
    return lambda text: _longest_match(lookups.get(_question_key(text), every), context_of(text))


def beside_the_question(known: KnownAnswers) -> Callable[[str], str]:
    """The longest run of words that are neither common nor the question's, in the sentence that has most of the question's words.

    The sliding-window idea of Richardson et al. (2013), with the share of the question's words in that sentence to tell whether to
    answer at all.
    """
    contexts = Counter(word for text in known.texts for word in {*_words(context_of(text))})
    common = frozenset(word for word, _ in contexts.most_common(COMMON))
    few = np.linspace(0, len(known.texts) - 1, min(len(known.texts), FITTED)).astype(int).tolist()
    tried = [_overlap_answer(known.texts[row], common) for row in few]
    accepted = [known.accepted[row] for row in few]
    answer_f1 = [answer_scores(answer, texts)[1] for (answer, _), texts in zip(tried, accepted, strict=True)]
    least = fit_threshold([share for _, share in tried], answer_f1, [float(not texts) for texts in accepted])

    def answer(text: str) -> str:
        chosen, share = _overlap_answer(text, common)
        return chosen if share > least else ""

    return answer


def _timed(
    name: str, rule: Callable[[KnownAnswers], Callable[[str], str]], known: KnownAnswers, texts: Sequence[str]
) -> AnswerBaseline:
    began = time.perf_counter()
    answer = rule(known)
    return AnswerBaseline(name, [answer(text) for text in texts], time.perf_counter() - began)


def _mean_f1(predictions: Sequence[str], accepted: Sequence[Sequence[str]]) -> float:
    scores = [answer_scores(prediction, texts)[1] for prediction, texts in zip(predictions, accepted, strict=True)]
    return sum(scores) / max(1, len(scores))


def _question_key(text: str) -> str:
    return " ".join(_words(question_of(text)))


def _words(text: str) -> list[str]:
    return [token.casefold() for token in _TOKEN.findall(text)]


def _by_words(answers: Counter[str]) -> dict[Words, int]:
    """How often each answer is given, by its words."""
    counts: dict[Words, int] = {}
    for text, count in answers.items():
        words = tuple(_TOKEN.findall(text))
        counts[words] = counts.get(words, 0) + count
    return counts


def _longest_match(answers: dict[Words, int], context: str) -> str:
    """The stretch of a context whose words are the longest of these answers; empty where there is none."""
    tokens = list(_TOKEN.finditer(context))
    words = tuple(token.group() for token in tokens)
    for size in sorted({len(answer) for answer in answers if answer}, reverse=True):
        matches = [(-answers[words[at : at + size]], at) for at in range(len(words) - size + 1) if words[at : at + size] in answers]
        if matches:
            at = min(matches)[1]
            return context[tokens[at].start() : tokens[at + size - 1].end()]
    return ""


def _overlap_answer(text: str, common: frozenset[str]) -> tuple[str, float]:
    """The answer of `beside_the_question`, and the share of the question's words that its sentence has."""
    question_words = {*_words(question_of(text))} - common
    context = context_of(text)
    sentences = [match.group() for match in _SENTENCE.finditer(context)] or [context]
    shares = [len(question_words & {*_words(sentence)}) / max(1, len(question_words)) for sentence in sentences]
    best = int(np.argmax(shares))
    runs: list[list[re.Match[str]]] = [[]]
    for token in _TOKEN.finditer(sentences[best]):
        word = token.group().casefold()
        if word in common or word in question_words or not word[0].isalnum():
            runs.append([])
        else:
            runs[-1].append(token)
    longest = max(runs, key=len)
    return (sentences[best][longest[0].start() : longest[-1].end()] if longest else ""), shares[best]
