"""A server of MLflow's that does what it is asked and whose answer is lost, and one that says nothing at all."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from configs.errors import InfraError
from tasks.common.home import Home
from tasks.tracking.client import Tracking
from tasks.tracking.connection import ATTEMPTS, Connection

MADE = {"runs/create": "runs", "model-versions/create": "model_versions"}  # a path, and what it makes
READ = {"runs/search": "runs", "model-versions/search": "model_versions"}
EXPERIMENT = {"experiment_id": "1", "name": "tiny", "lifecycle_stage": "active"}


class Losing(ThreadingHTTPServer):
    """As much of MLflow as runs and versions want; the first answer of each path that makes something is lost."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.there = {"runs": [], "model_versions": []}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, path, body):
        kind = MADE.get(path)
        if kind is None:
            return {READ[path]: self.there[READ[path]]} if path in READ else {"experiment": EXPERIMENT}
        number = str(len(self.there[kind]) + 1)
        run = {"run_id": number, "run_uuid": number, "experiment_id": "1", "status": "RUNNING", "artifact_uri": ""}
        version = {"name": "tiny", "version": number, "source": body.get("source"), "creation_timestamp": 1}
        self.there[kind].append({"info": run, "data": {}} if kind == "runs" else version)
        if len(self.there[kind]) == 1:
            return None
        return {"run": self.there[kind][-1], "model_version": self.there[kind][-1]}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        path = self.path.partition("?")[0].rpartition("/mlflow/")[2]
        said = self.server.answer(path, body)
        if said is None:
            self.close_connection = True
            return
        content = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.do_POST()

    def do_PATCH(self):
        self.do_POST()


@pytest.fixture
def losing(tmp_path, monkeypatch):
    server = Losing()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
    yield server, Tracking(Home(tmp_path), pause=lambda _: None)
    server.shutdown()
    server.server_close()


def test_a_run_and_a_version_whose_answer_is_lost_are_found_and_not_made_twice(losing):
    server, tracking = losing
    run = tracking.open_run("tiny", "key", "first", {})
    assert run == "1" and len(server.there["runs"]) == 1
    assert tracking.register("tiny", "models:/m-1", run, {}) == "1" and len(server.there["model_versions"]) == 1


@pytest.mark.parametrize(("seconds", "tries"), [(0.0, ATTEMPTS), (61.0, 1)])
def test_a_server_that_was_silent_for_long_is_not_asked_again_and_its_silence_is_what_is_said(
    tmp_path, monkeypatch, seconds, tries
):
    import tenacity
    from mlflow.exceptions import MlflowException

    clock, asked = [0.0], []
    monkeypatch.setattr(tenacity.time, "monotonic", lambda: clock[0])
    address = "HTTPConnectionPool(host='mlflow', port=80): Max retries exceeded with url: /api/2.0/" + "x" * 200
    cause = f'(Caused by ReadTimeoutError("{address[:50]}: Read timed out. (read timeout=20)"))'

    def silent():
        asked.append(1)
        clock[0] += seconds
        raise MlflowException(f"API request to http://mlflow failed with exception {address} {cause}")

    with pytest.raises(InfraError, match=r"reading failed \(.*Read timed out\. \(read timeout=20\)\"?\): see that"):
        Connection(Home(tmp_path), pause=lambda _: None).attempt("reading", silent)
    assert len(asked) == tries
