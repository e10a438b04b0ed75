"""Each metric against scikit-learn or rouge_score where these have it, else against the definition written out row by row."""

from __future__ import annotations

import socket
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from tasks.problems.metrics import (
    classification_metrics,
    generation_metrics,
    modules_of_evaluate,
    per_class,
    text_metrics,
    text_modules_of_evaluate,
)
from tasks.problems.metrics.generation import TextMetrics

EXACT = {"rel": 1e-9, "abs": 1e-9}


def a_case(seed: int, rows: int, classes: int, coarse: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, predictions, probabilities; coarse ones are multiples of 1/8, hence full of ties, zeros and ones."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.4), rows)
    if coarse:
        p = rng.multinomial(8, np.full(classes, 1 / classes), rows) / 8
    return rng.integers(0, classes, rows), p.argmax(axis=1), p


def sklearns(t: np.ndarray, y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    labels = np.arange(p.shape[1])
    found = {"accuracy": sk.accuracy_score(t, y), "matthews_correlation": sk.matthews_corrcoef(t, y)}
    for mean in ("macro", "weighted"):
        scores = sk.precision_recall_fscore_support(t, y, average=mean, zero_division=0)
        found |= dict(zip((f"precision_{mean}", f"recall_{mean}", f"f1_{mean}"), scores, strict=False))
    found["log_loss"] = sk.log_loss(t, p, labels=labels)
    found["brier"] = sk.brier_score_loss(t, p, labels=labels)
    found["top_3_accuracy"] = 1.0 if len(labels) <= 3 else sk.top_k_accuracy_score(t, p, k=3, labels=labels)
    return found


def calibration_error_row_by_row(t: np.ndarray, y: np.ndarray, p: np.ndarray, bins: int = 15) -> float:
    members: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for target, said, row in zip(t, y, p, strict=True):
        confidence = row[said]
        bin_ = next((b for b in range(bins) if confidence * bins <= b + 1), bins - 1)
        members[bin_].append((confidence, target == said))
    gaps = [len(m) * abs(np.mean([right for _, right in m]) - np.mean([c for c, _ in m])) for m in members if m]
    return float(sum(gaps) / len(t))


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize(("rows", "classes"), [(1, 2), (7, 2), (40, 3), (30, 12), (300, 77), (200, 5)])
def test_every_classification_metric_equals_its_reference(rows: int, classes: int, coarse: bool) -> None:
    """Thirty rows of twelve classes leave classes out of the predictions and of the targets in every draw."""
    for seed in range(4):
        t, y, p = a_case(seed, rows, classes, coarse)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = sklearns(t, y, p) | {"expected_calibration_error": calibration_error_row_by_row(t, y, p)}
        found = classification_metrics(t, y, p, [f"c{i}" for i in range(classes)])
        assert found == pytest.approx(expected, **EXACT)


def test_a_class_never_predicted_counts_as_zero_and_a_class_that_never_occurs_does_not_count() -> None:
    t, y = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0])
    found = classification_metrics(t, y, None, ["a", "b", "never"])
    assert found["recall_macro"] == pytest.approx(0.5)
    assert found["f1_macro"] == pytest.approx(sk.f1_score(t, y, average="macro"), **EXACT)
    assert "log_loss" not in found


def test_one_class_only_gives_numbers_not_errors() -> None:
    t = np.zeros(5, dtype=int)
    found = classification_metrics(t, t, np.tile([1.0, 0.0], (5, 1)), ["a", "b"])
    assert (found["accuracy"], found["f1_macro"], found["matthews_correlation"], found["brier"]) == (1, 1, 0, 0)
    assert all(np.isfinite(list(found.values())))


def test_a_certain_mistake_costs_a_finite_log_loss() -> None:
    found = classification_metrics(np.array([1]), np.array([0]), np.array([[1.0, 0.0]]), ["a", "b"])
    assert found["log_loss"] == pytest.approx(-np.log(np.finfo(np.float64).eps), **EXACT)


def test_per_class_scores_come_in_the_order_of_the_labels_with_their_support() -> None:
    t, y, _ = a_case(3, 60, 6, coarse=False)
    t, y = t[t != 4], y[t != 4]
    labels = ["e", "d", "c", "b", "a", "f", "never"]
    found = per_class(t, y, labels)
    scores = np.array([(s.precision, s.recall, s.f1, s.support) for s in found]).T
    expected = np.array(sk.precision_recall_fscore_support(t, y, labels=range(7), zero_division=0))
    assert [s.label for s in found] == labels
    assert scores == pytest.approx(expected, **EXACT)
    assert found[6].support == 0


