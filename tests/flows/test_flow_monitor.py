"""Watching a champion: looks are counted, a change is an alarm and an event, silence spends nothing."""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
import tiny

from configs.errors import InfraError
from configs.load import load_pipeline as load_config
from flows.monitor import _reason_to_skip
from flows.retrain import retrain
from tasks import monitor
from tasks.ledger.monitor_runs import Look, all_looks
from tasks.ledger.retrain_requests import SETTLE_SECONDS
from tasks.reference import read_reference
from tasks.release import champion_files
from tasks.report.history.data import from_json as history_from_json
from tasks.report.monitor.data import from_json as watch_from_json
from tasks.serving.packaged_model import load_package
from tasks.traffic.log import Answer, Feedback, new_id, open_traffic

GOOD = ("training.epochs=4",)
WATCH = ("monitor.min_rows=50", "monitor.looks_per_year=1")


@pytest.fixture(scope="module")
def champions_home(tmp_path_factory):
    """Where the home of the first test's champion is copied to."""
    return tmp_path_factory.mktemp("champion") / "home"


@pytest.fixture
def kept(keep, champions_home):
    """A champion, and the means to let it answer; it is trained once, and its home copied for each test."""
    if champions_home.is_dir():
        shutil.copytree(champions_home, keep.home.path, dirs_exist_ok=True)
        return keep
    assert keep.retrain(*GOOD)["verdict"] == "PROMOTE"
    shutil.copytree(keep.home.path, champions_home)
    return keep


def serve(keep, rows, *, audit=False, when=None):
    """Let the champion answer rows' texts, as the service logs it; audits are labelled with the rows' labels."""
    model = load_package(*champion_files(keep.tracking, keep.home, "tiny", "1"), keep.home.path)
    texts = [row["text"] for row in rows]
    said = model.predict(texts)
    when = when or datetime.now(UTC)
    log = open_traffic(keep.home.path, "tiny")
    answers = [
        Answer(new_id(), when, "1", text, label, float(score), 1.0, audit, 1.0 if audit else 0.0, "predict")
        for text, label, score in zip(model.prepare(texts), said["label"], said["score"], strict=True)
    ]
    log.answered(answers)
    if audit:
        pairs = zip(answers, rows, strict=True)
        log.feedback([Feedback(new_id(), answer.id, when, "label", row["label"], "audit") for answer, row in pairs])
    log.close()


def look(keep, *overrides):
    code, printed = keep.command("monitor", str(keep.config), *GOOD, *WATCH, *overrides, "--json")
    assert code == 0, keep.said
    return json.loads(printed)


def test_traffic_like_the_reference_is_quiet_and_other_traffic_is_an_alarm_with_its_event(kept, monkeypatch):
    events = []
    monkeypatch.setattr(monitor, "emit_event", lambda name, resource, payload: events.append((name, resource, payload)))
    assert look(kept)["reason"].startswith("0 answers in the last 7 days, fewer than monitor.min_rows")
    serve(kept, tiny.rows(150, seed=3), audit=True)
    quiet = look(kept)
    assert not quiet["skipped"] and not quiet["alarm"] and quiet["look"] == 1 and events == []
    again = look(kept)
    assert again["skipped"] and again["reason"] == "nothing was answered since look 1"
    strange = [{"text": f"wholly unheard of matter number {n % 83} {'zebra' * (n % 5)}", "label": "x"} for n in range(400)]
    serve(kept, strange, audit=True)
    moved = look(kept)
    assert moved["alarm"] and moved["look"] == 2 and moved["event"] == "tunekeeper.decay"
    assert "performance.accuracy" in moved["monitors"] and "inputs.vocabulary" in moved["monitors"]
    (name, resource, payload) = events[0]
    assert name == moved["event"] and resource == {"prefect.resource.id": "tunekeeper.pipeline.tiny"}
    assert payload["monitors"] == moved["monitors"] and payload["version"] == "1" and payload["look"] == 2
    kept_looks = all_looks(kept.ledger, "tiny", "1")
    assert [each.alarm for each in kept_looks] == [False, True] and kept_looks[1].payload["report"] == moved["report"]
    assert "zebra" in (kept.home.path / "looks" / "tiny" / "v1-2" / "watch.html").read_text()
    run = next(run for run in kept.runs() if run.data.tags.get("tunekeeper.watches") == "1")
    history = kept.tracking.client.get_metric_history(run.info.run_id, "inputs.vocabulary.effect")
    assert [point.step for point in history] == [1, 2] and run.info.status == "FINISHED"


def test_an_alarm_whose_event_was_lost_is_announced_by_the_next_look_until_a_retraining_is_asked_for(kept, monkeypatch):
    def lost(*_, **__):
        raise InfraError("the Prefect server does not answer")

    strange = [{"text": f"wholly unheard of matter number {n % 83} {'zebra' * (n % 5)}", "label": "x"} for n in range(400)]
    serve(kept, strange)
    monkeypatch.setattr(monitor, "emit_event", lost)
    assert kept.command("monitor", str(kept.config), *GOOD, *WATCH)[0] == 1
    events = []
    monkeypatch.setattr(monitor, "emit_event", lambda name, resource, payload: events.append(payload))
    again = look(kept)
    assert again["skipped"] and again["event"] == "tunekeeper.drift" and not again["alarm"]
    (payload,) = events
    assert payload["name"] == "v1-1" and "inputs.vocabulary" in payload["monitors"]
    kept.retrain(*GOOD)
    assert look(kept)["event"] is None and len(events) == 1


