"""Answers that stand in a text: SQuAD's measures, windows over long contexts, the choice of none, baselines."""

import re
import string
from collections import Counter
from contextlib import nullcontext
from random import Random

import numpy as np
import pytest
import tiny

from configs.errors import InputError
from configs.schema import Full
from tasks.common.bases import find_base
from tasks.data.answers import NO_ANSWER, Place, answer_texts, context_of, places_of, read_answers, write_places
from tasks.data.text_parts import MARK, join_parts
from tasks.learning.finetuned import read_finetuned
from tasks.learning.network import build_network, spec_of
from tasks.problems import problem_of
from tasks.problems.answer_spans import NOTHING, Span, best_span, confidence, find_spans, fit_temperature, fit_threshold
from tasks.problems.answer_windows import MOST_WINDOWS, Window, collate_windows, encode_windows
from tasks.problems.baselines.answers import KnownAnswers, all_baselines
from tasks.problems.metrics import answer_metrics
from tasks.problems.metrics.answers import answer_lengths, answers_f1
from tasks.problems.types import Writing

NAME = "question-answering"


def published(predictions, accepted):
    """The measures of SQuAD 2.0's evaluation, written from its definition: rows that have answers, and rows that have none."""

    def plain(text):
        kept = "".join(sign for sign in text.lower() if sign not in set(string.punctuation))
        return " ".join(re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", kept).split())

    def f1(right, said):
        right, said = plain(right).split(), plain(said).split()
        same = sum((Counter(right) & Counter(said)).values())
        if not right or not said:
            return float(right == said)
        if same == 0:
            return 0.0
        precision, recall = same / len(said), same / len(right)
        return 2 * precision * recall / (precision + recall)

    rows = []
    for said, texts in zip(predictions, accepted, strict=True):
        right = [text for text in texts if plain(text)] or [""]
        rows.append((max(plain(text) == plain(said) for text in right), max(f1(text, said) for text in right), bool(texts)))
    has, none = [row for row in rows if row[2]], [row for row in rows if not row[2]]
    out = {"exact_match": np.mean([row[0] for row in rows]), "f1": np.mean([row[1] for row in rows])}
    out |= {"has_answer_exact": np.mean([row[0] for row in has]), "has_answer_f1": np.mean([row[1] for row in has])} if has else {}
    return out | ({"no_answer_accuracy": np.mean([row[1] for row in none])} if none else {})


WORDS = ("the", "a", "An", "red", "Red,", "blue", "blue-green", "U.S.", "1,024", "it's", "an.", "…", "ÜBER", "über", "", "  ")


def test_scores_are_those_of_the_published_evaluation_on_any_answers():
    draw = Random(0)

    def text():
        return " ".join(draw.choices(WORDS, k=draw.randint(0, 4)))

    for n in (*range(1, 8), *[300] * 5):
        predictions = [text() for _ in range(n)]
        accepted = [[text() for _ in range(draw.randint(0, 3))] for _ in range(n)]
        assert answer_metrics(predictions, accepted) == pytest.approx(published(predictions, accepted))


def test_known_scores_by_hand():
    found = answer_metrics(["The red house", "", "blue", "in May"], [["red house"], [], [], ["May 1999", "June"]])
    assert found == pytest.approx(
        {"exact_match": 0.5, "f1": (1 + 1 + 0 + 0.5) / 4, "has_answer_exact": 0.5, "has_answer_f1": 0.75, "no_answer_accuracy": 0.5}
    )
    text = join_parts(("q", "in May 1999"))
    assert answers_f1(["[[3,6]]", NO_ANSWER, None], ["[[3,11]]", NO_ANSWER, "[]"], [text] * 3)[:2] == pytest.approx([2 / 3, 1])
    assert answer_lengths(["[[0,6]]"], [text]) == [2.0] and np.isnan(answer_lengths([NO_ANSWER], [text])[0])


@pytest.fixture(scope="module")
def pair_folder(tmp_path_factory):
    """A BERT whose tokenizer puts marks around and between two texts, and tells them apart by segments."""
    from tokenizers import Tokenizer, processors

    folder = tiny.bert(tmp_path_factory.mktemp("pairs"), pooling="")
    core = Tokenizer.from_file(str(folder / "tokenizer.json"))
    marks = [("[CLS]", 2), ("[SEP]", 3)]
    core.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", marks)
    core.save(str(folder / "tokenizer.json"))
    return folder


def network_on(folder, max_length=32, targets=("[[0,9]]", NO_ANSWER)):
    base = find_base(str(folder))
    spec = problem_of(NAME).with_targets(spec_of(NAME, Full(), (), max_length, 0, base), targets)
    return build_network(spec, base.path)


@pytest.mark.parametrize("folder", ["bert_folder", "pair_folder", "llama_folder"])
def test_every_stretch_of_a_long_context_stands_whole_in_a_window_that_the_network_can_read(folder, request):
    network = network_on(request.getfixturevalue(folder))
    draw = Random(1)
    context = " ".join(draw.choices(tiny.FILLERS, k=150))
    texts = [join_parts((" ".join(draw.choices(tiny.FILLERS, k=asked)), context)) for asked in (1, 3, 90)]
    windows = encode_windows(network.tokenizer, texts, 32)
    assert max(len(window.ids) for window in windows) <= 32 and {window.row for window in windows} == {0, 1, 2}
    for row in range(3):
        own = [window for window in windows if window.row == row]
        assert len(own) > 5 and own[0].offsets[0][0] == 0 and own[-1].offsets[-1][1] == len(context)
        for word in re.finditer(r"\w+ \w+ \w+", context):
            labels = [window.labels([Place(*word.span())]) for window in own]
            there = [(window, pair) for window, pair in zip(own, labels, strict=True) if pair != (0, 0)]
            assert there, "no window holds these three words"
            window, (first, last) = there[0]
            spans = [window.offsets[place - window.first - 1] for place in (first, last)]
            assert (spans[0][0], spans[1][1]) == word.span() and window.labels([]) == (0, 0)


def test_a_token_more_than_a_context_holds_is_never_an_answer_and_windows_are_bounded(pair_folder):
    network = network_on(pair_folder)
    windows = encode_windows(network.tokenizer, [join_parts(("kan?", "kan " * 40_000))], 32)
    assert len(windows) == MOST_WINDOWS
    batch = collate_windows(0)([{"window": window} for window in encode_windows(network.tokenizer, [f"kan{MARK}lon mist"], 32)])
    logits = network.model.eval()(**batch)["logits"]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 1]] and network.model.segments == 2
    assert logits.isneginf().any(-1).tolist() == [[False, True, True, True, False, False, True]]
    other = {**batch, "token_type_ids": 1 - batch["token_type_ids"]}
    assert not np.allclose(logits[0, 4].tolist(), network.model(**other)["logits"][0, 4].tolist())


