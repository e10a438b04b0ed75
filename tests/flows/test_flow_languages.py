"""Languages from their column to slices, metrics and the warning of a tokenizer that does not fit."""

from pathlib import Path

import pandas as pd
import tiny


def test_languages_are_slices_with_metrics_of_their_own_and_a_tokenizer_that_does_not_fit_is_named(keep):
    rows = pd.DataFrame(tiny.rows(300))
    rows["lang"] = ["de_DE" if n % 3 else "ru" for n in range(300)]
    rows.loc[:4, "lang"] = "fr"
    rows.loc[5:6, "lang"] = "Ann Example"
    rows.loc[rows["lang"] == "ru", "text"] += " привет как дела"
    rows.to_csv(keep.folder / "rows.csv", index=False)
    found = keep.retrain("data.language=lang", "data.slices=[]", "training.epochs=1")

    snapshot = pd.concat([pd.read_parquet(file) for file in keep.home.snapshots.glob("*/t*.parquet")])
    assert {"de-DE", "ru"} < set(snapshot["slice_lang"]) <= {"de-DE", "ru", "other"}
    quarantine = "".join(pd.read_parquet(file).to_json() for file in keep.home.snapshots.glob("*/quarantine*.parquet"))
    assert "no code of a language, but of the form 'Xxx Xxxxxxx'" in quarantine and "Ann" not in quarantine

    (run,) = keep.runs()
    metrics, tags = run.data.metrics, run.data.tags
    assert metrics["test/language/ru/rows"] + metrics["test/language/de-DE/rows"] <= found["test_rows"]
    assert 0 <= metrics["test/language/ru/accuracy"] <= 1
    assert metrics["tokenizer/ru/unknown"] > 0.02 >= metrics["tokenizer/de-DE/unknown"]
    warning = "does not fit rows of language ru"
    assert warning in keep.said and "WARNING" in keep.said and warning in Path(found["report"]).read_text()
    assert any(warning in value for name, value in tags.items() if name.endswith("tokenizer.warning"))
    assert "language de-DE" not in keep.said
