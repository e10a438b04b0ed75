"""A service that marks spans: in the caller's own characters, whatever was normalised and redacted; corrected in them too."""

import json
import pickle

import pytest
import tiny
from serving_parts import Standing, served, service, version

from tasks.common.bases import find_base
from tasks.data.feedback import labelled_answers, rows_of, with_own_spans
from tasks.data.spans import spans_of
from tasks.learning.device import numerics
from tasks.serving.feedback_cleaning import corrections_cleaner
from tasks.serving.http.messages import Messages, Refusal, parse_body
from tasks.serving.packaged_model import load_package
from tasks.serving.predictor import make_ready
from tasks.serving.smoke_test import check_answers
from tasks.serving.text_preparation import prepare_texts
from tasks.traffic.log import open_traffic, read_answers, read_feedback

TARGETS = tuple(tiny.span_rows(60)["target"])
WORDS = tiny.rows(1)[0]["text"].split()
RAW = f"  {WORDS[0]}\u00a0\u00a0{WORDS[1]} ann@example.org\u200b cafe\u0301 {' '.join(WORDS)} +49 30 901820\r\n{WORDS[2]} "


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def kept(bert_folder, home):
    return version(home / "version", bert_folder, 5, problem="token-classification", targets=TARGETS, home=home, spread=1.5)


@pytest.fixture(scope="module")
def ready(kept, bert_folder, home):
    return make_ready("1", load_package(kept, find_base(str(bert_folder)).path, home, {}))


@pytest.fixture
def traffic(tmp_path):
    return open_traffic(tmp_path, "tiny", None, corrections_cleaner(lambda labels: labels))


@pytest.fixture
def asker(ready, traffic):
    with served(service(Standing(ready), traffic, problem="token-classification")) as asker:
        yield asker


def test_entities_stand_in_the_text_as_it_was_sent_and_are_logged_in_the_text_as_it_is_kept(asker, ready, traffic, tmp_path):
    status, _, answer = asker("POST", "/predict", {"text": RAW})
    assert status == 200 and len(answer["entities"]) > 3, "a network drawn at random marks something"
    assert all(0 <= entity["score"] <= 1 for entity in answer["entities"])
    traffic.flush()
    logged = read_answers(tmp_path, "tiny").iloc[0]
    assert "ann@" not in logged["text"] and "<EMAIL_ADDRESS:" in logged["text"] and "caf\u00e9" in logged["text"]
    kept_spans = [logged["text"][start:end] for start, end, _ in spans_of(logged["prediction"])]
    sent = [RAW[entity["start"] : entity["end"]] for entity in answer["entities"]]
    assert len(kept_spans) == len(sent)
    assert [ready.kept.prepare([each])[0] for each in sent] == kept_spans, "each is the other, prepared"
    assert any("<" in each for each in kept_spans), "one is personal, or the test shows nothing"


def test_many_long_and_short_are_answered_as_the_package_answers(asker, ready):
    texts = [RAW, " ".join(WORDS), " ".join([RAW] * 4)]
    expected = ready.kept.predict(texts)["entities"].tolist()
    _, _, many = asker("POST", "/predict", {"texts": texts})
    for answer, own in zip(many["answers"], expected, strict=True):
        places = [[(each["label"], each["start"], each["end"]) for each in side] for side in (answer["entities"], own)]
        assert places[0] == places[1]
    assert max(each["end"] for each in expected[2]) > len(RAW) * 3, "the tail of a text longer than max_length is read too"


def test_spans_set_right_in_the_callers_text_become_rows_of_the_kept_text(asker, traffic, tmp_path):
    _, _, answer = asker("POST", "/predict", {"text": RAW})
    mail, cafe = RAW.index("ann@"), RAW.index("cafe")
    entities = [{"label": "MAIL", "start": mail + 2, "end": mail + 9}, {"label": "PLACE", "start": cafe - 1, "end": cafe + 5}]
    value = {"text": RAW, "entities": [*entities, {**entities[0], "score": 0.5}]}
    status, _, said = asker("POST", "/feedback", {"answer_id": answer["id"], "kind": "label", "value": value})
    assert status == 202, said
    other = {"text": f"{RAW} more", "entities": entities}
    assert asker("POST", "/feedback", {"answer_id": answer["id"], "kind": "label", "value": other})[0] == 202
    traffic.flush()
    answers, feedback = read_answers(tmp_path, "tiny"), read_feedback(tmp_path, "tiny")
    assert not feedback["value"].str.contains("ann").any()
    rows = rows_of(answers, feedback[:1], "token-classification", 500).to_pylist()
    assert len(rows) == 1 and rows[0]["text"] == answers["text"][0]
    spans = [(rows[0]["text"][start:end], label) for start, end, label in spans_of(rows[0]["target"])]
    assert spans[0][0].startswith("<EMAIL_ADDRESS:") and spans[0][0].endswith(">") and spans[1] == ("caf\u00e9", "PLACE")
    assert with_own_spans(labelled_answers(answers, feedback[1:])).empty, "spans of another text are not of this one"