@pytest.mark.parametrize(
    ("targets", "predictions", "probabilities", "says"),
    [
        ([], [], None, "at least one row"),
        ([0, 1], [0], None, "same length"),
        ([0, -1], [0, 1], None, "training never saw"),
        ([0, 2], [0, 1], None, "only 2 labels"),
        ([0.5, 1], [0, 1], None, "whole numbers"),
        ([0, 1], [0, 1], [[0.5, 0.5]], r"must be \(2 rows, 2 labels\)"),
        ([0, 1], [0, 1], [[0.5, 0.5], [2.0, 3.0]], "row 1 .* softmax"),
        ([0, 1], [0, 1], [[float("nan"), 0.5], [0.5, 0.5]], "row 0 .* NaN"),
        ([0, 1], [0, 1], [[1.5, -0.5], [0.5, 0.5]], "no distribution"),
    ],
)
def test_columns_that_cannot_be_scored_are_refused_by_name(targets, predictions, probabilities, says) -> None:
    with pytest.raises(ValueError, match=says):
        classification_metrics(np.array(targets), np.array(predictions), probabilities, ["a", "b"])


def test_batches_and_a_combination_give_what_one_call_gives() -> None:
    import evaluate

    t, y, p = a_case(5, 100, 4, coarse=False)
    modules = modules_of_evaluate()
    together = evaluate.combine([module() for module in modules.FROM_CODES + modules.FROM_PROBABILITIES])
    for rows in (slice(0, 33), slice(33, 34), slice(34, 100)):
        together.add_batch(predictions=y[rows], references=t[rows], probabilities=p[rows])
    at_once = classification_metrics(t, y, p, list("abcd"))
    assert together.compute() == pytest.approx(at_once, rel=1e-15)
    assert together.compute(predictions=y, references=t, probabilities=p) == pytest.approx(at_once, rel=1e-15)


