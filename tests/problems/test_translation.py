"""translation: languages set where a base marks them, BLEU's words by the language, refusals before any work."""

import pytest
import tiny
import torch

from configs.errors import InputError
from configs.schema import Decoding, Evaluation, Full, Lora, Pipeline
from tasks.common.bases import find_base
from tasks.learning.base_check import check_base
from tasks.learning.finetuned import read_finetuned
from tasks.learning.network import build_network, read_spec, save_spec, spec_of
from tasks.learning.scoring import score_network, score_opponents, scoring_of
from tasks.problems import problem_of
from tasks.problems.languages import language_marks
from tasks.problems.types import Writing

PROBLEM = "translation"
ROWS = tiny.pairs(20)
PAIR = ("de_DE", "ro_RO")
VALUES = {"name": "a", "problem": PROBLEM, "data": {"source": "a.csv"}, "model": {"base": "b"}}


@pytest.fixture(scope="module", params=["MBart50", "MBart", "Nllb"])
def marked(request, tmp_path_factory):
    """A random base of each family whose tokenizer marks languages, and the codes of a pair."""
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, tiny.marked_seq2seq(folder, request.param), ("deu_Latn", "ron_Latn") if request.param == "Nllb" else PAIR


def network_of(folder, languages):
    base = find_base(str(folder))
    spec = spec_of(PROBLEM, Lora(r=2), (), 24, 0, base)
    return build_network(spec.__class__(**{**vars(spec), "languages": languages}), base.path)


def test_texts_carry_the_marks_of_their_languages_where_the_base_expects_them(marked):
    kind, folder, pair = marked
    network = network_of(folder, pair)
    source, target = (language_marks(network.tokenizer.source)[code] for code in pair)
    row, *_ = problem_of(PROBLEM).encode_rows(network.tokenizer, network.spec, ROWS)
    end = network.tokenizer.eos_token_id
    assert (row["input_ids"][-1] if kind == "MBart" else row["input_ids"][0]) == source
    assert row["labels"].count(end) == 1 and row["labels"][-1] == end
    if kind == "MBart":  # whose decoder begins with the mark
        assert (network.tokenizer.start, network.tokenizer.first) == (target, ()) and target not in row["labels"]
    else:
        assert network.tokenizer.first == (target,) and row["labels"][0] == target


def test_an_answer_begins_with_the_mark_of_its_language_and_does_not_show_it(marked):
    kind, folder, pair = marked
    network = network_of(folder, pair)
    taken, generate = [], network.model.generate
    network.model.generate = lambda **given: taken.append(generate(**given)) or taken[-1]
    writing = Writing(6, Decoding(beams=2, no_repeat_ngram_size=2, repetition_penalty=1.3))
    texts = problem_of(PROBLEM).write_answers(network, ROWS["text"].tolist()[:4], writing, 4)
    mark = language_marks(network.tokenizer.target)[pair[1]]
    assert (taken[0][:, 0 if kind == "MBart" else 1] == mark).all() and not any(pair[1] in text for text in texts)


def test_the_other_language_changes_what_is_read_and_the_description_of_the_network_keeps_both(marked, tmp_path):
    _, folder, pair = marked
    one, other = network_of(folder, pair), network_of(folder, pair[::-1])
    first, second = (problem_of(PROBLEM).encode_rows(each.tokenizer, each.spec, ROWS) for each in (one, other))
    assert first[0]["input_ids"] != second[0]["input_ids"]
    save_spec(one.spec, tmp_path)
    assert read_spec(tmp_path) == one.spec and read_spec(tmp_path).languages == pair


def test_codes_that_the_base_does_not_know_or_that_are_not_named_are_refused_before_any_work(marked):
    _, folder, pair = marked
    base = find_base(str(folder))
    assert check_base(base, PROBLEM, 24, Lora(r=2), pair) == ()
    with pytest.raises(InputError, match=r"model.languages.target xx_XX: the tokenizer of .* has no such code: write one of "):
        check_base(base, PROBLEM, 24, Lora(r=2), (pair[0], "xx_XX"))
    with pytest.raises(InputError, match=r"model.languages.source deutsch: .*write one of .*de"):
        check_base(base, PROBLEM, 24, Lora(r=2), ("deutsch", pair[1]))
    with pytest.raises(InputError, match=r"none is named: write languages: \{source: CODE, target: CODE\} under model"):
        check_base(base, PROBLEM, 24, Lora(r=2))


