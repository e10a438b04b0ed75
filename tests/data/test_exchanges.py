"""Conversations that go on from one another: no answer of test is learned from a longer row."""

import random

from tasks.data.turns import is_conversation

from .test_prepare import candidate_of

WORDS = [a + b for a in ("ka", "lo", "mi", "ru", "te") for b in ("n", "st", "ra", "le", "mp", "do")]


def talk(*contents):
    return [{"role": ("user", "assistant")[place % 2], "content": content} for place, content in enumerate(contents)]


def said(draw, count):
    return [" ".join(draw.choices(WORDS, k=5)) for _ in range(count)]


def prepared(home, write, talks):
    return candidate_of(home, "text-generation", source=write([{"messages": each} for each in talks]), messages="messages")[0]


def test_a_log_that_keeps_all_that_was_said_at_each_answer_shows_training_no_answer_of_test(home, write):
    draw = random.Random(0)
    logged = [talk(*contents[:end]) for contents in (said(draw, 6) for _ in range(40)) for end in (2, 4, 6)]
    kept = prepared(home, write, logged)
    kept["whole"] = kept["text"] + "\x1eassistant\x1e" + kept["target"]
    whole = kept.groupby("split")["whole"].apply(list)
    assert all(map(is_conversation, kept["text"])) and len(whole["train"]) > 40 and len(whole["test"]) > 15
    assert not any(long.startswith(short) for short in whole["test"] for long in whole["train"])
    assert any(long.startswith(short) for short in whole["train"] for long in whole["test"])  # such rows may stay


def test_a_greeting_that_many_conversations_begin_with_parts_none_of_them_from_training(home, write):
    draw = random.Random(1)
    openings = [talk(word, "what can I do for you?") for word in WORDS]
    greeted = [[*opening, *talk(*said(draw, 2))] for opening in openings for _ in range(4)]
    kept = prepared(home, write, [*openings, *greeted])
    assert len(kept) == 5 * len(openings) and "test" in set(kept[~kept["text"].str.contains("assistant")]["split"])
