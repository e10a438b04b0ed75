"""A service whose answers are numbers or sets of labels, and one that reads pairs: asked, corrected, checked at its start."""

import re
from dataclasses import replace

import pytest
import tiny
from serving_parts import Standing, served, service, version

from configs.errors import InfraError
from configs.schema import PATTERN_ENTITIES, facts_of
from tasks.common.bases import find_base
from tasks.data.label_sets import labels_of, write_label_set
from tasks.data.text_parts import MARK
from tasks.learning.device import numerics
from tasks.serving.feedback_cleaning import cleaner_of
from tasks.serving.packaged_model import load_package
from tasks.serving.predictor import make_ready
from tasks.serving.smoke_test import check_answers
from tasks.serving.text_preparation import Recipe, prepare_texts
from tasks.traffic.log import open_traffic, read_answers, read_feedback

NUMBERS = tuple(tiny.number_rows(60)["target"])
SETS = tuple(tiny.label_set_rows(60)["target"])
TEXTS = [row["text"] for row in tiny.rows(12)]


@pytest.fixture(params=["text-regression", "multi-label-classification"])
def problem(request):
    return request.param


@pytest.fixture
def kept(problem, bert_folder, tmp_path):
    targets = NUMBERS if problem == "text-regression" else SETS
    return version(tmp_path / "version", bert_folder, 3, problem=problem, targets=targets)


def loaded(folder, bert_folder, home):
    return load_package(folder, find_base(str(bert_folder)).path, home, {})


@pytest.fixture
def ready(kept, bert_folder, tmp_path):
    return make_ready("1", loaded(kept, bert_folder, tmp_path))


@pytest.fixture
def traffic(tmp_path):
    return open_traffic(tmp_path, "tiny")


@pytest.fixture
def asker(problem, ready, traffic):
    with served(service(Standing(ready), traffic, problem=problem)) as asker:
        yield asker


def test_one_and_many_are_answered_as_the_package_answers(problem, asker, kept, bert_folder, tmp_path):
    expected = loaded(kept, bert_folder, tmp_path).predict(TEXTS)
    _, _, one = asker("POST", "/predict", {"text": TEXTS[0]})
    _, _, many = asker("POST", "/predict", {"texts": TEXTS})
    if problem == "text-regression":
        assert [answer["number"] for answer in many["answers"]] == pytest.approx(expected["number"].tolist(), rel=1e-4)
        assert one["number"] == pytest.approx(expected["number"][0], rel=1e-4) and "score" not in one
    else:
        assert [answer["labels"] for answer in many["answers"]] == expected["labels"].tolist()
        assert one["labels"] == expected["labels"][0] and 0 <= one["score"] <= 1


def test_what_is_right_is_taken_typed_and_kept_in_one_spelling(problem, asker, traffic, tmp_path):
    _, _, answer = asker("POST", "/predict", {"text": TEXTS[0]})
    is_number = problem == "text-regression"
    right, wrong = (
        (2.50, ["2,5", "many", None, [1], -1e300, True, "3"]) if is_number else (["b", "a"], ["a", 3, [""], [" "], ["x"] * 300])
    )
    status, _, said = asker("POST", "/feedback", {"answer_id": answer["id"], "kind": "label", "value": right})
    assert status == 202, said
    for value in wrong:
        status, _, said = asker("POST", "/feedback", {"answer_id": answer["id"], "kind": "label", "value": value})
        assert status == 422 and "value" in said["error"]["where"], value
    traffic.flush()
    assert read_feedback(tmp_path, "tiny")["value"].tolist() == ["2.5" if problem == "text-regression" else '["a","b"]']
    assert len(read_answers(tmp_path, "tiny")) == 1


def test_labels_of_a_set_are_redacted_each_by_itself():
    recipe = Recipe(False, PATTERN_ENTITIES, b"k" * 32)
    clean = cleaner_of(
        facts_of("multi-label-classification"), lambda labels: [text or "" for text in prepare_texts(recipe, labels)]
    )
    value = write_label_set(["to\nann@example.org", "at\n192.168.0.1", "plain"])
    (kept, thumb) = clean([value, ""])
    names = [re.sub(":[0-9a-f]{8}>", ">", label) for label in labels_of(kept)]
    assert names == ["at\n<IP_ADDRESS>", "plain", "to\n<EMAIL_ADDRESS>"] and thumb == ""


def test_a_load_is_checked_against_the_release_within_rounding_and_other_weights_are_seen(
    kept, ready, bert_folder, tmp_path, problem
):
    assert check_answers(ready, kept, numerics("fp32")).startswith("checked")
    targets = NUMBERS if problem == "text-regression" else SETS
    other = version(tmp_path / "other", bert_folder, 9, problem=problem, targets=targets)
    with pytest.raises(InfraError, match="otherwise than at its release"):
        check_answers(make_ready("2", loaded(other, bert_folder, tmp_path)), kept, numerics("fp32"))


def test_the_description_names_what_is_asked_and_answered(problem, asker):
    text = str(asker("GET", "/openapi.json")[2]["components"]["schemas"])
    assert ("NumberAnswer" if problem == "text-regression" else "LabelsAnswer") in text


def test_a_pair_is_asked_by_its_two_texts_and_logged_as_one_input(bert_folder, tmp_path):
    folder = version(tmp_path / "version", bert_folder, 3)
    expected = loaded(folder, bert_folder, tmp_path).predict([MARK.join(TEXTS[:2])])["label"][0]
    ready = make_ready("1", loaded(folder, bert_folder, tmp_path))
    with served(replace(service(Standing(ready), open_traffic(tmp_path, "tiny")), inputs="pair")) as asker:
        status, _, one = asker("POST", "/predict", {"text": TEXTS[0], "text_pair": TEXTS[1]})
        assert status == 200 and one["label"] == expected
        pairs = [{"text": first, "text_pair": second} for first, second in zip(TEXTS, TEXTS[::-1], strict=True)]
        assert len(asker("POST", "/predict", {"texts": pairs})[2]["answers"]) == len(TEXTS)
        for wrong in ({"text": TEXTS[0]}, {"texts": TEXTS}, {"text": TEXTS[0], "text_pair": ""}):
            assert asker("POST", "/predict", wrong)[0] == 422, wrong
        status, _, _ = asker("POST", "/predict", {"text": f"a{MARK}b{MARK}c", "text_pair": "d"})
        assert status == 200
