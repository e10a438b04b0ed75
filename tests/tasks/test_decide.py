"""Which test rows a challenger and versions of before can be compared on."""

from dataclasses import replace

import pandas as pd
import pytest

from configs.schema import Data, Lora, Model, Pipeline
from tasks import release
from tasks.common.bases import find_base
from tasks.common.home import Home
from tasks.data.preparation.load import loaded_source
from tasks.data.preparation.prepare import prepare_rows
from tasks.data.redaction.placeholders import TAGGED
from tasks.data.redaction.redact import Redactor
from tasks.data.snapshot.snapshot import write_snapshot
from tasks.decide import asked_alike
from tasks.learning.network import save_spec, spec_of


@pytest.mark.parametrize("before", [True, False])
def test_completions_with_placeholders_are_no_common_question_for_a_version_that_writes_tags(
    tmp_path, llama_folder, monkeypatch, before
):
    rows = [
        {"prompt": f"who answers {i} {i * i}", "completion": f"ask u{i}@example.com" if i % 3 else f"nobody {i}"} for i in range(60)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "rows.csv", index=False)
    data = Data(source=str(tmp_path / "rows.csv"), deduplicate={"enabled": False})
    home, base = Home(tmp_path / "home"), find_base(str(llama_folder))
    with loaded_source(data, "text-generation", home.path) as raw:
        snapshot = write_snapshot(prepare_rows(raw, data, Redactor(data.redact.entities, b"1" * 32)), home.path, {}, None)
    spec = spec_of("text-generation", Lora(r=4), (), 32, 0, base)
    save_spec(replace(spec, text_view=TAGGED) if before else spec, tmp_path)
    monkeypatch.setattr(release, "champion_folder", lambda *_: tmp_path)
    pipeline = Pipeline(name="tiny", problem="text-generation", data=data, model=Model(base="x"))
    alike = asked_alike(pipeline, home, None, snapshot.hash, ["1"])
    plain = ~snapshot.frame("test")["target"].str.contains("<EMAIL_ADDRESS:", regex=False).to_numpy()
    assert alike.tolist() == (plain.tolist() if before else [True] * len(plain)) and 0 < plain.sum() < len(plain)
    assert asked_alike(pipeline, home, None, snapshot.hash, []).all()
