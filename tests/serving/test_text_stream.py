"""Tokens become text as they come: whole characters, no stop word, no space at either end."""

import random

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tasks.serving.generation.text_stream import AnswerText, TokenText

TEXTS = ["plain words", "Grüße 中文 👩‍👩‍👧 é", "a\nb\n\n c", "👩", "naïve — “quotes” …", "x" * 300]


def by_bytes():
    """Each byte a token, spelled as GPT-2 does."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({sign: place for place, sign in enumerate([*alphabet, "</s>"])}, []))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>")


def by_fallback():
    """Letters and the mark of a word's begin, and bytes for all else, as Llama does."""
    signs = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"abcdefghijklmnopqrstuvwxyz", "</s>"]
    core = Tokenizer(
        models.BPE({sign: place for place, sign in enumerate(signs)}, [], unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="<unk>")


TOKENIZERS = pytest.mark.parametrize("make", [by_bytes, by_fallback])


@TOKENIZERS
@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_whole_characters_and_together_the_text(make, text):
    tokenizer = make()
    ids = tokenizer(text)["input_ids"]
    stream = TokenText(tokenizer)
    pieces = [stream.add(token) for token in ids]
    assert "\ufffd" not in "".join(pieces)
    assert "".join(pieces) + stream.end() == tokenizer.decode(ids, skip_special_tokens=True)
    for piece in pieces:
        assert piece.encode().decode() == piece


@TOKENIZERS
def test_a_character_comes_with_its_last_byte_and_not_before(make):
    tokenizer = make()
    ids = tokenizer("中")["input_ids"]
    stream = TokenText(tokenizer)
    assert [stream.add(token) for token in ids[:-1]] == [""] * (len(ids) - 1) and stream.add(ids[-1]) == "中"


def test_bytes_that_never_become_a_character_are_shown_at_the_end():
    tokenizer = by_bytes()
    stream = TokenText(tokenizer)
    assert [stream.add(token) for token in tokenizer("中")["input_ids"][:2]] == ["", ""] and stream.end() == "\ufffd"
    assert stream.end() == ""


def test_bytes_that_never_become_a_character_wait_for_a_few_more_alone():
    tokenizer = by_bytes()
    stream, begun = TokenText(tokenizer), tokenizer("中")["input_ids"][0]
    pieces = [stream.add(begun) for _ in range(1000)]
    assert max(map(len, pieces)) < 20 and len("".join(pieces) + stream.end()) == 1000 and len(stream._window) < 40


@TOKENIZERS
def test_an_answer_shows_no_space_at_either_end_and_only_ever_grows(make):
    tokenizer = make()
    answer, shown = AnswerText(tokenizer), ""
    for token in tokenizer("  two  words \n ")["input_ids"]:
        assert not answer.add(token) and answer.shown.startswith(shown) and answer.shown == answer.shown.strip()
        shown = answer.shown
    assert not answer.end() and answer.shown == "two  words"


@pytest.mark.parametrize(
    ("text", "stops", "shown"),
    [
        ("one END two", ("END",), "one"),
        ("one EN END two", ("END",), "one EN"),
        ("one EN", ("END",), "one EN"),
        ("one\n\ntwo", ("\n\n",), "one"),
        ("\n\none", ("\n\n",), ""),
        ("aaaab", ("aab",), "aa"),
        ("one two three", ("three", "two"), "one"),
        ("中文字", ("文",), "中"),
        ("one", ("one",), ""),
        ("abcabd", ("abd",), "abc"),
    ],
)
def test_an_answer_ends_before_the_first_stop_word_of_which_nothing_is_ever_shown(text, stops, shown):
    tokenizer = by_bytes()
    answer, seen, ended = AnswerText(tokenizer, stops), [], False
    for token in tokenizer(text)["input_ids"]:
        ended = answer.add(token)
        seen.append(answer.shown)
        if ended:
            break
    ended = ended or answer.end()
    assert answer.shown == shown and ended == any(stop in text for stop in stops)
    assert all(shown.startswith(before) for before in seen)


def test_random_texts_with_random_stop_words_are_cut_as_the_whole_text_would_be():
    tokenizer, draw = by_bytes(), random.Random(5)
    for _ in range(300):
        text = "".join(draw.choices("ab \né中", k=draw.randint(1, 30)))
        stops = tuple("".join(draw.choices("ab \né中", k=draw.randint(1, 3))) for _ in range(draw.randint(0, 3)))
        answer = AnswerText(tokenizer, stops)
        if not any(answer.add(token) for token in tokenizer(text)["input_ids"]):
            answer.end()
        whole = text
        # the one that is whole first ends the answer; of those that end together the longest, which begins first
        ends = [(place + len(stop), place) for stop in stops if (place := text.find(stop)) >= 0]
        if ends:
            end = min(ends)[0]
            whole = text[: min(place for stop in stops if (place := text[:end].find(stop)) >= 0)]
        assert answer.shown == whole.strip(), (text, stops)
