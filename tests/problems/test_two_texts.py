"""Problems of two texts a row: losses held to their formulas, what is no negative, groups of queries, baselines that are rules."""

import numpy as np
import pandas as pd
import pytest
import tiny
import torch

from configs.errors import InputError
from configs.schema import Data, Lora, Pipeline
from tasks.common.bases import find_base
from tasks.data.preparation.load import loaded_source
from tasks.data.text_parts import join_parts
from tasks.learning.network import build_network, spec_of
from tasks.problems import problem_of
from tasks.problems.baselines.ranking import bm25
from tasks.problems.sentence_similarity import order_loss
from tasks.problems.text_retrieval import partner_loss
from tasks.problems.vector_encoder import NO_CODE, SCALE

VECTORS = torch.nn.functional.normalize(torch.randn(12, 8, generator=torch.Generator().manual_seed(0)), dim=-1)


def labels(*rows):
    return torch.tensor(rows)


def test_thepartner_loss_is_cross_entropy_over_the_partners_of_the_batch():
    codes = labels(*([1, 10 + n, 20 + n, NO_CODE, NO_CODE] for n in range(6)))
    alike = SCALE * VECTORS[:6] @ VECTORS[6:].T
    expected = torch.nn.functional.cross_entropy(alike, torch.arange(6))
    assert partner_loss({"logits": VECTORS}, codes) == pytest.approx(float(expected))
    assert partner_loss({"logits": VECTORS}, codes, 60) == pytest.approx(float(expected) / 2)  # of 12 rows, 5 numbers each


def test_what_belongs_to_a_text_is_never_its_negative():
    """Rows 0 and 1 have one partner, 0 and 2 one anchor, 0 and 3 one group; the partner of row 4 is row 0's own text."""
    codes = labels(
        [1, 10, 20, NO_CODE, 7], [1, 11, 20, NO_CODE, NO_CODE], [1, 10, 22, NO_CODE, NO_CODE], [1, 13, 23, NO_CODE, 7],
        [1, 14, 10, NO_CODE, NO_CODE], [0, 10, 25, NO_CODE, NO_CODE],
    )  # fmt: skip
    compared = {0: [0, 5], 1: [1, 2, 3, 4, 5], 2: [1, 2, 3, 5], 3: [1, 2, 3, 4, 5], 4: [0, 1, 2, 3, 4, 5]}  # row 5 pulls nothing
    alike = SCALE * VECTORS[:6] @ VECTORS[6:].T
    losses = [float(torch.logsumexp(alike[row, places], 0) - alike[row, row]) for row, places in compared.items()]
    assert partner_loss({"logits": VECTORS}, codes) == pytest.approx(sum(losses) / 6, rel=1e-5)


def test_what_pairs_are_held_against_stands_among_the_negatives():
    codes = labels(*([1, 10 + n, 20 + n, 30 + n, NO_CODE] for n in range(4)))
    alike = SCALE * VECTORS[:4] @ VECTORS[4:].T
    expected = float(torch.nn.functional.cross_entropy(alike, torch.arange(4)))
    assert partner_loss({"logits": VECTORS}, codes) == pytest.approx(expected)
    codes[3, 3] = codes[3, 2]  # the last row is held against nothing
    expected = float(torch.nn.functional.cross_entropy(alike[:, :7], torch.arange(4)))
    assert partner_loss({"logits": VECTORS}, codes) == pytest.approx(expected)


def test_theorder_loss_counts_pairs_in_the_wrong_order_alone():
    scores = torch.tensor([[0.0], [1.0], [0.5], [1.0], [0.0], [0.25]])
    alike = SCALE * (VECTORS[:6] * VECTORS[6:]).sum(-1)
    terms = [float(torch.exp(alike[i] - alike[j])) for i in range(6) for j in range(6) if scores[i] < scores[j]]
    assert order_loss({"logits": VECTORS}, scores) == pytest.approx(float(np.log1p(np.sum(terms))), rel=1e-5)
    assert float(order_loss({"logits": VECTORS}, torch.ones(6, 1))) == 0.0


