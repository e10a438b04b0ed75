"""Texts in a model's own tokens: how many, and what share of them it does not know."""

import pickle

import pytest
import tiny
from tokenizers import Tokenizer, models, pre_tokenizers

from tasks.data.preparation.token_lengths import TokenLengths, UnknownShares


def saved(folder, model, pre=None):
    tokenizer = Tokenizer(model)
    if pre is not None:
        tokenizer.pre_tokenizer = pre
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def test_the_share_of_unknown_tokens_leaves_out_what_the_tokenizer_adds(tmp_path):
    tiny.tokenizer(tmp_path, wrap=True)
    shares = pickle.loads(pickle.dumps(UnknownShares(tmp_path / "tokenizer.json")))
    assert shares(["north south", "north unheard", "ganz andere Worte", ""]) == [0.0, 0.5, 1.0, 1.0]
    assert TokenLengths(tmp_path / "tokenizer.json")(["north south"]) == [4]


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (models.BPE(vocab={"<unk>": 0, "a": 1, "b": 2}, merges=[], unk_token="<unk>"), [0.0, 0.5]),
        (models.Unigram([("<unk>", 0.0), ("a", -1.0), ("b", -1.0)], 0), [0.0, 0.5]),
        (models.WordPiece(vocab={"[UNK]": 0, "a": 1, "##b": 2}, unk_token="[UNK]"), [0.0, 1.0]),
        (models.BPE(vocab={"a": 0, "b": 1}, merges=[]), [0.0, 0.0]),  # drops what it does not know, and has no token for it
    ],
)
def test_every_kind_of_tokenizer_says_which_token_stands_for_the_unknown(tmp_path, model, wanted):
    assert UnknownShares(saved(tmp_path, model))(["ab", "aß"]) == wanted


def test_a_text_of_which_nothing_is_left_is_unknown(tmp_path):
    file = saved(tmp_path, models.BPE(vocab={"a": 0}, merges=[]))
    assert UnknownShares(file)(["a", "Ж"]) == [0.0, 1.0]


def test_a_tokenizer_of_bytes_knows_every_text(tmp_path):
    letters = {letter: place for place, letter in enumerate(pre_tokenizers.ByteLevel.alphabet())}
    file = saved(tmp_path, models.BPE(vocab=letters, merges=[]), pre_tokenizers.ByteLevel(add_prefix_space=False))
    assert UnknownShares(file)(["a", "Ж 漢字"]) == [0.0, 0.0]