def test_a_window_too_small_for_a_question_and_a_context_is_refused(pair_folder):
    with pytest.raises(InputError, match=r"model.max_length 16: leaves no room"):
        encode_windows(network_on(pair_folder).tokenizer, [f"kan{MARK}lon"], 16)


def test_a_tokenizer_that_tells_no_places_is_refused(bert_folder, monkeypatch):
    from transformers import PreTrainedTokenizerFast

    monkeypatch.setattr(PreTrainedTokenizerFast, "is_fast", False)
    with pytest.raises(InputError, match="does not tell where in a text its tokens stand"):
        problem_of(NAME).load_tokenizer(bert_folder, "")


def exhaustive(windows, logits, longest):
    """The best span over windows by trying all, and the log-odds of any."""
    odds = []
    for window, table in zip(windows, logits, strict=True):
        for i, (start, _) in enumerate(window.offsets):
            for j, (_, end) in enumerate(window.offsets):
                if i <= j and end > start and (end - start <= longest or i == j):
                    at = 1 + window.first
                    odds.append((table[at + i, 0] + table[at + j, 1] - table[0].sum(), start, end))
    return max(odds), np.logaddexp.reduce([each[0] for each in odds])


def test_the_best_span_is_the_one_that_trying_all_of_them_finds():
    draw = np.random.default_rng(0)
    for _ in range(50):
        size, first = int(draw.integers(1, 9)), int(draw.integers(0, 4))
        edges = np.cumsum(draw.integers(0, 5, 2 * size)).tolist()
        window = Window(
            0, [0] * (first + size + 1), [0] * (first + size + 1), first, list(zip(edges[::2], edges[1::2], strict=True))
        )
        logits, longest = draw.normal(size=(first + size + 2, 2)), int(draw.integers(1, 12))
        if not any(end > start for start, end in window.offsets):
            assert best_span(window, logits, longest) == NOTHING
            continue
        (highest, start, end), total = exhaustive([window], [logits], longest)
        found = best_span(window, logits, longest)
        assert found.place == (start, end) and (found.margin, found.any_answer) == pytest.approx((highest, total))
        assert 0 < confidence(found, answered=True) <= 1 - confidence(found, answered=False) + 1e-9


