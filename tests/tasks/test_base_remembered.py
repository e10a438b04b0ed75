"""A base is checked once for the settings that concern it, and by the doctor without a trace."""

import json
import shutil

import pytest

from configs.errors import InputError
from configs.schema import Pipeline
from tasks import base_check
from tasks.common.bases import find_base
from tasks.common.home import Home
from tasks.data.preparation.token_lengths import UnknownShares
from tasks.health.pipeline_inputs import check_base_of


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def pipeline(folder, max_length=16, **settings):
    fixed = {"name": "tiny", "problem": "text-classification", "data": {"source": "x.csv"}}
    return Pipeline.model_validate({**fixed, "model": {"base": str(folder), "max_length": max_length}, **settings})


def test_what_was_found_fit_is_remembered_until_base_or_settings_change(home, bert_folder, llama_folder, monkeypatch):
    settings, base = pipeline(bert_folder), find_base(str(bert_folder))
    assert base_check.earlier_notices(settings, home, base) is None
    assert base_check.check_base(settings, home, base) == ()
    assert base_check.earlier_notices(settings, home, base) == ()
    assert base_check.earlier_notices(pipeline(bert_folder, training={"epochs": 9}), home, base) == ()
    for other in (pipeline(bert_folder, 32), pipeline(bert_folder, adapter={"kind": "lora", "r": 3})):
        assert base_check.earlier_notices(other, home, base) is None
    assert base_check.earlier_notices(settings, home, find_base(str(llama_folder))) is None
    monkeypatch.setattr(base_check, "code_of", lambda *_: "another")
    assert base_check.earlier_notices(settings, home, base) is None


def test_what_is_to_be_known_is_remembered_too_and_what_cannot_work_is_not(home, llama_folder, bert_folder):
    base = find_base(str(llama_folder))
    notices = base_check.check_base(pipeline(llama_folder, 128), home, base)
    assert len(notices) == 1 and base_check.earlier_notices(pipeline(llama_folder, 128), home, base) == notices
    broken = pipeline(bert_folder, 128)
    for _ in range(2):
        assert base_check.earlier_notices(broken, home, find_base(str(bert_folder))) is None
        with pytest.raises(InputError, match="positions"):
            base_check.check_base(broken, home, find_base(str(bert_folder)))


def test_the_doctor_checks_the_base_and_writes_nothing(home, bert_folder, llama_folder):
    assert [check.state for check in check_base_of(pipeline(bert_folder), home)] == ["warn", "ok"]  # not pinned; fits
    assert "beyond the 64 tokens" in [check.what for check in check_base_of(pipeline(llama_folder, 128), home)][-1]
    with pytest.raises(InputError, match="positions"):
        list(check_base_of(pipeline(bert_folder, 128), home))
    assert not home.path.exists()


def test_texts_are_counted_in_tokens_of_a_base_that_has_no_tokenizer_json(home, bert_folder, tmp_path):
    folder = shutil.copytree(bert_folder, tmp_path / "base")
    (folder / "vocab.txt").write_text("\n".join(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]))
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    base = find_base(str(folder))
    assert base_check.tokenizer_file(home, base) is None
    base_check.check_base(pipeline(folder), home, base)
    file = base_check.tokenizer_file(home, base)
    assert file is not None and UnknownShares(file)(["north unheard"]) == [0.5]
    assert base_check.tokenizer_file(home, find_base(str(bert_folder))) == bert_folder / "tokenizer.json"