def test_an_auditor_points_at_the_text_that_is_kept(asker, traffic, tmp_path):
    _, _, answer = asker("POST", "/predict", {"text": RAW})
    traffic.flush()
    text = read_answers(tmp_path, "tiny")["text"][0]
    start, end = text.index("<EMAIL"), text.index(">") + 1
    value = {"text": text, "entities": [{"label": "MAIL", "start": start + 3, "end": end}, {"label": "WORD", "start": 0, "end": 3}]}
    assert asker("POST", "/feedback", {"answer_id": answer["id"], "kind": "label", "value": value})[0] == 202
    traffic.flush()
    (row,) = rows_of(read_answers(tmp_path, "tiny"), read_feedback(tmp_path, "tiny"), "token-classification", 500).to_pylist()
    assert spans_of(row["target"]) == ((0, 3, "WORD"), (start, end, "MAIL"))


def test_places_come_whole_from_the_process_that_prepares_long_texts(ready):
    (prepared,) = pickle.loads(pickle.dumps(prepare_texts(ready.recipe, [RAW])))
    start, end = prepared.index("<EMAIL"), prepared.index(">") + 1
    assert RAW[slice(*prepared.alignment.back(start, end))] == "ann@example.org"
    assert prepare_texts(ready.recipe, [prepared])[0].alignment.edits == ()


@pytest.mark.parametrize(
    "value",
    [
        [], "PERSON", {"entities": []}, {"text": RAW, "entities": [{"label": "A", "start": 3, "end": 3}]},
        {"text": "ab", "entities": [{"label": "A", "start": 0, "end": 9}]},
        {"text": "a b", "entities": [{"label": "A", "start": 1, "end": 2}]},
        {"text": "abc", "entities": [{"label": "A", "start": 0, "end": 2}, {"label": "B", "start": 1, "end": 3}]},
        {"text": "abc", "entities": [{"label": "", "start": 0, "end": 2}]},
        {"text": "abc", "entities": [{"label": "\u200b", "start": 0, "end": 2}]},
        {"text": "abc", "entities": [{"label": "A", "start": 0.5, "end": 2}]},
    ],
)  # fmt: skip
def test_what_are_no_spans_of_the_text_is_refused_and_nothing_of_the_text_is_said(asker, value):
    _, _, answer = asker("POST", "/predict", {"text": RAW})
    status, _, said = asker("POST", "/feedback", {"answer_id": answer["id"], "kind": "label", "value": value})
    assert status == 422 and "value" in said["error"]["where"] and "ann@" not in json.dumps(said), said


def test_a_text_has_so_many_different_labels_at_the_most():
    def body(labels):
        spans = [{"label": str(at % labels), "start": at, "end": at + 1} for at in range(201)]
        value = {"text": "a" * 201, "entities": spans}
        return json.dumps({"answer_id": "a" * 32, "kind": "label", "value": value}).encode()

    feedback = Messages("token-classification", 10, 500).feedback
    assert len(parse_body(feedback, body(200), "").value.entities) == 201
    with pytest.raises(Refusal, match="201 different labels"):
        parse_body(feedback, body(201), "")


def test_places_that_look_like_a_telephone_number_are_not_redacted():
    clean = corrections_cleaner(lambda labels: [f"{label}!" for label in labels])
    value = '{"spans":[[4930,901820,"NAME"]],"text":"0123456789abcdef"}'
    assert [json.loads(each or "{}") for each in clean([value, ""])] == [
        {"spans": [[4930, 901820, "NAME!"]], "text": "0123456789abcdef"},
        {},
    ]


def test_a_load_is_checked_against_the_release(ready, kept):
    assert check_answers(ready, kept, numerics("fp32")).startswith("checked")


def test_the_description_names_entities(asker):
    text = json.dumps(asker("GET", "/openapi.json")[2])
    assert "EntitiesAnswer" in text and "CorrectedSpan" in text
