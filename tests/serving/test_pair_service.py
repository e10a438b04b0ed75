"""Services of models that read two texts: documents in order, vectors of texts, and what the client of OpenAI's interface reads."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import tiny
from serving_parts import Standing, served, service, version
from tokenizers.processors import TemplateProcessing

from tasks.common.bases import find_base
from tasks.data.text_parts import MARK, join_parts
from tasks.serving.packaged_model import load_package
from tasks.serving.predictor import ReadyModel, make_ready
from tasks.traffic.log import open_traffic, read_answers, read_feedback

TEXTS = [row["text"] for row in tiny.rows(8)]
PAIRS = [join_parts(pair) for pair in zip(TEXTS, TEXTS[::-1], strict=True)]


def kept(folder, base, problem, targets):
    folder = version(folder / "version", base, 3, problem=problem, targets=targets, texts=PAIRS)
    return load_package(folder, find_base(str(base)).path, folder, {})


@pytest.fixture(scope="module")
def encoder(bert_folder, tmp_path_factory):
    found = kept(tmp_path_factory.mktemp("encoder"), bert_folder, "text-retrieval", ("1",))
    two_texts = TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)])
    found.network.tokenizer.backend_tokenizer.post_processor = two_texts  # as most encoders mark them
    return found


@pytest.fixture(scope="module")
def cosines(encoder):
    return encoder.predict(PAIRS)["number"].tolist()  # before its layers are made ready to serve


@pytest.fixture(scope="module")
def embedding(encoder, cosines):
    with served(replace(service(Standing(make_ready("1", encoder)), problem="text-retrieval"), inputs="pair")) as asker:
        yield asker


def test_documents_come_back_the_most_relevant_first_and_are_logged_as_pairs(bert_folder, tmp_path):
    ranker = kept(tmp_path, bert_folder, "text-ranking", ("0", "3", "1"))
    expected = ranker.predict([join_parts((TEXTS[0], text)) for text in TEXTS])["number"].tolist()
    traffic = open_traffic(tmp_path, "tiny")
    with served(replace(service(Standing(make_ready("1", ranker)), traffic, problem="text-ranking"), inputs="pair")) as asker:
        question = {"query": TEXTS[0], "documents": TEXTS}
        status, _, every = asker("POST", "/rerank", question)
        assert status == 200 and [each["index"] for each in every["results"]] == list(np.argsort(expected, kind="stable")[::-1])
        scores = [each["relevance_score"] for each in every["results"]]
        assert scores == pytest.approx(sorted(expected, reverse=True), rel=1e-3) and min(scores) > 0 and max(scores) < 3
        _, _, best = asker("POST", "/rerank", {**question, "top_n": 2})
        assert [each["index"] for each in best["results"]] == [each["index"] for each in every["results"]][:2]
        body = {"answer_id": every["results"][0]["id"], "kind": "label", "value": 3}
        assert asker("POST", "/feedback", body)[0] == 202
        status, _, said = asker("POST", "/feedback", {**body, "value": -1})
        assert status == 422 and said["error"]["where"].endswith("value"), said
        for wrong, where in (
            ({"query": TEXTS[0]}, "documents"),
            ({**question, "documents": []}, "documents"),
            ({**question, "documents": ["a", 3]}, "documents.1"),
            ({**question, "documents": ["a", " "]}, "documents.1"),
            ({**question, "query": "\u200d"}, "query"),
            ({**question, "top_n": 0}, "top_n"),
            ({**question, "model": "a"}, "model"),
            ({"query": "é" * 300, "documents": ["a"] * 20}, "query"),  # 6,000 characters, where a body may have 4,096 bytes
        ):
            status, _, said = asker("POST", "/rerank", wrong)
            assert status == 422 and said["error"]["where"] == f"body.{where}", said
        assert asker("POST", "/embed", {"text": TEXTS[0]})[0] == 404
        traffic.flush()
    assert set(read_answers(tmp_path, "tiny")["text"]) == {f"{TEXTS[0]}{MARK}{text}" for text in TEXTS}
    assert read_feedback(tmp_path, "tiny")["value"].tolist() == ["3"]


def test_a_text_has_the_vector_whose_cosines_are_answered_for_pairs(embedding, cosines):
    _, _, many = embedding("POST", "/embed", {"texts": TEXTS})
    _, _, one = embedding("POST", "/embed", {"text": TEXTS[0]})
    vectors = np.array(many["vectors"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1) and one["vector"] == pytest.approx(many["vectors"][0], abs=1e-5)
    pairs = [{"text": first, "text_pair": second} for first, second in zip(TEXTS, TEXTS[::-1], strict=True)]
    _, _, alike = embedding("POST", "/predict", {"texts": pairs})
    numbers = [answer["number"] for answer in alike["answers"]]
    assert numbers == pytest.approx((vectors * vectors[::-1]).sum(axis=1), abs=1e-4)
    assert numbers == pytest.approx(cosines, abs=1e-4)
    for wrong in ({"texts": []}, {"texts": ["", "a"]}, {"text": 3}, {"query": "a"}):
        assert embedding("POST", "/embed", wrong)[0] == 422, wrong
    described = str(embedding("GET", "/openapi.json")[2]["paths"].keys())
    assert all(path in described for path in ("/embed", "/v1/embeddings", "/v1/models")) and "/rerank" not in described


def test_a_sign_of_control_makes_no_pair_of_a_text(embedding):
    marked, spaced = MARK.join(TEXTS[:2]), " ".join(TEXTS[:2])
    _, _, found = embedding("POST", "/embed", {"texts": [marked, spaced, TEXTS[2]]})
    _, _, plain = embedding("POST", "/v1/embeddings", {"model": "tiny", "input": [marked, spaced, TEXTS[2]]})
    _, _, alone = embedding("POST", "/embed", {"text": TEXTS[2]})
    vectors = np.array(found["vectors"])
    assert vectors[0] == pytest.approx(vectors[1], abs=1e-5) and vectors[2] == pytest.approx(alone["vector"], abs=1e-5)
    assert np.array([each["embedding"] for each in plain["data"]]) == pytest.approx(vectors, abs=1e-5)


def test_vectors_that_several_ask_for_are_computed_together(embedding, monkeypatch):
    sizes, busy, gate, vectors = [], threading.Event(), threading.Event(), ReadyModel.vectors

    def held(model, ready):
        sizes.append(len(ready))
        busy.set()
        assert gate.wait(20)
        return vectors(model, ready)

    monkeypatch.setattr(ReadyModel, "vectors", held)
    with ThreadPoolExecutor(4) as callers:
        asked = [callers.submit(embedding, "POST", "/embed", {"text": TEXTS[0]})]
        assert busy.wait(20)
        asked += [callers.submit(embedding, "POST", "/embed", {"text": text}) for text in TEXTS[1:4]]
        while embedding("GET", "/ready")[2]["waiting"] < 4:
            time.sleep(0.005)
        gate.set()
        assert [each.result()[0] for each in asked] == [200] * 4
    assert sizes == [1, 3]


def test_the_client_of_openais_interface_reads_the_vectors(embedding):
    openai = pytest.importorskip("openai", reason="the client `openai` is not installed: pip install -e '.[dev]'")
    _, _, expected = embedding("POST", "/embed", {"texts": TEXTS})
    with openai.OpenAI(base_url=f"http://127.0.0.1:{embedding.port}/v1", api_key="unused", max_retries=0, timeout=20) as client:
        found = client.embeddings.create(model="tiny", input=TEXTS)
        assert [each.index for each in found.data] == list(range(len(TEXTS))) and found.model == "tiny@1"
        assert np.array([each.embedding for each in found.data]) == pytest.approx(np.array(expected["vectors"]), abs=1e-5)
        assert found.usage.total_tokens == found.usage.prompt_tokens == len(TEXTS) * (tiny.WORDS + 2)
        plain = client.embeddings.create(model="tiny@1", input=TEXTS[0], encoding_format="float", user="someone")
        assert plain.data[0].embedding == pytest.approx(expected["vectors"][0], abs=1e-5)
        assert [each.id for each in client.models.list()] == ["tiny", "tiny@1"]
        with pytest.raises(openai.NotFoundError):
            client.embeddings.create(model="other", input="a")
        with pytest.raises(openai.BadRequestError) as fault:
            client.embeddings.create(model="tiny", input="a", dimensions=3)
        assert "dimensions" in str(fault.value)
        for wrong in ([], ["a"] * 21, ["a" * 501], [""], [1, 2]):
            with pytest.raises(openai.BadRequestError):
                client.embeddings.create(model="tiny", input=wrong)
