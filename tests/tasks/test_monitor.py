"""What a look reads of the traffic: the champion's own answers, a part of many, all that were audited."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from configs.schema import Data, Model, Monitor, Pipeline
from tasks.collect.levels import acceptance_rate
from tasks.common.home import Home
from tasks.data.text_stats import UNSURE
from tasks.monitor import TrafficWindow, judge_window, window_answers
from tasks.reference import TrafficReference
from tasks.serving.feedback_cleaning import feedback_cleaner
from tasks.traffic.log import Answer, Feedback, new_id, open_traffic

NOW = datetime.now(UTC)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def pipeline(problem="text-classification"):
    return Pipeline(
        name="tiny", problem=problem, data=Data(source="x.csv"), model=Model(base="x"), monitor=Monitor(max_rows=100)
    )  # fmt: skip


def answer(prediction="a", **more):
    plain = {"version": "1", "text": "t", "score": None, "latency_ms": 1.0, "time": NOW - timedelta(hours=1)}
    return Answer(**{**plain, "id": new_id(), "prediction": prediction, **more})


def keep(home, given, feedback=()):
    log = open_traffic(home.path, "tiny")
    log.answered(given)
    log.feedback([Feedback(new_id(), one.id, NOW, kind, value, source) for one, kind, value, source in feedback])
    log.close()


def test_of_many_answers_a_part_is_read_with_all_that_were_audited(home):
    drawn = [answer(audit=True, audit_probability=0.1) for _ in range(40)]
    drawn_only = [answer(audit=True, audit_probability=0.1) for _ in range(400)]
    other = [answer(version="2") for _ in range(100)] + [answer(origin="score") for _ in range(100)]
    keep(home, [*drawn, *other, *drawn_only, *(answer() for _ in range(160))], [(one, "label", "a", "audit") for one in drawn])
    found = window_answers(pipeline(), home, "1", NOW)
    assert 119 < len(found) <= 140  # 100 and those audited that are not among them: 33, six standard errors of 2.3
    assert found["correct"].sum() == found["correct"].notna().sum() == 40 and found["id"].is_unique
    assert found["version"].eq("1").all() and found["origin"].eq("predict").all()


def test_a_label_that_the_log_redacted_is_the_class_it_was(home):
    masked = feedback_cleaner(pipeline(), home)(["desk@example.org"])[0]
    assert masked.startswith("<EMAIL_ADDRESS:")
    drawn = [answer("desk@example.org", audit=True, audit_probability=0.5, text=f"t{n}") for n in range(4)]
    keep(home, drawn, [(drawn[0], "label", masked, "audit"), (drawn[1], "label", "other@example.org", "audit")])
    assert window_answers(pipeline(), home, "1", NOW).set_index("text")["correct"].dropna().to_dict() == {"t0": 1.0, "t1": 0.0}


def test_a_value_that_is_no_set_of_labels_is_no_audit(home):
    drawn = [answer('["a"]', audit=True, audit_probability=0.5, text=f"t{n}") for n in range(3)]
    values = ('["a","b"]', "billing", '["a\\<EMAIL_ADDRESS:0736ed06>"]')
    keep(home, drawn, [(one, "label", value, "audit") for one, value in zip(drawn, values, strict=True)])
    found = window_answers(pipeline("multi-label-classification"), home, "1", NOW).set_index("text")["correct"]
    assert found.dropna().to_dict() == {"t0": pytest.approx(2 / 3)}
    keep(home, [answer('["a"]', version="2")])
    assert window_answers(pipeline("multi-label-classification"), home, "2", NOW)["correct"].isna().all()


def test_audits_of_written_answers_say_how_many_needed_no_correction_and_users_do_not(home):
    drawn = [answer(f"it is {n}", audit=True, audit_probability=0.5, text=f"t{n}") for n in range(40)]
    other = [answer("it is", text="t") for _ in range(60)]
    fine = [(one, "correction", one.prediction, "audit") for one in drawn[:30]]
    wrong = [(one, "correction", "it is not", "audit") for one in drawn[30:]]
    keep(home, [*drawn, *other], [*fine, *wrong, *((one, "thumb", "down", "user") for one in other)])
    found = window_answers(pipeline("text-generation"), home, "1", NOW)
    share = acceptance_rate(found)
    assert share["value"] == 0.75 and share["n"] == 40 and share["low"] == pytest.approx(0.598, abs=0.001)  # Wilson's, by hand
    assert acceptance_rate(found[~found["audit"]]) is None
    told_often = found.assign(text="t")
    assert acceptance_rate(told_often)["high"] - acceptance_rate(told_often)["low"] > 0.7, "one text is one event"


def test_an_auditors_spelling_of_the_answers_label_is_that_label_and_another_sign_is_not(home):
    drawn = [answer(prediction, audit=True, audit_probability=0.1) for prediction in ("log in", "1.0", "-1", "true", "a", "log in")]
    labels = ("Log-In", "1", "1", "TRUE", "b", "a")
    keep(home, drawn, [(one, "label", label, "audit") for one, label in zip(drawn, labels, strict=True)])
    found = window_answers(pipeline(), home, "1", NOW).set_index("id")["correct"]
    assert found[[one.id for one in drawn]].tolist() == [1, 1, 0, 1, 0, 0]


def frame(texts, right):
    """Rows as a reference or a window describes them: half of them German, half English, and some too short to tell."""
    language = ["de" if text.startswith("de") else "en" if text.startswith("en") else UNSURE for text in texts]
    return pd.DataFrame(
        {"text": texts, "language": language, "length": 3.0, "vocabulary": 0.1, "missing": False, "score": 0.9, "prediction": "a",
         "correct": right, "audit": True, "audit_probability": 1.0}
    )  # fmt: skip


def test_a_column_of_languages_has_accuracy_judged_in_each_of_them():
    texts = [f"{'de' if n % 2 else 'en'} {n}" for n in range(400)] + ["hi"] * 5
    points = np.random.default_rng(0).normal(size=(405, 4)).astype(np.float32)
    right = [float(n % 20 > 0) for n in range(405)]
    worse = [float(mark and (text.startswith("en") or n % 3 > 0)) for n, (mark, text) in enumerate(zip(right, texts, strict=True))]
    reference = TrafficReference(frame(texts, right), points, frozenset())
    later = frame([f"{text} again" for text in texts], worse)
    window = TrafficWindow(NOW - timedelta(days=7), NOW, later, points)
    plain = pipeline()
    told_apart = plain.model_copy(update={"data": plain.data.model_copy(update={"language": "lang", "text": "text"})})
    by_name = {found.monitor: found for found in judge_window.fn(told_apart, reference, window, 1, 0)}
    found = by_name["performance.language_accuracy"]
    assert found.alarm and found.note.startswith("de: ") and found.n_reference == 200
    assert "performance.language_error" not in by_name
    assert "performance.language_accuracy" not in {found.monitor for found in judge_window.fn(plain, reference, window, 1, 0)}
