"""`mlflow models serve` answers for every problem as the stored model does in this process."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from typing import get_args

import pandas as pd
import pytest
import tiny
from serving_parts import version

from configs.schema import ProblemName, facts_of
from tasks.common.bases import find_base
from tasks.common.home import Home
from tasks.data.text_parts import split_parts
from tasks.release import PYFUNC
from tasks.serving.input_cells import input_frame
from tasks.serving.packaged_model import load_package
from tasks.tracking.client import Tracking

ROWS = {
    "multi-label-classification": tiny.label_set_rows,
    "token-classification": tiny.span_rows,
    "text-regression": tiny.number_rows,
    "question-answering": tiny.answer_rows,
    "text-ranking": tiny.ranking_rows,
    "sentence-similarity": tiny.similar_rows,
    "text-retrieval": tiny.partner_rows,
}
CASES = [pytest.param(problem, False, id=problem) for problem in get_args(ProblemName)]
CASES += [pytest.param("text-generation", True, id="messages")]


@contextmanager
def mlflow_server(uri, home):
    """`mlflow models serve` on a free port; gives a way to ask it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    given = {"MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow.db'}", "TUNEKEEPER_HOME": str(home)}
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", uri, "--env-manager", "local", "-p", str(port)]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | given, stdout=log, stderr=log)

    def ask(frame):
        body = json.dumps({"dataframe_split": frame.to_dict(orient="split", index=False)}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["predictions"]

    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (home / "server.log").read_text()
                time.sleep(0.2)
        yield ask
    finally:
        process.terminate()
        process.wait(30)


def alike(one, other):
    """Whether two values of JSON are the same, but for the rounding of numbers."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-5
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    return one == other


@pytest.mark.slow
@pytest.mark.parametrize(("problem", "messages"), CASES)
def test_mlflows_own_server_answers_as_the_stored_model_does(request, tmp_path, problem, messages):
    facts = facts_of(problem)
    if messages:
        folder, rows = tiny.chat_llama(tmp_path / "base"), tiny.chat_rows(20)
    else:
        name = "bert_folder" if not facts.writes_text else "llama_folder" if facts.continues_text else "bart_folder"
        folder, rows = request.getfixturevalue(name), ROWS.get(problem, tiny.pairs if facts.writes_text else tiny.frame)(20)
    home = Home(tmp_path / "home")
    home.path.mkdir()
    texts, tracking, base = rows["text"].tolist(), Tracking(home), find_base(str(folder))
    targets = () if problem == "text-classification" else rows["target"].tolist()
    kept = version(
        tmp_path / "made", folder, 1, problem=problem, texts=texts, targets=targets, home=home.path,
        base_uri=tracking.store_base(base), messages=messages, max_length=40,
    )  # fmt: skip
    frame = input_frame(texts, ["first", "second"][: 1 if messages else len(split_parts(texts[0]))])
    expected = load_package(kept, base.path, home.path, {}).predict(texts)
    run = tracking.open_run("tiny", "1", "tiny-1", {})
    uri = tracking.log_model(run, kept, PYFUNC, frame.head(1), (frame.head(1), expected.head(1)), "")
    with mlflow_server(uri, home.path) as ask:
        answers = pd.DataFrame(ask(frame))
    assert list(answers.columns) == list(expected.columns) and len(answers) == len(texts)
    for column in expected.columns:
        theirs, own = answers[column].tolist(), json.loads(expected[column].to_json(orient="values", double_precision=15))
        assert alike(theirs, own), column
