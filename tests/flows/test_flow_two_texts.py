"""Documents ranked for queries, and texts that find their partners: trained, judged, explained, scored, monitored and corrected."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
from test_flow_targets import alarms, look, serve

from tasks.data.text_parts import join_parts, split_parts
from tasks.report.run.data import from_json

COMMON = ("model.max_length=40", "adapter.kind=lora", "training.learning_rate=0.01", "data.slices=[]")
RANKING = ("problem=text-ranking", *COMMON, "training.epochs=8")
PARTNERS = ("problem=sentence-similarity", *COMMON, "training.epochs=6")


def write(keep, rows, *names):
    parts = pd.DataFrame([split_parts(text) for text in rows["text"]], columns=list(names), index=rows.index)
    frame = parts.assign(ticket=rows["id"], relevance=rows["target"])
    frame.to_csv(keep.folder / "rows.csv", index=False)
    return frame


@pytest.fixture
def ranked(keep):
    return write(keep, tiny.ranking_rows(480), "query", "document")


@pytest.mark.slow
def test_documents_are_ranked_by_query_and_a_query_counts_as_one(keep, ranked):
    ranked.loc[5, "relevance"] = "-1"
    ranked.to_csv(keep.folder / "rows.csv", index=False)
    found = keep.retrain(*RANKING)
    assert found["verdict"] == "PROMOTE" and found["metrics"]["ndcg_at_10"] > 0.9, (found["reasons"], found["metrics"])
    report = from_json(Path(found["report"]).with_suffix(".json").read_bytes())
    assert report.population.judged == report.population.groups == found["metrics"]["queries"] < report.population.test
    assert any("less than 0" in count.name for count in report.data.quarantined)
    frames = [pd.read_parquet(file) for file in (keep.home.snapshots / found["snapshot"]).glob("[tv]*.parquet")]
    splits = pd.concat([frame.assign(split=number) for number, frame in enumerate(frames)])
    query = splits["text"].map(lambda text: split_parts(text)[0])
    assert (splits.groupby(query)["split"].nunique() == 1).all() and splits["group"].nunique() == query.nunique()

    alike = tiny.ranking_rows(400, seed=5)
    serve(keep, alike["text"].tolist(), alike["target"].tolist())
    quiet = look(keep, *RANKING)
    judged = {finding["monitor"] for finding in quiet["findings"] if finding["p"] is not None}
    assert not quiet["alarm"] and {"predictions.number", "performance.error"} <= judged, quiet
    serve(keep, alike["text"].tolist()[:100], ["1"] * 100, source="user")
    again = keep.retrain(*RANKING, "data.feedback=true", "training.epochs=1")
    train = pd.read_parquet(keep.home.snapshots / again["snapshot"] / "train.parquet")
    told = train[train["origin"] == "feedback"]
    assert len(told) > 20 and told["group"].notna().all() and again["champion_metrics"]["ndcg_at_10"] > 0.9


@pytest.fixture
def partners(keep):
    return write(keep, tiny.partner_rows(400), "anchor", "positive").drop(columns="relevance")


@pytest.mark.slow
def test_texts_find_their_partners_and_pairs_are_scored_by_the_cosine(keep, partners):
    partners.to_csv(keep.folder / "rows.csv", index=False)
    found = keep.retrain(*PARTNERS)
    report = from_json(Path(found["report"]).with_suffix(".json").read_bytes())
    assert report.problem == "text-retrieval" and report.systems[0].scores[0].metric == "mrr"
    assert found["verdict"] == "PROMOTE", (found["reasons"], found["metrics"])
    asked = partners.head(20)
    asked.to_csv(keep.folder / "asked.csv", index=False)
    places = ("--input", str(keep.folder / "asked.csv"), "--output", str(keep.folder / "out.parquet"))
    code, _ = keep.command("score", str(keep.config), *PARTNERS, *places)
    assert code == 0 and pd.read_parquet(keep.folder / "out.parquet")["prediction"].between(-1, 1).all(), keep.said

    alike = tiny.partner_rows(200, seed=5)
    serve(keep, alike["text"].tolist(), alike["target"].tolist())
    assert not look(keep, *PARTNERS)["alarm"]
    firsts, seconds = zip(*map(split_parts, alike["text"]), strict=True)
    unlike = list(map(join_parts, zip(firsts, seconds[::-1], strict=True)))
    serve(keep, unlike * 3, ["0"] * 3 * len(unlike), source="user")
    assert "predictions.number" in alarms(look(keep, *PARTNERS))
    again = keep.retrain(*PARTNERS, "data.feedback=true", "training.epochs=1")
    train = pd.read_parquet(keep.home.snapshots / again["snapshot"] / "train.parquet")
    assert set(train[train["origin"] == "feedback"]["target"]) == {"0"} and again["champion_metrics"]["mrr"] > 0
    assert "has two texts a row" in keep.refused(*PARTNERS, "data.text_pair=null")


@pytest.mark.slow
def test_triplets_and_scores_are_learned_too(keep, partners):
    others = tiny.partner_rows(400, seed=9)["text"].map(lambda text: split_parts(text)[0])
    partners.assign(negative=others.where(others.index > 5)).to_csv(keep.folder / "rows.csv", index=False)
    found = keep.retrain(*PARTNERS, "data.negative=negative", "training.epochs=2")
    train = pd.read_parquet(keep.home.snapshots / found["snapshot"] / "train.parquet")
    assert (train["rejected"] != "").mean() > 0.9 and found["metrics"]["candidates"] > found["test_rows"]
    scored = tiny.similar_rows(400)
    write(keep, scored, "sentence1", "sentence2")
    settings = ("name=scored", "problem=sentence-similarity", "data.number=relevance", *COMMON, "training.epochs=6")
    found = keep.retrain(*settings)
    frame = pd.read_parquet(next(keep.home.path.glob("scores/*/scores.parquet")))
    assert -1 <= found["metrics"]["rank_correlation"] <= 1 and np.isfinite(frame.select_dtypes("number")).all().all()
    assert "reads no text that a pair is held against" in keep.refused(*settings, "data.negative=negative")
    assert json.dumps(found)
