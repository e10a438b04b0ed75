"""summarization: the problem's own defaults and metrics, and the first sentences of a document as what a model has to be worth."""

import pytest
import tiny

from configs.schema import Evaluation, Full, Pipeline
from tasks.common.bases import find_base
from tasks.learning.network import build_network, spec_of
from tasks.learning.scoring import score_network, score_opponents, scoring_of
from tasks.problems import problem_of
from tasks.problems.baselines.written import copied_source, lead_sentences, split_sentences

PROBLEM, FAMILY = "summarization", "text2text-generation"
VALUES = {"name": "a", "problem": PROBLEM, "data": {"source": "a.csv"}, "model": {"base": "b"}}


def test_it_has_defaults_of_its_own_and_is_known_to_keys_by_its_family():
    pipeline = Pipeline.model_validate(VALUES)
    assert (pipeline.problem, pipeline.family) == (PROBLEM, FAMILY)
    assert (pipeline.data.prompt, pipeline.data.completion) == ("document", "summary")
    assert (pipeline.model.max_length, pipeline.evaluation.max_new_tokens) == (512, 128)
    given = Pipeline.model_validate({**VALUES, "model": {"base": "b", "max_length": 99}, "data": {"source": "a", "prompt": "text"}})
    assert (given.model.max_length, given.data.prompt, given.data.completion) == (99, "text", "summary")
    assert Pipeline.model_validate(pipeline.model_dump(mode="json")) == pipeline
    assert {PROBLEM, FAMILY, "translation"} <= set(Pipeline.model_json_schema()["properties"]["problem"]["enum"]), (
        "editors offer all"
    )


def test_what_an_earlier_version_kept_of_such_a_pipeline_still_opens():
    """It kept the family's name, with the columns filled in: flows that were deployed then hand over just that."""
    earlier = Pipeline.model_validate(VALUES).model_dump(mode="json") | {"problem": FAMILY}
    earlier["evaluation"] = {name: earlier["evaluation"][name] for name in ("max_new_tokens", "decode_rows")}
    opened = Pipeline.model_validate(earlier)
    assert (opened.problem, opened.data.prompt, opened.evaluation.max_new_tokens) == (FAMILY, "document", 128)


def test_pages_show_rouge_and_what_earlier_versions_measured_is_still_there_for_floors(bart_folder):
    assert [metric.title for metric in Pipeline.model_validate(VALUES).facts.metrics[2:]] == ["ROUGE-1", "ROUGE-2", "ROUGE-L"]
    base = find_base(str(bart_folder))
    network = build_network(spec_of(PROBLEM, Full(), (), 24, 0, base), base.path)
    rows, how = tiny.pairs(12), scoring_of(Evaluation(decode_rows=5, max_new_tokens=6), "fp32")
    found = score_network(problem_of(PROBLEM), network, rows, how)
    wanted = {"exact_match", "chrf", "rouge_1", "rouge_2", "rouge_l", "rouge_lsum"}
    assert found.metrics.keys() == {"nll_per_token", "perplexity", *wanted}
    assert found.frame[sorted(wanted)].notna().sum().eq(5).all() and found.signatures.keys() == {"chrf"}
    lead = score_opponents(problem_of(PROBLEM), network, rows, rows, (), how).each[-1]
    assert lead.name == "lead-1" and lead.scores is None and lead.metrics["rouge_1"] == pytest.approx(1), "the same words"


# --- the first sentences ---

DOCUMENTS = ["One here. Two there! Three? Four.", "Alpha is first. Beta comes next. Gamma is last."]


@pytest.mark.parametrize("summary_of", [1, 2, 3])
def test_as_many_sentences_as_the_train_rows_ask_for_are_taken(summary_of):
    summaries = [" ".join(split_sentences(text)[:summary_of]) for text in DOCUMENTS]
    found = lead_sentences(DOCUMENTS, summaries, ["A b. C d. E f. G h.", "Only one"], 50)
    assert found.name == f"lead-{summary_of}"
    assert found.answers == [" ".join(["A b.", "C d.", "E f.", "G h."][:summary_of]), "Only one"]


def test_test_rows_do_not_choose_and_without_train_rows_one_sentence_is_taken():
    assert lead_sentences([], [], DOCUMENTS, 50).answers == ["One here.", "Alpha is first."]
    assert lead_sentences(["", "x"], ["", "x"], ["", "A. B."], 50).answers == ["", "A."]


def test_no_baseline_writes_more_words_than_a_model_may():
    assert lead_sentences(["a b c d e."] * 3, ["a b c d e."] * 3, ["p q r s t."], 3).answers == ["p q r"]
    assert copied_source(["p  q\nr s", "p  q"], 3).answers == ["p q r", "p  q"]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two?\nThree! 4.5 is no end.", ["One.", "Two?", "Three!", "4.5 is no end."]),
        ('He said "no." She left.', ['He said "no."', "She left."]),
        ("\u4e00\u3002\u4e8c\uff01\u4e09\uff1f", ["\u4e00\u3002", "\u4e8c\uff01", "\u4e09\uff1f"]),
        ("no end", ["no end"]),
        ("  \n ", []),
        ("", []),
    ],
)
def test_sentences_end_at_their_marks_and_at_line_breaks(text, sentences):
    assert split_sentences(text) == sentences
