"""Tags, windows, decoding and scores of labelled spans, and the rules that they are held against."""

import itertools
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from configs.errors import InputError
from configs.schema import Full
from tasks.common.bases import find_base
from tasks.data.redaction.redact import Redactor
from tasks.data.spans import spans_of, write_spans
from tasks.learning.finetuned import read_finetuned
from tasks.learning.network import build_network, spec_of
from tasks.problems import problem_of
from tasks.problems.baselines import spans as baselines
from tasks.problems.metrics import span_metrics
from tasks.problems.metrics.spans import label_counts, span_scores
from tasks.problems.padding import IGNORED
from tasks.problems.tagger import cut_windows
from tasks.problems.tagging import (
    best_tags,
    best_word_tags,
    is_valid,
    read_tag_names,
    spans_of_tags,
    tag_count,
    tags_of,
    word_starts,
)
from tasks.problems.types import Writing

PROBLEM = problem_of("token-classification")
LABELS = ("KEY north", "KEY red")


@pytest.fixture(scope="module")
def network(bert_folder):
    spec = spec_of("token-classification", Full(), LABELS, 24, 0, find_base(str(bert_folder)))
    return build_network(spec, bert_folder)


def test_every_token_of_a_span_is_tagged_and_tags_give_the_span_back():
    places = [(0, 3), (3, 5), (6, 9), (9, 10), (11, 14)]
    spans = [(0, 5, "A"), (6, 9, "B"), (9, 14, "A")]
    assert tags_of(places, spans, ("A", "B")) == [1, 2, 3, 1, 2] and tags_of(places, spans, ("B",)) == [0, 0, 1, 0, 0]
    found = spans_of_tags(places, [1, 2, 3, 1, 2], ("A", "B"), "abcde fgh. klm")
    assert [span for span, _ in found] == spans and found[0][1] == slice(0, 2)
    spaced = spans_of_tags([(0, 3), (3, 7)], [0, 1], ("A",), "Ann Bob")
    assert spaced[0][0] == (4, 7, "A"), "a token may begin with the space before its word"
    placeholder = [(0, 10)] * 4
    assert tags_of(placeholder, [(0, 10, "A")], ("A",)) == [1, 2, 2, 2]
    assert [span for span, _ in spans_of_tags(placeholder, [1, 2, 3, 0], ("A", "B"), "<MAIL:012>")] == [(0, 10, "A")]


@settings(derandomize=True, database=None, deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(1, 2), st.integers(0, 10_000))
def test_decoding_finds_the_most_probable_valid_tags_of_all(tokens, labels, seed):
    scores = np.log(np.random.default_rng(seed).dirichlet(np.ones(tag_count(labels)), size=tokens))
    every = [np.array(tags) for tags in itertools.product(range(tag_count(labels)), repeat=tokens)]
    best = max(scores[np.arange(tokens), tags].sum() for tags in every if is_valid(tags))
    decoded = best_tags(scores)
    assert is_valid(decoded) and scores[np.arange(tokens), decoded].sum() == pytest.approx(best)


@settings(derandomize=True, database=None, deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(0, 10_000))
def test_of_whole_words_the_most_probable_valid_tags_are_those_that_cut_none(sizes, seed):
    tokens, starts = sum(sizes), np.cumsum([0, *sizes[:-1]]).tolist()
    scores = np.log(np.random.default_rng(seed).dirichlet(np.ones(3), size=tokens))
    every = [np.array(tags) for tags in itertools.product(range(3), repeat=tokens)]
    inner = [token for token in range(tokens) if token not in starts]
    whole = [tags for tags in every if is_valid(tags) and all(tags[t] == (2 if tags[t - 1] else 0) for t in inner)]
    decoded = best_word_tags(scores, starts)
    assert any((decoded == tags).all() for tags in whole)
    assert scores[np.arange(tokens), decoded].sum() == pytest.approx(max(scores[np.arange(tokens), tags].sum() for tags in whole))


