"""A model made ready to answer says what its artifact says, by whichever way through it; one that does not is refused."""

import itertools
import json
import random
import shutil

import numpy as np
import pytest
from serving_parts import LABELS, TEXTS, version

from configs.errors import InfraError
from configs.schema import Full
from tasks.learning.device import numerics
from tasks.learning.unpadded import pass_tokens
from tasks.problems.types import NetworkAnswer
from tasks.serving.packaged_model import load_package
from tasks.serving.predictor import cut_batches, make_ready
from tasks.serving.smoke_test import CHECK, check_answers, write_check

MIXED = ["", *(" ".join(text.split()[: place % 13 + 1]) for place, text in enumerate(TEXTS)), " ".join(TEXTS[:4])]


@pytest.fixture(scope="module")
def stored(bert_folder, tmp_path_factory):
    return version(tmp_path_factory.mktemp("lora"), bert_folder, 3)


def ready(folder, base, home):
    return make_ready("1", load_package(folder, base, home, {}))


@pytest.mark.parametrize("adapter", [None, Full()])
def test_without_padding_and_with_adapters_merged_the_answers_are_the_same(bert_folder, tmp_path, adapter):
    folder = version(tmp_path, bert_folder, 3, adapter=adapter, spread=0.1)
    wanted = load_package(folder, bert_folder, tmp_path, {}).predict(MIXED)
    answering = ready(folder, bert_folder, tmp_path)
    assert answering.flat is not None
    for flat in (answering.flat, None):
        if flat is None:
            answering.flat.leave()
        answering.flat = flat
        said = answering.answers(MIXED)
        assert [one.prediction for one in said] == wanted["label"].tolist() and [one.text for one in said] == MIXED
        assert [one.score for one in said] == pytest.approx(wanted["score"].tolist(), abs=1e-5)
        assert answering.answers([]) == []


def test_nothing_of_the_adapters_is_left_in_the_way(stored, bert_folder, tmp_path):
    names = {type(part).__module__ for part in ready(stored, bert_folder, tmp_path).kept.network.model.modules()}
    assert not any(name.startswith("peft.tuners.lora.layer") for name in names)


def test_more_tokens_than_one_pass_may_have_are_several(stored, bert_folder, tmp_path, monkeypatch):
    answering = ready(stored, bert_folder, tmp_path)
    whole = [one.score for one in answering.answers(MIXED)]
    monkeypatch.setattr("tasks.learning.unpadded.MOST_TOKENS", 40)
    assert [one.score for one in answering.answers(MIXED)] == pytest.approx(whole, abs=1e-5)


def test_passes_come_in_few_sizes_and_none_is_much_larger_than_its_texts():
    sizes = {pass_tokens(tokens) for tokens in range(1, 16_385)}
    assert len(sizes) == 16 + 28 + 56 and max(sizes) == 16_384
    assert all(tokens <= pass_tokens(tokens) < tokens + max(16, tokens / 4) for tokens in range(1, 16_385))


def test_a_model_that_the_way_without_padding_does_not_fit_goes_the_other(stored, bert_folder, tmp_path, monkeypatch):
    wanted = load_package(stored, bert_folder, tmp_path, {}).predict(MIXED)["score"].tolist()
    monkeypatch.setattr("tasks.learning.unpadded.np.arange", lambda n: np.zeros(n, int))  # positions that the model does not expect
    answering = ready(stored, bert_folder, tmp_path)
    assert answering.flat is None
    assert [one.score for one in answering.answers(MIXED)] == pytest.approx(wanted, abs=1e-5)


def test_in_bf16_the_answers_are_those_of_the_artifact_in_bf16(bert_folder, tmp_path):
    folder = version(tmp_path, bert_folder, 3, precision="bf16", spread=0.05)
    wanted = load_package(folder, bert_folder, tmp_path, {}).predict(MIXED)
    answering = ready(folder, bert_folder, tmp_path)
    assert [one.score for one in answering.answers(MIXED)] == pytest.approx(wanted["score"].tolist(), abs=0.03)
    assert "checked: 16 of 16" in check_answers(answering, folder, answering.how)


# --- the cut ---------------------------------------------------------------------------------------------------------


def cost(lengths, batches, one_pass):
    return sum(one_pass + len(rows) * max(lengths[row] for row in rows) for rows in batches)


def test_no_other_cut_of_the_sorted_rows_costs_less():
    draw = random.Random(5)
    for _ in range(60):
        lengths = [draw.randint(1, 30) for _ in range(draw.randint(1, 8))]
        one_pass = draw.choice([0, 5, 20, 100])
        order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
        places = range(1, len(order))
        ways = (marks for count in range(len(order)) for marks in itertools.combinations(places, count))
        best = min(cost(lengths, [order[a:b] for a, b in itertools.pairwise((0, *marks, len(order)))], one_pass) for marks in ways)
        found = cut_batches(lengths, one_pass)
        assert sorted(itertools.chain(*found)) == list(range(len(lengths)))
        assert cost(lengths, found, one_pass) == best
    assert cut_batches([], 5) == []