def test_a_hundred_instances_live_side_by_side_without_waiting_for_one_another(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("evaluate.config.HF_METRICS_CACHE", tmp_path / "metrics")
    modules = [modules_of_evaluate().Accuracy() for _ in range(100)]
    for i, module in enumerate(modules):
        module.add_batch(predictions=[0, i % 2], references=[0, 1])
    assert [m.compute()["accuracy"] for m in modules] == [0.5, 1.0] * 50
    assert not (tmp_path / "metrics").exists(), "a metric kept in memory must not need a writable disk"


def test_scoring_opens_no_connection(monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a metric asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    t, y, p = a_case(1, 20, 3, coarse=False)
    classification_metrics(t, y, p, list("abc"))
    generation_metrics(np.array([-1.0]), np.array([1]), ["a"], ["a"])


def test_the_metric_modules_load_neither_torch_nor_the_pipelines() -> None:
    code = """
import sys
from tasks.problems.metrics import modules_of_evaluate
assert "datasets" not in sys.modules, "importing the package loads datasets"
modules_of_evaluate().Accuracy
assert not {"torch", "transformers.pipelines", "evaluate.evaluator"} & set(sys.modules), "evaluate loaded its pipelines"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_evaluate_stays_whole_for_everyone_else_in_the_process() -> None:
    accuracy = modules_of_evaluate().Accuracy
    import evaluate

    assert issubclass(accuracy, evaluate.Metric)
    assert evaluate.Metric is evaluate.module.Metric, "two evaluates in one process"
    assert callable(evaluate.evaluator)
    assert callable(evaluate.load)
    assert evaluate.config.HF_METRICS_CACHE
    assert not hasattr(evaluate, "no_such_name")


def test_perplexity_weighs_long_rows_by_their_tokens_and_keeps_float64() -> None:
    sums, tokens = np.array([-2.0000000001234567, -30.0, -0.5]), np.array([1, 20, 3])
    found = generation_metrics(sums, tokens)
    assert found == pytest.approx({"nll_per_token": -sums.sum() / 24, "perplexity": np.exp(-sums.sum() / 24)}, rel=1e-15)


def test_perplexity_of_a_hopeless_model_is_infinite() -> None:
    assert generation_metrics(np.array([-1e6]), np.array([1]))["perplexity"] == float("inf")


@pytest.mark.parametrize(
    ("sums", "tokens", "says"),
    [
        ([-1.0], [0], "no completion token"),
        ([1.0], [1], "positive or not finite"),
        ([float("nan")], [1], "not finite"),
        ([], [], "one row"),
    ],
)
def test_likelihoods_that_cannot_be_are_refused(sums, tokens, says) -> None:
    with pytest.raises(ValueError, match=says):
        generation_metrics(np.array(sums), np.array(tokens))


def test_exact_match_and_rouge_count_only_the_rows_that_were_decoded() -> None:
    found = generation_metrics(
        np.array([-1.0, -1.0, -1.0]), np.array([1, 1, 1]), ["the  cat\n", None, "a dog"], ["the cat", "x", "a cat"]
    )
    assert (found["exact_match"], found["rouge_l"]) == pytest.approx((0.5, 0.75))


def test_rouge_equals_rouge_scores_own_on_ascii_and_reads_other_scripts_too() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    from tasks.problems.metrics.generation import rouge_l

    rng = np.random.default_rng(0)
    words = ["the", "cat", "Sat", "on", "under_score", "it's", "3.14", "MAT,"]
    texts = [" ".join(rng.choice(words, rng.integers(0, 9))) for _ in range(60)]
    own = RougeScorer(["rougeL"], use_stemmer=False)
    expected = [own.score(r, p)["rougeL"].fmeasure for p, r in zip(texts[:30], texts[30:], strict=True)]
    assert rouge_l(texts[:30], texts[30:]) == pytest.approx(expected, **EXACT)
    assert rouge_l(["кошка сидит"], ["кошка спит"]) == pytest.approx([0.5])


def drawn_texts(seed: int, rows: int, words: list[str]) -> tuple[list[str], list[str]]:
    """Predictions and references of a few words each; some are empty, some equal, some of several lines."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(words, rng.integers(0, 12))) for _ in range(2 * rows)]
    return [*texts[: rows - 2], *texts[rows : rows + 2]], texts[rows - 2 : 2 * rows - 2]


WORDS = ["the", "cat", "Sat", "on", "a", "mat,", "it's", "3.14", "twice\n", "dog."]


def test_all_rouge_equal_rouge_scores_own_on_ascii() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    predictions, references = drawn_texts(1, 40, WORDS)
    names = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL", "rouge_lsum": "rougeLsum"}
    own = RougeScorer([*names.values()], use_stemmer=False)
    by_row = [own.score(r, p) for p, r in zip(predictions, references, strict=True)]
    text = TextMetrics(tuple(names))
    rows, means = text.score_rows(predictions, references), text_metrics(predictions, references, text)
    for name, kind in names.items():
        wanted = [row[kind].fmeasure for row in by_row]
        assert rows[name] == pytest.approx(wanted, **EXACT) and means[name] == pytest.approx(np.mean(wanted), **EXACT)
    assert means["rouge_lsum"] != means["rouge_l"], "lines count"


@pytest.mark.parametrize("text", ["кошка спит на окне", "η γάτα κοιμάται", "猫 が 窓 で 寝る", "القط نائم"])
def test_equal_texts_of_any_script_have_the_best_score_of_every_metric(text: str) -> None:
    names = ("exact_match", "rouge_1", "rouge_2", "rouge_l", "rouge_lsum", "bleu", "chrf", "ter")
    for tokenizer in ("13a", "intl", "char", "none"):
        found = text_metrics([text] * 4, [text] * 4, TextMetrics(names, tokenizer))
        best = {name: 0.0 if name == "ter" else 1.0 for name in names}
        if len(text.split()) < 4 and tokenizer != "char":  # BLEU of a corpus whose texts have no four words in a row
            del best["bleu"], found["bleu"]
        assert found == pytest.approx(best)


@pytest.mark.parametrize("tokenizer", ["13a", "intl", "char", "zh", "none"])
def test_bleu_chrf_and_ter_equal_sacrebleus_own_over_the_corpus_and_row_by_row(tokenizer: str) -> None:
    from sacrebleu import corpus_bleu, corpus_chrf, corpus_ter, sentence_bleu, sentence_chrf, sentence_ter

    predictions, references = drawn_texts(2, 30, [*WORDS, "猫", "寝る。"])
    text = TextMetrics(("bleu", "chrf", "ter"), tokenizer)
    found, rows = text_metrics(predictions, references, text), text.score_rows(predictions, references)
    refs = [references]
    wanted = {
        "bleu": corpus_bleu(predictions, refs, tokenize=tokenizer).score / 100,
        "chrf": corpus_chrf(predictions, refs).score / 100,
        "ter": corpus_ter(predictions, refs).score / 100,
    }
    assert found == pytest.approx(wanted, **EXACT)
    pairs = list(zip(predictions, references, strict=True))
    assert rows["bleu"] == pytest.approx([sentence_bleu(p, [r], tokenize=tokenizer).score / 100 for p, r in pairs], **EXACT)
    assert rows["chrf"] == pytest.approx([sentence_chrf(p, [r]).score / 100 for p, r in pairs], **EXACT)
    assert rows["ter"] == pytest.approx([sentence_ter(p, [r]).score / 100 for p, r in pairs], **EXACT)


def test_a_signature_says_how_a_metric_was_computed_and_by_which_version() -> None:
    from sacrebleu import __version__

    signed = TextMetrics(("exact_match", "bleu", "ter"), "zh").signatures()
    assert signed == {
        "bleu": f"nrefs:1|case:mixed|eff:no|tok:zh|smooth:exp|version:{__version__}",
        "ter": f"nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:{__version__}",
    }


def test_text_modules_take_batches_and_combine() -> None:
    import evaluate

    predictions, references = drawn_texts(3, 20, WORDS)
    modules = text_modules_of_evaluate().FROM_TEXTS
    together = evaluate.combine([module() for module in modules.values()])
    for rows in (slice(0, 7), slice(7, 20)):
        together.add_batch(predictions=predictions[rows], references=references[rows])
    at_once = text_metrics(predictions, references, TextMetrics(tuple(modules)))
    assert together.compute() == pytest.approx(at_once, rel=1e-15)