def test_vectors_have_length_one_and_no_head_but_that(bert_folder):
    base = find_base(str(bert_folder))
    network = build_network(spec_of("text-retrieval", Lora(r=4), (), 24, 0, base), bert_folder)
    assert not [name for name, _ in network.model.named_parameters() if name.startswith("head")]
    problem = problem_of("text-retrieval")
    triplets = tiny.partner_rows(5).assign(rejected=["", None, "a text", "", ""])
    examples = problem.encode_rows(network.tokenizer, network.spec, triplets)
    batch = problem.collator(network)(examples)
    logits = network.model(**{name: batch[name] for name in ("input_ids", "attention_mask")})["logits"]
    assert logits.shape == (15, 32) and logits.norm(dim=-1).tolist() == pytest.approx([1.0] * 15, abs=1e-5)


def test_search_leaves_out_pairs_that_do_not_belong_and_knows_partners_of_a_group():
    from tasks.problems.text_retrieval import _search

    texts = [join_parts(pair) for pair in (("a", "x"), ("b", "y"), ("a", "z"), ("c", "a"), ("d", "y"))]
    rows = pd.DataFrame(
        {"id": list("01234"), "text": texts, "target": ["1", "1", "1", "1", "0"], "group": ["g", "g", None, None, None]}
    )
    search = _search(rows)
    assert search.candidates == ("x", "y", "z", "a") and search.takes_part.tolist() == [True] * 4 + [False]
    assert set(search.right[0]) == {0, 1, 2} and set(search.right[1]) == {0, 1} and search.left_out.tolist() == [3, -1, 3, -1, -1]
    with pytest.raises(InputError, match="none of these pairs"):
        _search(rows.assign(target="0"))


def test_bm25_prefers_rare_words_and_short_documents():
    documents = ["the refund is late", "the card is lost", "the the the card and the refund and much more about it"]
    scores = bm25(documents, ["refund"] * 3, documents).scores
    assert scores[0] > scores[2] > scores[1] == 0
    assert bm25(["?", "!"], ["?"], ["!"]).scores.tolist() == [0.0]


def config(**data):
    model = {"base": "base"}
    return {"name": "a", "problem": data.pop("problem"), "model": model, "data": {"source": "rows.csv", **data}}


def test_a_similarity_without_scores_has_pairs_that_belong_together():
    scored = Pipeline.model_validate(config(problem="sentence-similarity", number="score"))
    assert scored.problem == "sentence-similarity" and (scored.data.text, scored.data.text_pair) == ("sentence1", "sentence2")
    paired = Pipeline.model_validate(config(problem="sentence-similarity"))
    assert paired.problem == "text-retrieval" and (paired.data.text, paired.data.text_pair) == ("anchor", "positive")
    for wrong, word in (
        ({"problem": "text-ranking", "text_pair": None}, "two texts a row"),
        ({"problem": "text-retrieval", "number": "score"}, "belong together"),
        ({"problem": "text-ranking", "negative": "other"}, "held against"),
    ):
        with pytest.raises(ValueError, match=word):
            Pipeline.model_validate(config(**wrong))


def test_the_rows_of_a_query_are_one_group_however_it_is_spaced_and_where_personal_data_are_in_it(tmp_path):
    queries = ["where is it", " where  is it", "mail ann@example.org", "mail ann@example.org", "mail bob@example.org"]
    rows = pd.DataFrame(
        {"query": queries, "document": [f"text {n}" for n in range(5)], "relevance": [0, 1, 2, 0, 1], "case": list("aabbc")}
    )
    rows.to_csv(tmp_path / "rows.csv", index=False)
    data = {"source": str(tmp_path / "rows.csv"), "text": "query", "text_pair": "document", "number": "relevance"}
    with loaded_source(Data(**data), "text-ranking", tmp_path) as raw:
        groups = raw.rows["group"][:]
    assert groups[0] == groups[1] and groups[2] == groups[3] and len(set(groups)) == 3
    assert not any("@" in group or "where" in group for group in groups)
    with loaded_source(Data(**data, group="case"), "text-ranking", tmp_path) as raw:
        assert list(raw.rows["group"][:]) == list("aabbc")
