"""Rows of two texts: which are copies of one another, and what test shares with train."""

import random

import pytest

from tasks.data.preparation.deduplicate import compared_words, estimated_jaccard, shingle_words, signatures_of_words
from tasks.data.text_parts import in_any_order, join_parts

from .test_prepare import candidate_of


def words(count, draw):
    return " ".join(f"w{draw.randrange(4000)}" for _ in range(count))


@pytest.mark.parametrize("turned", [False, True])
def test_questions_on_one_text_are_no_near_copies_of_one_another_but_copies_of_a_question_are(turned):
    context = " ".join(f"word{number % 53} thing{number}" for number in range(120))
    inputs = [
        join_parts((each, question) if turned else (question, each))
        for question, each in (
            ("who won the second race of the season?", context),
            ("how many people live in that town today?", context),
            ("who won the second race of the season", context + " Added."),
        )
    ]
    one, other, copy = (signatures_of_words([compared_words(text)]) for text in inputs)
    assert estimated_jaccard(one, other)[0] < 0.6 and estimated_jaccard(one, copy)[0] > 0.9


def test_one_text_and_two_of_a_size_are_compared_by_their_words_alone():
    for text in ("Which one, of two?", join_parts(("a small dog", "some big cat"))):
        assert compared_words(text) == shingle_words(text)
    assert compared_words("") == [] and compared_words(join_parts(("", "a b"))) == ["a", "b"]


@pytest.mark.parametrize("problem", ["text-ranking", "text-classification"])
def test_documents_that_many_queries_share_are_copies_of_nothing(home, write, problem):
    draw = random.Random(0)
    documents = [words(70, draw) for _ in range(12)]
    rows = [
        {"query": query, "document": document, "relevance": int(place == 0)}
        for query in [words(4, draw) for _ in range(25)]
        for place, document in enumerate(draw.sample(documents, 4))
    ]
    target = {"number": "relevance"} if problem == "text-ranking" else {"label": "relevance"}
    kept, _, made = candidate_of(home, problem, source=write(rows), text="query", text_pair="document", **target)
    assert len(kept) == len(rows) and made.overlap.test_rows_with_a_neighbour == 0


@pytest.mark.parametrize("enabled", [False, True])
def test_a_pair_of_equal_rank_that_was_turned_round_is_the_same_pair(home, write, enabled):
    draw = random.Random(1)
    pairs = [(words(2, draw), words(2, draw), draw.randint(0, 5)) for _ in range(120)]
    rows = [{"a": a, "b": b, "score": s} for a, b, s in pairs] + [{"a": b.title(), "b": a, "score": s} for a, b, s in pairs]
    names = {"text": "a", "text_pair": "b", "number": "score", "deduplicate": {"enabled": enabled}}
    kept, _, _ = candidate_of(home, "sentence-similarity", source=write(rows), **names)
    splits = kept.assign(pair=[in_any_order(text.casefold()) for text in kept["text"]]).groupby("pair")["split"]
    assert (splits.nunique() == 1).all() and not (enabled and (splits.size() > 1).any())
    kept, _, _ = candidate_of(home, "text-regression", source=write(rows), **names)
    assert len(kept) > 230  # a cross-encoder may answer otherwise where the order is another
