"""A model learns from answers that people found good or bad, one by one, and is compared by both kinds."""

from pathlib import Path

import pytest
import tiny

from tasks.report.run.data import from_json

COLUMNS = {"id": "ticket", "text": "prompt", "target": "completion", "thumb": "liked"}


@pytest.fixture
def thumbs(keep):
    rows = tiny.thumbs(300).rename(columns=COLUMNS).assign(half=[f"h{n % 2}" for n in range(300)]).drop(columns="group")
    rows.to_csv(keep.folder / "rows.csv", index=False)
    return rows


@pytest.mark.slow
def test_a_model_that_tells_good_answers_from_bad_ones_is_promoted(keep, thumbs, llama_folder):
    settings = (
        "problem=text-generation", f"model.base={llama_folder}", "adapter.kind=lora", "evaluation.decode_rows=4",
        "objective.kind=preference", "objective.loss=kto", "data.thumb=liked", "training.epochs=10", "training.learning_rate=1e-2",
    )  # fmt: skip
    first = keep.retrain(*settings)
    assert first["verdict"] == "PROMOTE" and first["metrics"]["thumb_auc"] > 0.8, first["reasons"]
    report = from_json(Path(first["report"]).with_suffix(".json").read_bytes())
    ours, base = report.systems
    assert [score.metric for score in ours.scores[:2]] == ["thumb_margin", "thumb_auc"]
    assert ours.scores[0].low is not None and ours.scores[0].low < first["metrics"]["thumb_margin"]
    assert base.name == "base model" and report.comparisons[0].quantity.startswith("thumb margin")
    assert keep.retrain(*settings)["skipped"]


def test_thumbs_of_one_kind_are_refused_before_any_training(keep, thumbs, llama_folder):
    thumbs.assign(liked="up").to_csv(keep.folder / "rows.csv", index=False)
    settings = ("problem=text-generation", f"model.base={llama_folder}", "objective.kind=preference", "objective.loss=kto")
    said = keep.refused(*settings, "data.thumb=liked")
    assert "data.thumb: all" in said and "rows have a thumb up" in said and "add answers with a thumb down" in said