def answers_of(held, less=0.0):
    """The answers of a stored check, their scores by so much lower."""
    return [NetworkAnswer(text, score - less) for text, score in zip(held["predictions"], held["scores"], strict=True)]


# --- the check -------------------------------------------------------------------------------------------------------


def test_a_version_that_answers_as_at_release_passes(stored, bert_folder, tmp_path):
    answering = ready(stored, bert_folder, tmp_path)
    assert check_answers(answering, stored, answering.how).startswith("checked: 16 of 16 answers as at release")
    assert len(json.loads((stored / CHECK).read_text())["texts"]) == 16
    assert load_package(stored, bert_folder, tmp_path, {})  # and its manifest fits


def test_other_weights_under_the_same_answers_are_refused(stored, bert_folder, tmp_path):
    other = version(tmp_path / "other", bert_folder, 4)
    held = json.loads((stored / CHECK).read_text())
    shutil.copytree(other, tmp_path / "mixed")
    write_check(tmp_path / "mixed", held["texts"], answers_of(held), numerics("fp32"))
    answering = ready(tmp_path / "mixed", bert_folder, tmp_path)
    with pytest.raises(InfraError, match="of 16 texts otherwise than at its release"):
        check_answers(answering, tmp_path / "mixed", answering.how)


def test_a_small_change_of_every_score_is_seen_in_fp32_and_not_in_bf16(stored, bert_folder, tmp_path):
    answering = ready(stored, bert_folder, tmp_path)
    held = json.loads((stored / CHECK).read_text())
    shutil.copytree(stored, tmp_path / "moved")
    write_check(tmp_path / "moved", held["texts"], answers_of(held, 1e-3), answering.how)
    with pytest.raises(InfraError, match="16 of 16 texts otherwise"):
        check_answers(answering, tmp_path / "moved", answering.how)
    from dataclasses import replace

    assert "16 of 16" in check_answers(answering, tmp_path / "moved", replace(answering.how, dtype="bf16"))


def test_a_version_released_without_answers_says_so(stored, bert_folder, tmp_path):
    answering = ready(stored, bert_folder, tmp_path)
    assert check_answers(answering, tmp_path, answering.how).startswith("not checked")


def test_writing_the_same_answers_again_changes_nothing(stored):
    before = (stored / "manifest.json").stat().st_ino
    held = json.loads((stored / CHECK).read_text())
    write_check(stored, held["texts"], answers_of(held), numerics("fp32"))
    assert (stored / "manifest.json").stat().st_ino == before and len(LABELS) == 4


def test_the_log_gets_tags_and_the_network_reads_kinds_so_that_a_key_changes_no_answer(bert_folder, tmp_path):
    texts, homes = ["please call 030 1234567", "kan <PHONE_NUMBER> lon"], [tmp_path / name for name in ("a", "b")]
    folder = version(tmp_path, bert_folder, 3, home=homes[0])
    said = [ready(folder, bert_folder, home).answers(texts) for home in homes]
    assert all("<PHONE_NUMBER:" in each[0].text and each[1].text == texts[1] for each in said)
    assert said[0][0].text != said[1][0].text and [one.score for one in said[0]] == [one.score for one in said[1]]
    plain = [load_package(folder, bert_folder, home, {}).predict(texts) for home in homes]
    assert plain[0].equals(plain[1])


def test_a_version_of_before_answers_with_the_labels_it_was_released_with(bert_folder, tmp_path):
    folder = version(tmp_path, bert_folder, 3, labels=("0.0", "1.0", "True"))
    answering = ready(folder, bert_folder, tmp_path)
    assert {one.prediction for one in answering.answers(TEXTS)} <= {"0.0", "1.0", "True"}
    assert "checked" in check_answers(answering, folder, numerics("fp32")) and answering.kept.network.spec.labels == (
        "0",
        "1",
        "true",
    )


def test_of_a_long_text_only_the_head_is_read_and_its_tokens_are_those_of_the_whole(stored, bert_folder, tmp_path):
    from tasks.problems.classifier import encode_texts
    from tasks.serving.predictor import encode_heads

    tokenizer, draw, sizes = load_package(stored, bert_folder, tmp_path, {}).network.tokenizer, random.Random(2), []

    class Counting:
        def __call__(self, texts, **given):
            sizes.append(sum(map(len, texts)))
            return tokenizer(texts, **given)

    words = [word for text in TEXTS for word in text.split()]
    texts = [" ".join(draw.choices([*words, "unbekannt", "é", "x" * 150, "..."], k=3000)), "a" * 5000, "word\n" * 2000, "short", ""]
    texts += ["\u200d " * 3000, f"{'x' * 9000} {texts[0]}"]
    assert encode_heads(Counting(), texts, 32) == encode_texts(tokenizer, texts, 32)
    sizes.clear()
    encode_heads(Counting(), [" ".join(draw.choices(words, k=20_000))], 32)
    assert sum(sizes) <= 12 * 32
