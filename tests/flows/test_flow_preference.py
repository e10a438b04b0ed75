"""A model that learned to answer learns which answers people prefer, and replaces itself by what it finds likelier."""

from pathlib import Path

import pandas as pd
import pytest
import tiny

from tasks.report.run.data import from_json


@pytest.fixture
def pairs(keep):
    rows = tiny.preferences(300).rename(columns={"id": "ticket", "text": "prompt", "target": "completion", "rejected": "worse"})
    rows.assign(half=[f"h{n % 2}" for n in range(300)]).drop(columns="group").to_csv(keep.folder / "rows.csv", index=False)


@pytest.mark.slow
def test_a_model_is_replaced_by_one_that_finds_preferred_answers_likelier(keep, pairs, llama_folder):
    settings = (
        "problem=text-generation", f"model.base={llama_folder}", "adapter.kind=lora", "evaluation.decode_rows=4",
        "objective.kind=preference", "training.epochs=6",
    )  # fmt: skip
    first = keep.retrain(*settings, "data.completion=worse", "data.rejected=completion")
    assert first["verdict"] == "PROMOTE" and first["metrics"]["preference_accuracy"] > 0.9, first["reasons"]

    turned = ("data.rejected=worse", "training.start=champion")
    second = keep.retrain(*settings, *turned)
    assert second["verdict"] == "PROMOTE", second["reasons"]
    assert second["metrics"]["preference_accuracy"] > 0.9 and "Better than the champion" in second["reasons"][0]

    report = from_json(Path(second["report"]).with_suffix(".json").read_bytes())
    ours, theirs, *baselines = report.systems
    assert [score.metric for score in ours.scores[:2]] == ["preference_margin", "preference_accuracy"]
    assert ours.scores[0].low is not None and theirs.scores[0].value < 0 < ours.scores[0].low
    assert [each.name for each in baselines] == ["base model"]
    assert report.comparisons[0].quantity.startswith("preference margin")
    assert "preference accuracy" in Path(second["report"]).read_text()
    scores = pd.read_parquet(keep.tracking.fetch(f"runs:/{second['run_id']}/scores.parquet", keep.folder))
    assert "margin" in scores and not {"text", "target", "rejected", "prediction"} & set(scores)
    assert keep.retrain(*settings, *turned)["skipped"]


def test_without_a_pair_it_is_refused_before_any_training(keep, pairs, llama_folder):
    said = keep.refused("problem=text-generation", f"model.base={llama_folder}", "objective.kind=preference", "data.feedback=true")
    assert "data.rejected: none of the 300 rows has another answer that was rejected" in said