def test_the_answer_of_several_windows_is_the_best_of_all(pair_folder):
    network = network_on(pair_folder)
    draw = Random(2)
    text = join_parts(("kan lon", " ".join(draw.choices(tiny.FILLERS, k=70))))
    windows = encode_windows(network.tokenizer, [text], 32)
    (span,) = find_spans(network, windows, [context_of(text)], 4, nullcontext)
    alone = [find_spans(network, [window], [context_of(text)], 1, nullcontext)[0] for window in windows]
    best = max(alone, key=lambda each: each.margin)
    assert span.place == best.place and span.margin == pytest.approx(best.margin, abs=1e-4)
    assert span.any_answer == pytest.approx(np.logaddexp.reduce([each.any_answer for each in alone]), abs=1e-4)


def test_the_threshold_is_the_one_with_the_highest_score_of_rows():
    draw = np.random.default_rng(3)
    for _ in range(30):
        margins, answered = draw.normal(size=60).round(1), draw.random(60).round(1)
        unanswered = (draw.random(60) < 0.4).astype(float)
        score = lambda cut: np.where(margins > cut, answered, unanswered).mean()  # noqa: B023, E731
        found = fit_threshold(margins.tolist(), answered.tolist(), unanswered.tolist())
        best = max(score(cut) for cut in [*np.unique(margins) + 0.01, margins.min() - 1])
        assert score(found) == pytest.approx(best)
    assert fit_threshold([1.0] * 10, [0.0] * 10, [1.0] * 10) == 0.0


def test_the_temperature_makes_confidence_mean_how_often_answers_are_right():
    draw = np.random.default_rng(5)
    odds = draw.normal(1, 3, 4000)
    right = draw.random(4000) < 1 / (1 + np.exp(-odds))
    said = [confidence(Span(Place(0, 1), 3 * each, 3 * each), answered=True) for each in odds]
    found = fit_temperature(said, right.astype(float).tolist())
    assert found == pytest.approx(3, rel=0.1)
    told = np.array([confidence(Span(Place(0, 1), 3 * each, 3 * each), answered=True, temperature=found) for each in odds])
    for low in (0.1, 0.5, 0.8):
        band = (told >= low) & (told < low + 0.1)
        assert right[band].mean() == pytest.approx(told[band].mean(), abs=4 * 0.5 / band.sum() ** 0.5)
    assert fit_temperature(said[:10], right[:10].astype(float).tolist()) == 1.0
    none = Span(Place(0, 0), -3.0, -2.0)
    assert confidence(none, answered=False) == pytest.approx(1 / (1 + np.exp(-2))) and confidence(NOTHING, answered=False) > 0.999