def test_words_are_told_by_their_letters_and_whether_spans_cut_them_by_the_rows(network):
    text = "ab cde, <X> fg-h"
    places = [(0, 1), (1, 2), (2, 4), (4, 6), (6, 7), (8, 11), (8, 11), (12, 14), (14, 15), (15, 16)]
    assert word_starts(places, text) == [0, 2, 4, 5, 7, 8, 9]
    rows = tiny.span_rows(30)
    assert PROBLEM.with_rows(network.spec, rows).whole_words and PROBLEM.with_rows(network.spec, rows).labels == LABELS
    cut = rows.assign(
        target=[write_spans((start, end - 1, label) for start, end, label in spans_of(each)) for each in rows["target"]]
    )
    assert not PROBLEM.with_rows(network.spec, cut).whole_words
    spec = PROBLEM.with_rows(network.spec, rows.assign(text="\u6f22\u5b57" * 90))
    assert not spec.whole_words, "of languages without spaces nothing is a word"


def oracle(tags):
    """The spans of IOB2 tags as strict seqeval has them: (sentence, first, last, type); an I that follows no B begins nothing."""
    spans = set()
    for number, sentence in enumerate(tags):
        start = None
        for place, tag in enumerate([*sentence, "O"]):
            goes_on = start is not None and tag == f"I-{start[1]}"
            if start is not None and not goes_on:
                spans.add((number, start[0], place - 1, start[1]))
                start = None
            if tag.startswith("B-"):
                start = (place, tag[2:])
    return spans


def test_scores_are_those_of_strict_tags_on_words_and_a_row_without_spans_answered_without_is_right():
    draw = np.random.default_rng(3)
    truth, answers, targets, predictions = [], [], [], []
    for _ in range(200):
        words = int(draw.integers(1, 9))
        for tags, spans in ((truth, targets), (answers, predictions)):
            own, before = [], "O"
            for _ in range(words):
                options = ["O", "B-X", "B-Y", *([f"I-{before[2:]}"] if before != "O" else [])]
                before = str(draw.choice(options))
                own.append(before)
            tags.append(own)
            places = [(2 * place, 2 * place + 1) for place in range(words)]
            codes = [{"O": 0, "B-X": 1, "I-X": 2, "B-Y": 3, "I-Y": 4}[tag] for tag in own]
            spans.append(write_spans(span for span, _ in spans_of_tags(places, codes, ("X", "Y"), "w " * words)))
    wanted, said = oracle(truth), oracle(answers)
    scores = span_metrics(targets, predictions)
    assert scores["precision_micro"] == pytest.approx(len(wanted & said) / len(said))
    assert scores["recall_micro"] == pytest.approx(len(wanted & said) / len(wanted))
    assert scores["f1_micro"] == pytest.approx(2 * len(wanted & said) / (len(said) + len(wanted)))
    per_type = [2 * sum(s[3] == t for s in wanted & said) / sum(s[3] == t for s in [*wanted, *said]) for t in "XY"]
    assert scores["f1_macro"] == pytest.approx(np.mean(per_type))
    rows = []
    for number in range(200):
        own, answered = ({span for span in spans if span[0] == number} for spans in (wanted, said))
        rows.append(2 * len(own & answered) / (len(own) + len(answered)) if own or answered else 1.0)
    assert scores["f1_rows"] == pytest.approx(np.mean(rows)) and scores["rows_right"] == np.mean(np.array(rows) == 1.0)
    assert span_scores([[]], [[]])["f1_rows"] == 1.0 and span_scores([[]], [[]])["f1_micro"] == 1.0
    assert span_scores([[(0, 1, "A")]], [[(0, 2, "A")]])["f1_rows"] == 0.0, "nothing is half right"
    assert label_counts([[(0, 1, "A")]], [[(0, 1, "B")]])["A"] == (1, 0, 0)
    with pytest.raises(ValueError):
        span_scores([], [])


def test_a_long_text_is_read_whole_and_each_of_its_tokens_once(network):
    rows = tiny.span_rows(9, seed=4)
    text = " ".join(rows["text"])
    whole = network.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    windows = cut_windows(network.tokenizer, network.spec, [text, "", "kan"])
    places = [place for window in windows if window.row == 0 for place in window.places]
    assert places == [tuple(place) for place in whole["offset_mapping"]] and len(places) > 3 * network.spec.max_length
    ids = [window.ids[token] for window in windows if window.row == 0 for token in window.tokens]
    assert ids == whole["input_ids"]
    assert all(len(window.ids) <= network.spec.max_length for window in windows)
    assert [window.row for window in windows if window.row] == [1, 2] and windows[-2].places == []
    inner = [window for window in windows if window.row == 0][1]
    assert inner.tokens.start > 1 and inner.tokens.stop < len(inner.ids) - 1, "the ends of a window are read from its neighbours"