def test_look_retraining_and_history_lead_to_one_another(kept, monkeypatch):
    server = "http://mlflow.example"
    monkeypatch.setenv("TUNEKEEPER_MLFLOW_PAGES", server)
    strange = [{"text": f"wholly unheard of matter number {n % 83} {'zebra' * (n % 5)}", "label": "x"} for n in range(400)]
    serve(kept, strange, audit=True)
    seen = [look(kept)]
    led_to = retrain(
        load_config(kept.config, ["training.epochs=5"]),
        why="drift",
        asked=datetime.now(UTC) - timedelta(seconds=SETTLE_SECONDS),
        look="v1-1",
    )
    assert kept.command("history", str(kept.config))[0] == 0
    told = kept.said
    serve(kept, tiny.rows(60, seed=3))
    seen.append(look(kept))
    folder = kept.home.path
    watch_page = watch_from_json((folder / "looks" / "tiny" / "v1-2" / "watch.json").read_bytes())
    life = history_from_json((folder / "history" / "tiny" / "history.json").read_bytes())

    assert life.next_command == "tunekeeper report CONFIG"
    asked = watch_page.requests[-1]
    assert life.requests[-1] == asked and asked.why == "drift" and asked.version == led_to["model"]["version"] == "2"
    assert asked.look == "look 1 of version 1" and list(asked.monitors) == seen[0]["monitors"] != []
    first, second = life.versions
    assert (first.why, second.why) == ("person", "drift") and second.rows and second.low < second.value <= second.high
    assert watch_page.model_report == first.report and asked.report == second.report
    assert watch_page.looks[0].report == asked.look_report == life.looks[0].report
    links = [watch_page.model_report, watch_page.history, asked.report, asked.look_report]
    for link in links:
        run, artifact = re.fullmatch(rf"{server}/#/experiments/\d+/runs/(\w+)/artifacts/(.*)", link).groups()
        assert kept.tracking.fetch(f"runs:/{run}/{artifact}", kept.folder / "fetched" / run).is_file()
    assert f"page: {watch_page.history}" in told


def test_answers_outside_the_window_of_another_version_or_scored_in_bulk_are_no_traffic(kept):
    serve(kept, tiny.rows(60), when=datetime.now(UTC) - timedelta(days=8))
    log = open_traffic(kept.home.path, "tiny")
    now = datetime.now(UTC)
    for version, origin in (("2", "predict"), ("1", "score")):
        log.answered([Answer(new_id(), now, version, "a text", "a", 0.5, 1.0, False, 0.0, origin) for _ in range(60)])
    log.close()
    assert look(kept)["reason"].startswith("0 answers")


def test_a_look_under_a_clock_that_was_far_ahead_stops_no_later_look(keep):
    end = datetime(2026, 5, 1, tzinfo=UTC)
    watched = load_config(keep.config, ["monitor.min_rows=20"])
    answers = pd.DataFrame({"time": [end - timedelta(hours=1)] * 20})

    def skipped(*ends):
        looks = tuple(
            Look("tiny", "1", n, "", "", each.isoformat(timespec="milliseconds"), False, {}) for n, each in enumerate(ends)
        )
        return _reason_to_skip(watched, answers, looks, end)

    assert skipped(end - timedelta(hours=2)) is None and skipped(end - timedelta(minutes=5)) is not None
    assert skipped(end - timedelta(hours=2), end + timedelta(days=400)) is None
    assert skipped(end - timedelta(minutes=5), end + timedelta(days=400)) is not None
    assert skipped(end + timedelta(minutes=5)) is not None  # by a machine whose clock is a little ahead


def test_a_pipeline_without_a_champion_cannot_be_watched(keep):
    code, printed = keep.command("monitor", str(keep.config), "--json")
    assert code == 2 and printed == "" and "has no champion" in keep.said


def test_the_reference_is_the_test_split_as_it_came_with_the_versions_own_answers(keep):
    rows = tiny.rows(300)
    keep.write([*rows, *({**row, "ticket": f"again-{row['ticket']}"} for row in rows[:100])])
    found = keep.retrain(*GOOD)
    reference = read_reference(keep.home, keep.tracking, "tiny", "1")
    assert len(reference.rows) == len(reference.points) > json_rows(keep, found)
    copies = reference.rows["text"].duplicated()
    assert copies.any() and reference.rows["prediction"].notna().all() and reference.rows["correct"].isin([0, 1]).all()
    model = load_package(*champion_files(keep.tracking, keep.home, "tiny", "1"), keep.home.path)
    assert model.predict(reference.rows["text"].tolist())["label"].tolist() == reference.rows["prediction"].tolist()


def json_rows(keep, outcome):
    """The test rows that were scored: those of the reference less copies."""
    manifest = json.loads((keep.home.snapshots / outcome["snapshot"] / "manifest.json").read_text())
    return manifest["splits"]["test"]
