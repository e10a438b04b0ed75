"""A judge of pairs and scorers of one's own, from the config to gate, MLflow and report."""

import json
import sys
from pathlib import Path

import pytest
import tiny

sys.path.insert(0, str(Path(__file__).parents[1] / "preferences"))
from judge_server import judge


@pytest.fixture
def settings(keep, llama_folder):
    rows = tiny.pairs(300).rename(columns={"id": "ticket", "text": "prompt", "target": "completion"})
    rows.assign(half="h").to_csv(keep.folder / "rows.csv", index=False)
    mine = keep.folder / "mine.py"
    mine.write_text("def words(predictions, targets):\n    return [len(text.split()) / 10 for text in predictions]\n")
    people = [{"prompt": f"p{n}", "a": "x" * (n + 2), "b": "x", "preferred": "a"} for n in range(30)]
    (keep.folder / "people.jsonl").write_text("\n".join(map(json.dumps, people)))
    return (
        "problem=text-generation", f"model.base={llama_folder}", "training.epochs=2", "evaluation.decode_rows=40",
        "evaluation.max_new_tokens=8", f"evaluation.scorers=[{mine}:words]", "gate.first=better", "gate.min_rows=5",
        f"evaluation.judge.agreement.source={keep.folder / 'people.jsonl'}", "evaluation.judge.model=m", "evaluation.judge.rows=20",
    )  # fmt: skip


@pytest.mark.slow
def test_a_judge_counts_once_it_agrees_with_people_and_a_changed_scorer_is_a_new_look(keep, settings):
    with judge("longer") as server:
        own = (*settings, f"evaluation.judge.url={server.url}", "evaluation.judge.counts_as=guard")
        first = keep.retrain(*own)
        asked = len(server.asked)
        assert 30 < asked <= 2 * (20 + 30)
        assert first["metrics"]["judge/agreement"] == 1 and 0 <= first["metrics"]["judge/win_rate"] <= 1
        assert any("preferences of judge m" in reason for reason in first["reasons"]), first["reasons"]
        report = json.loads(Path(first["report"]).with_suffix(".json").read_text())
        assert report["judge"]["counts_as"] == "guard" and report["judge"]["people"] == 30
        assert report["scorers"][0]["name"] == "words" and "Which answers are preferred" in Path(first["report"]).read_text()
        metrics = keep.runs()[0].data.metrics
        assert metrics["test/scorer/words"] == pytest.approx(report["scorers"][0]["value"]) and "test/judge/win_rate" in metrics
        assert keep.retrain(*own)["skipped"] and len(server.asked) == asked

        mine = keep.folder / "mine.py"
        mine.write_text(mine.read_text().replace("/ 10", "/ 20"))
        again = keep.retrain(*own)
        assert not again["skipped"] and again["train_key"] == first["train_key"] and len(server.asked) == asked
        assert again["metrics"]["scorer/words"] == pytest.approx(first["metrics"]["scorer/words"] / 2)


@pytest.mark.slow
def test_a_judge_that_disagrees_counts_for_nothing_and_one_that_is_away_holds_up_what_it_was_to_decide(keep, settings):
    with judge("shorter") as server:
        found = keep.retrain(*settings, f"evaluation.judge.url={server.url}", "evaluation.judge.counts_as=primary")
    report = json.loads(Path(found["report"]).with_suffix(".json").read_text())
    assert report["judge"]["counts_as"] == "nothing" and report["judge"]["agreement"] == 0
    assert "it agrees with people on 0%" in report["judge"]["note"]
    away = ("evaluation.judge.url=http://127.0.0.1:9/v1", "evaluation.judge.attempts=1")
    said = keep.refused(*settings, *away, "evaluation.judge.counts_as=primary", code=1)
    assert "evaluation.judge: http://127.0.0.1:9/v1 does not answer" in said
    shown = keep.retrain(*settings, *away)
    assert "the run goes on without it" in keep.said and "judge/win_rate" not in shown["metrics"]


@pytest.mark.slow
def test_people_may_judge_in_the_place_of_a_model(keep, settings):
    plain = tuple(word for word in settings if not word.startswith("evaluation.judge"))
    file = keep.folder / "judged.jsonl"
    human = (*plain, "evaluation.judge.kind=human", f"evaluation.judge.source={file}", "evaluation.judge.counts_as=primary")
    first = keep.retrain(*human)
    assert first["verdict"] == "INCONCLUSIVE" and "wait for people's judgement" in keep.said
    (pairs,) = keep.home.path.glob("judgements/tiny/pairs.jsonl")
    lines = [{**json.loads(line), "preferred": "tie"} for line in pairs.read_text().splitlines()]
    file.write_text("\n".join(map(json.dumps, lines)))
    second = keep.retrain(*human)
    assert not second["skipped"] and second["metrics"]["judge/win_rate"] == 0.5


def test_a_scorer_that_cannot_be_asked_is_refused_before_any_work(keep, settings):
    (keep.folder / "mine.py").write_text("def words(predictions, targets):\n    return [1.0]\n")
    said = keep.refused(*settings, "evaluation.judge.url=http://127.0.0.1:9/v1")
    assert "mine.py:words): gives 1 numbers for 2 rows" in said and not keep.runs()
    assert "evaluation.judge: text-classification writes no texts" in keep.refused("evaluation.judge.url=http://x/v1",
                                                                                  "evaluation.judge.model=m")  # fmt: skip
    assert "agreement names no judgements" in keep.refused("evaluation.judge.url=http://x/v1", "evaluation.judge.model=m",
                                                           "evaluation.judge.counts_as=guard")  # fmt: skip