def test_the_windows_of_a_text_teach_the_tags_of_all_of_it(network):
    spans, at, texts = [], 0, []
    for row in tiny.span_rows(9, seed=4).itertuples():
        spans += [(start + at, end + at, label) for start, end, label in spans_of(row.target)]
        texts.append(row.text)
        at += len(row.text) + 1
    text = " ".join(texts)
    examples = PROBLEM.encode_rows(network.tokenizer, network.spec, pd.DataFrame({"text": [text], "target": [write_spans(spans)]}))
    tags = [tag for example in examples for tag in example["labels"] if tag != IGNORED]
    places = [
        tuple(place) for place in network.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    ]
    assert tags == tags_of(places, spans, LABELS)
    assert [span for span, _ in spans_of_tags(places, tags, LABELS, text)] == spans


def test_an_answer_is_in_the_text_as_it_is_stored_though_the_network_reads_kinds_alone(network):
    (text,) = Redactor(("EMAIL_ADDRESS",), b"k" * 32).redact(["kan ann@example.org lost north"])
    (window,) = cut_windows(network.tokenizer, network.spec, [text])
    start = text.index("<")
    assert {place for place in window.places if start <= place[0] < text.index(">")} == {(start, text.index(">") + 1)}
    assert window.places[-1] == (len(text) - 5, len(text))
    for answer in PROBLEM.answer_texts(network, [text, ""], Writing(0), 2, nullcontext):
        assert len(answer.parts) == len(spans_of(answer.prediction)) and 0 <= answer.score <= 1


class SlowTokenizer:
    is_fast = False


def test_a_base_whose_tokenizer_cannot_tell_places_or_a_window_without_room_is_refused(network):
    with pytest.raises(InputError, match=r"model\.base .*does not say where in a text its tokens lie"):
        cut_windows(SlowTokenizer(), network.spec, ["a"])
    with pytest.raises(InputError, match=r"model\.max_length: 2 leaves no room"):
        cut_windows(network.tokenizer, replace(network.spec, max_length=2), ["a"])


@pytest.mark.parametrize("kind", ["bytes", "metaspace"])
def test_tokens_that_carry_their_space_give_spans_without_it(kind, tmp_path, network):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE(unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False) if kind == "bytes" else pre_tokenizers.Metaspace()
    core.decoder = decoders.ByteLevel() if kind == "bytes" else decoders.Metaspace()
    alphabet = pre_tokenizers.ByteLevel.alphabet() if kind == "bytes" else ["\u2581"]
    text = "Ada met B\u00f8b M\u00fcller in Oslo \U0001f600 today"
    core.train_from_iterator(
        [text] * 3, trainers.BpeTrainer(vocab_size=400, special_tokens=["[UNK]", "[PAD]"], initial_alphabet=alphabet)
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]")
    spans = [(0, 3, "KEY red"), (8, 18, "KEY north"), (27, 28, "KEY red")]
    (window,) = cut_windows(tokenizer, network.spec, [text])
    tags = tags_of(window.places, spans, LABELS)
    assert [span for span, _ in spans_of_tags(window.places, tags, LABELS, text)] == spans


def adopted(bert_folder, folder, names):
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    torch.manual_seed(4)
    table = dict(enumerate(names))
    model = AutoModelForTokenClassification.from_pretrained(
        bert_folder, num_labels=len(names), id2label=table, label2id={name: code for code, name in table.items()}
    )
    model.classifier.weight.data.mul_(50)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(bert_folder).save_pretrained(folder)
    return model.eval()


