"""A service that finds answers in contexts: told of the text that came, logged of the one that is kept, corrected by either."""

import asyncio
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import tiny
from serving_parts import Standing, served, service, version

from tasks.common.bases import find_base
from tasks.data.answers import NO_ANSWER, answer_texts, places_of, right_places
from tasks.data.text_parts import join_parts
from tasks.learning.device import numerics
from tasks.serving.feedback_cleaning import clean_answers
from tasks.serving.packaged_model import load_package
from tasks.serving.predictor import make_ready
from tasks.serving.smoke_test import check_answers
from tasks.serving.text_preparation import PreparedTexts, Preparer, prepare_texts
from tasks.traffic.log import open_traffic, read_answers, read_feedback

PLAIN = [join_parts((row["question"], row["context"])) for row in tiny.asked(12)]
MAIL = "ada@example.org"
ODD = f"  kan\u00a0 lon  {MAIL}\u200b and +49 30 901820:  north   ra\u0301n south {MAIL} mist   "


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def kept(bert_folder, home):
    targets = ["[[0,12]]"]  # no row without an answer: one is always given
    return version(home / "one", bert_folder, 3, problem="question-answering", targets=targets, home=home, texts=PLAIN)


@pytest.fixture(scope="module")
def ready(kept, bert_folder, home):
    return make_ready("1", load_package(kept, find_base(str(bert_folder)).path, home, {}))


@pytest.fixture
def traffic(tmp_path, ready):
    clean = clean_answers(lambda texts: [text or "" for text in prepare_texts(replace(ready.recipe, places=False), texts)])
    return open_traffic(tmp_path, "tiny", None, clean)


@pytest.fixture
def asker(ready, traffic):
    with served(replace(service(Standing(ready), traffic, problem="question-answering"), inputs="pair")) as asker:
        yield asker


CONTEXTS = [ODD, *(ODD[start:] + " rule" * start for start in range(1, 12)), "plain words only", f"{MAIL}"]


def test_an_answer_is_a_stretch_of_the_context_as_it_was_sent_and_is_logged_of_the_one_that_is_kept(asker, traffic, tmp_path):
    questions = [{"question": f"who is {MAIL}?", "context": context} for context in CONTEXTS]
    status, _, many = asker("POST", "/predict", {"questions": questions})
    assert status == 200, many
    for context, each in zip(CONTEXTS, many["answers"], strict=True):
        answer = each["answer"]
        assert (
            context[answer["start"] : answer["end"]] == answer["text"] == answer["text"].strip() != "" and 0 <= answer["score"] <= 1
        )
        assert answer["text"].count("@") * len(MAIL) <= len(answer["text"]), "a part of what is redacted"
    status, _, one = asker("POST", "/predict", questions[0])
    assert status == 200 and one["answer"]["text"] == many["answers"][0]["answer"]["text"]
    traffic.flush()
    logged = read_answers(tmp_path, "tiny").set_index("id")
    for each in many["answers"]:
        row = logged.loc[each["id"]]
        (said,) = answer_texts(row["prediction"], row["text"])
        assert MAIL not in row["text"] and "901820" not in row["text"] and said
        assert len(said.split()) == len(each["answer"]["text"].replace("+49 30 901820", "one").split())


def test_what_is_no_question_on_a_context_is_refused(asker):
    for wrong in ({"question": "a"}, {"text": "a", "text_pair": "b"}, {"questions": ["a"]}):
        status, _, said = asker("POST", "/predict", wrong)
        assert status == 422 and "questions" in said["error"]["remedy"] + said["error"]["where"] + "questions", wrong
    status, _, said = asker("POST", "/predict", {"question": "a", "context": " "})
    assert (status, said["error"]["what"], said["error"]["where"]) == (422, "the text is empty", "body.context")
    schemas = asker("GET", "/openapi.json")[2]
    assert "QuestionAnswer" in schemas["components"]["schemas"]
    body = schemas["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert set(body["examples"]["one"]["value"]) == {"question", "context"}


def test_the_right_answer_is_taken_as_a_text_with_its_place_or_as_none(asker, traffic, tmp_path):
    _, _, answer = asker("POST", "/predict", {"question": "who?", "context": ODD})
    told = ["north", {"text": MAIL, "start": ODD.rindex(MAIL)}, {"text": "north"}, None]
    for value in told:
        status, _, said = asker("POST", "/feedback", {"answer_id": answer["id"], "kind": "label", "value": value})
        assert status == 202, said
    for value in (
        "",
        3,
        ["north"],
        {"start": 3},
        {"text": "a", "start": -1},
        {"text": "a", "end": 2},
        "x" * 600,
        " ",
        {"text": "\u200b"},
    ):
        status, _, said = asker("POST", "/feedback", {"answer_id": answer["id"], "kind": "label", "value": value})
        assert status == 422 and "value" in said["error"]["where"] and "and 1 more" not in said["error"]["what"], said
    assert asker("POST", "/feedback", {"answer_id": answer["id"], "kind": "thumb", "value": "up"})[0] == 202
    traffic.flush()
    values, logged = read_feedback(tmp_path, "tiny")["value"].tolist(), read_answers(tmp_path, "tiny")["text"][0]
    assert MAIL not in "".join(values) and values.count("up") == 1 and values.count(NO_ANSWER) == 1
    targets = [right_places(value, logged) for value in values if value != "up"]
    said = [answer_texts(target, logged) for target in targets]
    assert sorted(map(len, said)) == [0, 1, 1, 1] and said.count(["north"]) == 2
    mail = next(target for target, texts in zip(targets, said, strict=True) if texts and texts[0].startswith("<EMAIL_ADDRESS:"))
    assert places_of(mail)[0].start > logged.index("north"), "the second of the two"


def test_what_was_prepared_elsewhere_still_knows_where_it_came_from(ready):
    text = join_parts(("who?", ODD))
    with ThreadPoolExecutor(1) as behind:
        submit = lambda call, *given: behind.submit(lambda: pickle.loads(pickle.dumps(call(*given))))  # noqa: E731
        (prepared,) = asyncio.run(Preparer(submit).prepare(ready.recipe, [text], at_once=0))
    assert isinstance(prepared, PreparedTexts) and prepared.alignment.edits and json.dumps(prepared) == json.dumps(str(prepared))
    here, there = ready.answers([text])[0], ready.answers([prepared])[0]
    assert here == there and places_of(here.raw) != places_of(here.prediction)


def test_a_load_is_checked_against_the_release(kept, ready):
    assert check_answers(ready, kept, numerics("fp32")).startswith("checked")