def test_a_network_that_saw_no_row_without_an_answer_always_gives_one(pair_folder):
    problem, text = problem_of(NAME), join_parts(("kan", "lon mist rule"))
    always = network_on(pair_folder, targets=("[[0,9]]",))
    assert always.spec.longest_answer == 9 and always.spec.shares == (0.0,)
    with_bias = always.model.head.bias.data
    with_bias[2] = 50.0  # none is far likelier
    (answer,) = problem.answer_texts(always, [text], Writing(0), 1, nullcontext)
    assert places_of(answer.prediction)
    sometimes = network_on(pair_folder)
    sometimes.model.head.bias.data[2] = 50.0
    (answer,) = problem.answer_texts(sometimes, [text], Writing(0), 1, nullcontext)
    assert answer.prediction == NO_ANSWER and answer.score > 0.99


def test_an_answer_in_what_the_network_reads_is_told_in_what_is_kept(pair_folder):
    problem, network = problem_of(NAME), network_on(pair_folder, targets=("[[0,60]]",))
    tagged = "<EMAIL_ADDRESS:0123abcd>"
    for context in (f"{tagged} kan lon", f"kan {tagged} lon {tagged} mist"):
        (answer,) = problem.answer_texts(network, [join_parts(("kan", context))], Writing(0), 1, nullcontext)
        (given,) = answer_texts(answer.prediction, join_parts(("kan", context)))
        assert given in context and given.count("<") == given.count(">") == given.count("0123abcd")
    rows = tiny.answer_rows(4).assign(text=join_parts(("kan", f"{tagged} kan lon")), target=write_places([(25, 28)]))
    example = problem.encode_rows(network.tokenizer, network.spec, rows)[0]
    assert example["answers"] == (Place(16, 19),) and context_of(example["text"]) == "<EMAIL_ADDRESS> kan lon"


def test_baselines_answer_with_what_stands_there_or_with_nothing():
    rows = [
        ("which colour?", "a red door", "red"),
        ("which colour?", "blue sky red sea", "red sea"),
        ("where?", "in the north", ""),
    ]
    texts = [join_parts(row[:2]) for row in rows] * 6
    every = KnownAnswers.of(texts, [read_answers(answer, context) for _, context, answer in rows] * 6)
    asked = [
        join_parts(parts) for parts in (("which colour?", "the red sea is deep"), ("where?", "a red cat"), ("what?", "nothing"))
    ]
    found = {each.name: each.predictions for each in all_baselines(every, asked)}
    assert found["known answers, the longest"] == ["red sea", "", ""]
    for predictions in found.values():
        assert all(answer in context_of(text) for answer, text in zip(predictions, asked, strict=True))


def test_a_model_fine_tuned_elsewhere_answers_with_its_own_head_as_transformers_reads_it(pair_folder, tmp_path):
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    torch.manual_seed(4)
    AutoModelForQuestionAnswering.from_pretrained(pair_folder).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(pair_folder)
    tokenizer.save_pretrained(tmp_path)
    found = read_finetuned(tmp_path, NAME, 32)
    network = build_network(found.spec(NAME, 32), tmp_path)
    texts = [
        join_parts((" ".join(words[:2]), " ".join(words[2:])))
        for words in (Random(n).choices(tiny.FILLERS, k=14) for n in range(6))
    ]
    answers = problem_of(NAME).answer_texts(network, texts, Writing(0), 3, nullcontext)
    model = AutoModelForQuestionAnswering.from_pretrained(tmp_path).eval()
    for text, answer in zip(texts, answers, strict=True):
        encoded = tokenizer(*text.split(MARK), return_tensors="pt", return_offsets_mapping=True, return_token_type_ids=True)
        offsets = encoded.pop("offset_mapping")[0].tolist()
        with torch.inference_mode():
            out = model(**encoded)
        starts, ends = out.start_logits[0].tolist(), out.end_logits[0].tolist()
        own = [place for place, part in enumerate(encoded.sequence_ids(0)) if part == 1]
        score, first, last = max((starts[i] + ends[j], i, j) for i in own for j in own if i <= j)
        expected = [(offsets[first][0], offsets[last][1])] if score > starts[0] + ends[0] else []
        assert answer.prediction == write_places(expected)