def test_a_model_that_was_fine_tuned_elsewhere_answers_by_the_names_of_its_outputs(bert_folder, tmp_path):
    names = ("I-LOC", "O", "B-PER", "B-LOC", "I-PER")
    model = adopted(bert_folder, tmp_path / "model", names)
    read = read_finetuned(tmp_path / "model", "token-classification", 24)
    assert read.labels == ("LOC", "PER")
    network = build_network(read.spec("token-classification", 24), read.base.path)
    text = tiny.rows(1)[0]["text"]
    encoded = network.tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    with torch.inference_mode():
        logits = model(input_ids=encoded["input_ids"]).logits[0, 1:-1].numpy()
    order = [names.index(name) for name in ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")]
    tags = best_tags(log_softmax(logits.astype(np.float64), axis=1)[:, order])
    places = [tuple(place) for place in encoded["offset_mapping"][0, 1:-1].tolist()]
    expected = [span for span, _ in spans_of_tags(places, tags, ("LOC", "PER"), text)]
    (answer,) = PROBLEM.answer_texts(network, [text], Writing(0), 2, nullcontext)
    assert list(spans_of(answer.prediction)) == expected and expected


def test_tags_that_do_not_tell_a_first_token_go_on_and_outputs_without_names_are_refused(bert_folder, tmp_path):
    assert read_tag_names({0: "O", 1: "I-X", 2: "B-Y", 3: "I-Y"}) == {"": (0, 0), "X": (1, 1), "Y": (2, 3)}
    assert read_tag_names({0: "LABEL_0", 1: "LABEL_1"}) is None and read_tag_names({0: "O"}) is None
    adopted(bert_folder, tmp_path / "model", ("O", "I-X"))
    read = read_finetuned(tmp_path / "model", "token-classification", 24)
    network = build_network(read.spec("token-classification", 24), read.base.path)
    network.model.network.classifier.bias.data[1] = 100.0
    text = tiny.rows(1)[0]["text"]
    (answer,) = PROBLEM.answer_texts(network, [text], Writing(0), 2, nullcontext)
    assert answer.prediction == write_spans([(0, len(text), "X")]), "one span, not one for each token"
    adopted(bert_folder, tmp_path / "other", ("LABEL_0", "LABEL_1"))
    with pytest.raises(InputError, match="not named as tags of spans"):
        read_finetuned(tmp_path / "other", "token-classification", 24)


def spans_text(text, target):
    return [(text[start:end], label) for start, end, label in spans_of(target)]


def test_the_dictionary_takes_the_longest_match_the_commonest_label_and_no_common_word():
    train = [
        "Ada met Ada Byron",
        "Ada Byron left in May",
        "I may go in May",
        "May left",
        "call <EMAIL_ADDRESS:01234567> now",
        "Ada",
    ]
    known = [[(0, 3, "A"), (8, 17, "B")], [(0, 9, "B"), (18, 21, "M")], [], [], [(5, 29, "MAIL")], [(0, 3, "A")]]
    text = "Ada Byron saw Ada in May: <EMAIL_ADDRESS:89abcdef>"
    found = baselines.dictionary(train, [write_spans(spans) for spans in known], [text]).predictions[0]
    assert spans_text(text, found) == [("Ada Byron", "B"), ("Ada", "A"), ("<EMAIL_ADDRESS:89abcdef>", "MAIL")]


def test_words_in_context_learn_what_a_dictionary_cannot_and_twice_the_same():
    names = ["Ada", "Bob", "Cleo", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon"]
    train = [
        f"{greeting} {name} , see you in {city}"
        for name in names
        for greeting in ("Dear", "Hello")
        for city in ("Oslo", "Rome", "Bonn")
    ]
    known = [write_spans([(t.index(" ") + 1, t.index(" ,"), "NAME"), (t.rindex(" ") + 1, len(t), "CITY")]) for t in train]
    test = ["Dear Zoe , see you in Paris", "nothing"]
    one, two = (baselines.words_in_context(train, known, test).predictions for _ in range(2))
    assert one == two and spans_text(test[0], one[0]) == [("Zoe", "NAME"), ("Paris", "CITY")]
    assert baselines.words_in_context(["a", "b"], ["[]", "[]"], ["c"]).predictions == ["[]"]
    assert baselines.nothing(2).predictions == ["[]", "[]"]
