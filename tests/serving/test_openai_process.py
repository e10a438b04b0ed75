"""`tunekeeper serve` of a model that writes, as a process on a real registry, asked by the real client."""

import json
import shutil
import urllib.request

import pytest
from serving_parts import register
from test_service_process import Serving
from writing_parts import CHAT, chat_base

from configs.load import load_pipeline
from tasks.common.home import Home
from tasks.tracking.client import Tracking
from tasks.tracking.registry import Registry

openai = pytest.importorskip("openai", reason="the client `openai` is not installed: pip install -e '.[dev]'")
KEY = "a-key-of-the-application"


@pytest.mark.slow
def test_a_new_champion_takes_over_while_a_stream_ends_on_the_one_before(tmp_path, monkeypatch, empty_database):
    from tasks.traffic.log import read_answers, read_feedback

    home, config = tmp_path / "home", tmp_path / "keep.yaml"
    home.mkdir()
    shutil.copy(empty_database, home / "mlflow.db")
    settings = {"name": "tiny", "problem": "text-generation", "training": {"precision": "fp32"}}
    settings |= {"data": {"source": "rows.csv", "prompt": "p", "completion": "c"}, "evaluation": {"max_new_tokens": 30}}
    settings |= {"model": {"base": str(chat_base(tmp_path / "base")), "max_length": 62}, "serving": {"follow_seconds": 0.2}}
    config.write_text(json.dumps(settings))
    monkeypatch.setenv("TUNEKEEPER_HOME", str(home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        register(home, load_pipeline(config), folder, seed, champion=seed == 1, problem="text-generation", texts=["kale lost"])
    serving = Serving(config, TUNEKEEPER_API_KEYS=f"app:ask+feedback+metrics:{KEY}")
    serving.ask = _with_key(serving.ask)
    try:
        serving.version("1")
        address = f"http://127.0.0.1:{serving.ask.port}"
        with openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0) as client:
            stream = client.chat.completions.create(model="tiny", messages=CHAT, temperature=2, seed=1, max_tokens=50, stream=True)
            chunks = [next(stream)]
            Registry(Tracking(Home(home)), "champion").set_champion("tiny", "2")
            chunks += list(stream)
            serving.version("2")
            mail = [{"role": "system", "content": "mail anna@example.org"}, {"role": "user", "content": "kale"}]
            said = client.chat.completions.create(model="tiny@2", messages=mail, temperature=0, max_tokens=3)
            feedback = json.dumps({"answer_id": said.id, "kind": "correction", "value": "lost"}).encode()
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
            assert urllib.request.urlopen(urllib.request.Request(f"{address}/feedback", feedback, headers)).status == 202
        assert {chunk.system_fingerprint for chunk in chunks} == {"1"} and said.system_fingerprint == "2"
        assert serving.stop() == 0
    finally:
        serving.process.kill()
    rows = read_answers(home, "tiny").set_index("id")
    assert rows["version"].to_dict() == {chunks[0].id: "1", said.id: "2"}
    assert rows["prediction"][chunks[0].id] == "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "<EMAIL_ADDRESS:" in rows["text"][said.id] and "anna" not in str(rows.to_dict())
    assert read_feedback(home, "tiny")["answer_id"].tolist() == [said.id]
    assert "OpenAI's clients: base_url" in "".join(serving.lines) and "Traceback" not in "".join(serving.lines)


def _with_key(ask):
    """The asker, with the key in each request."""
    port = ask.port

    def asking(method, path, body=None, headers=None):
        return ask(method, path, body, {"Authorization": f"Bearer {KEY}", **(headers or {})})

    asking.port = port
    return asking