def test_a_base_without_marks_takes_any_pair_and_is_not_changed_by_it(bart_folder):
    assert check_base(find_base(str(bart_folder)), PROBLEM, 24, Lora(r=2), ("en", "de")) == ()
    plain, named = network_of(bart_folder, ()), network_of(bart_folder, ("en", "de"))
    rows = [problem_of(PROBLEM).encode_rows(each.tokenizer, each.spec, ROWS) for each in (plain, named)]
    assert rows[0] == rows[1] and named.spec.languages == ("en", "de")


def test_an_adopted_model_is_held_to_the_languages_too(marked):
    _, folder, pair = marked
    model = read_finetuned(folder, PROBLEM, 16, "", pair)
    assert model.spec(PROBLEM, 16, pair).languages == pair
    with pytest.raises(InputError, match=r"model.languages.target zz: "):
        read_finetuned(folder, PROBLEM, 16, "", (pair[0], "zz"))


# --- settings ---


@pytest.mark.parametrize(
    ("target", "tokenizer"),
    [
        ("zho_Hans", "zh"), ("zh_CN", "zh"), ("zh", "zh"), ("ja_XX", "char"), ("tha_Thai", "char"), ("de_DE", "13a"), ("ru", "13a"),
        (None, "13a"),
    ],
)  # fmt: skip
def test_bleu_parts_words_by_the_language_that_is_written(target, tokenizer):
    languages = {"languages": {"source": "en", "target": target}} if target else {}
    pipeline = Pipeline.model_validate({**VALUES, "model": {"base": "b", **languages}})
    assert pipeline.evaluation.bleu_tokenizer == tokenizer
    assert (pipeline.data.prompt, pipeline.data.completion, pipeline.evaluation.max_new_tokens) == ("source", "target", 128)
    assert Pipeline.model_validate(pipeline.model_dump(mode="json")) == pipeline
    chosen = {**VALUES, "model": {"base": "b", **languages}, "evaluation": {"bleu_tokenizer": "intl"}}
    assert Pipeline.model_validate(chosen).evaluation.bleu_tokenizer == "intl"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"problem": "text-generation", "model": {"base": "b", "languages": {"source": "a", "target": "b"}}}, "no two languages"),
        (
            {"problem": "summarization", "evaluation": {"bleu_tokenizer": "zh"}},
            "bleu_tokenizer: summarization is not scored by BLEU",
        ),
        ({"model": {"base": "b", "languages": {"source": "de; rm", "target": "b"}}}, "is no code of a language"),
        ({"model": {"base": "b", "languages": "de"}}, "languages"),
        ({"model": {"base": "b", "languages": {"source": "de"}}}, "target"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        Pipeline.model_validate({**VALUES, **changes})


# --- scores ---


def test_translations_are_scored_by_bleu_chrf_and_ter_with_their_signatures_beside_the_copied_source(bart_folder):
    base = find_base(str(bart_folder))
    network = build_network(spec_of(PROBLEM, Full(), (), 24, 0, base), base.path)
    how = scoring_of(Evaluation(decode_rows=6, max_new_tokens=6, bleu_tokenizer="char"), "fp32")
    found = score_network(problem_of(PROBLEM), network, ROWS, how)
    assert found.metrics.keys() == {"nll_per_token", "perplexity", "exact_match", "bleu", "chrf", "ter"}
    assert found.frame[["bleu", "chrf", "ter"]].notna().sum().tolist() == [6, 6, 6]
    assert found.signatures.keys() == {"bleu", "chrf", "ter"} and "tok:char" in found.signatures["bleu"]
    *_, copied = score_opponents(problem_of(PROBLEM), network, ROWS, ROWS, (), how).each
    palindromes = (ROWS["text"] == ROWS["target"])[:6].mean()
    assert copied.name == "copy of the source" and copied.scores is None
    assert copied.metrics["exact_match"] == palindromes and 0 < copied.metrics["chrf"] <= 1


def test_texts_that_nobody_writes_are_not_scored_and_have_no_signature(bart_folder):
    base = find_base(str(bart_folder))
    network = build_network(spec_of(PROBLEM, Full(), (), 24, 0, base), base.path)
    how = scoring_of(Evaluation(decode_rows=0), "fp32")
    found = score_network(problem_of(PROBLEM), network, ROWS, how)
    assert found.metrics.keys() == {"nll_per_token", "perplexity"} and not found.signatures
    assert [each.name for each in score_opponents(problem_of(PROBLEM), network, ROWS, ROWS, (), how).each][-1] == "base model"
    assert torch.isfinite(torch.tensor(found.metrics["nll_per_token"]))
