"""Two texts beside one another: trained, judged, scored and served as a pair, whichever of them tells."""

import pandas as pd
import pytest
import tiny

from tasks.data.text_parts import MARK
from tasks.release import champion_files
from tasks.serving.packaged_model import load_package


@pytest.fixture
def rows(keep):
    """The second text tells, by the order of its words; the first is another row's."""
    told, other = pd.DataFrame(tiny.rows(300)), pd.DataFrame(tiny.rows(300, seed=9))
    frame = told.rename(columns={"text": "second"}).assign(first=other["text"])
    frame.loc[0, "first"] = "mail to ann@example.org"
    frame.to_csv(keep.folder / "rows.csv", index=False)
    return frame


PAIRS = ("data.text=first", "data.text_pair=second", "model.max_length=40", "training.epochs=6", "data.redact.enabled=true")


@pytest.mark.slow
def test_a_pair_is_learned_scored_and_served_as_one_input(keep, rows):
    found = keep.retrain(*PAIRS)
    assert found["verdict"] == "PROMOTE" and found["metrics"]["accuracy"] > 0.8, found["reasons"]

    asked = pd.DataFrame({"first": rows["first"][:20], "second": rows["second"][:20], "third": "x"})
    asked.to_csv(keep.folder / "asked.csv", index=False)
    code, _ = keep.command(
        "score", str(keep.config), *PAIRS, "--input", str(keep.folder / "asked.csv"), "--output", str(keep.folder / "out.parquet")
    )
    assert code == 0, keep.said
    scored = pd.read_parquet(keep.folder / "out.parquet")
    assert list(scored["first"]) == list(asked["first"]) and scored["prediction"].notna().all()
    package = load_package(*champion_files(keep.tracking, keep.home, "tiny", "1"), keep.home.path)
    inputs = [MARK.join(pair) for pair in zip(asked["first"], asked["second"], strict=True)]
    assert package.predict(inputs)["label"].tolist() == list(scored["prediction"])
    swapped = [MARK.join(pair) for pair in zip(asked["second"], asked["first"], strict=True)]
    assert package.predict(swapped)["label"].tolist() != list(scored["prediction"])

    snapshot = pd.concat([pd.read_parquet(file) for file in keep.home.snapshots.glob("*/*.parquet")])
    texts = snapshot["text"].dropna().tolist()
    assert all(MARK in text for text in texts) and not any("ann@example.org" in text for text in texts)
    assert any("<EMAIL_ADDRESS:" in text for text in texts)
    assert keep.retrain(*PAIRS)["skipped"]


@pytest.mark.slow
def test_a_pair_without_its_second_text_is_set_aside_and_a_wrong_column_is_named(keep, rows):
    rows.assign(second=rows["second"].where(rows.index > 3)).to_csv(keep.folder / "rows.csv", index=False)
    found = keep.retrain(*PAIRS, "training.epochs=1")
    assert found["verdict"] in ("INCONCLUSIVE", "HOLD", "PROMOTE")
    said = keep.refused("data.text=first", "data.text_pair=other")
    assert "has no column `other`" in said
    assert "text_pair is the column `first`" in keep.refused("data.text=first", "data.text_pair=first")
    assert "text is the column `first`, and labels names it too" in keep.refused("data.text=first", "data.labels=[first, same]")
