"""Small versions of a kept model, and a service in this process that answers with them on a port of its own."""

import http.client
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import tiny

LABELS = ("red first", "blue first", "north first", "south first")
TEXTS = [row["text"] for row in tiny.rows(40)]


def version(
    folder,
    base,
    seed,
    *,
    problem="text-classification",
    home=None,
    labels=LABELS,
    texts=TEXTS,
    targets=(),
    adapter=None,
    messages=False,
    **preparation,
):
    """An artifact folder as a release leaves it, its moved weights drawn with `seed`; with a home texts are redacted."""
    import torch

    from configs.schema import PATTERN_ENTITIES, Lora, facts_of
    from tasks.common.bases import find_base
    from tasks.data.redaction.key import key_id, redaction_key
    from tasks.learning.adapters import save_trainable
    from tasks.learning.device import numerics
    from tasks.learning.network import TRAINABLE, build_network, spec_of
    from tasks.problems import problem_of
    from tasks.serving.packaged_model import Preparation, load_package, save_package
    from tasks.serving.smoke_test import write_check

    found = find_base(str(base))
    length = preparation.pop("max_length", 32)
    spec = spec_of(problem, adapter or Lora(r=4), labels if problem == "text-classification" else (), length, 0, found)
    spec = replace(spec, messages=messages)
    if targets:
        spec = problem_of(problem).with_targets(spec, targets)
    network, draw = build_network(spec, found.path), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.model.parameters():
            if value.requires_grad:
                value.add_(torch.randn(value.shape, generator=draw) * preparation.get("spread", 0.3))
    (folder / "trained").mkdir(parents=True)
    save_trainable(network.model, folder / "trained" / TRAINABLE)
    plain = {
        "layout": facts_of(problem).writes_text,
        "entities": None,
        "ner_model": None,
        "key_id": None,
        "base_uri": "runs:/base",
    }
    redacted = {"entities": PATTERN_ENTITIES, "key_id": key_id(redaction_key(home, {}))} if home is not None else {}
    given = {name: value for name, value in preparation.items() if name != "spread"}
    settings = Preparation(**{**plain, **redacted, "new_tokens": 8, "precision": "fp32", **given})
    kept = save_package(folder / "trained", spec, settings, folder / "kept")
    answers = load_package(kept, found.path, home or folder, {}).answer(texts)
    write_check(kept, texts, answers, numerics(settings.precision))
    return kept


def register(home, pipeline, folder, seed, champion, **settings):
    """A version in the registry of a home, as a release registers it; the pipeline's champion if wanted. Its number."""
    import pandas as pd

    from tasks.common.bases import find_base
    from tasks.common.home import Home
    from tasks.release import PYFUNC
    from tasks.serving.packaged_model import load_package
    from tasks.tracking.client import Tracking
    from tasks.tracking.registry import Registry

    tracking, base = Tracking(Home(home)), find_base(pipeline.model.base)
    settings = {
        "max_length": pipeline.model.max_length,
        "adapter": pipeline.adapter,
        "precision": pipeline.training.precision,
        **settings,
    }
    uri = tracking.store_base(base)
    kept = version(folder, base.path, seed, home=home if pipeline.data.redact.enabled else None, base_uri=uri, **settings)
    example = pd.DataFrame({pipeline.data.text: TEXTS[:1]})
    run = tracking.open_run(pipeline.name, str(seed), f"{pipeline.name}-{seed}", {})
    said = load_package(kept, base.path, home, {}).predict(TEXTS[:1])
    stored = tracking.log_model(run, kept, PYFUNC, example, (example, said), "")
    number = tracking.register(pipeline.name, stored, run, {})
    if champion:
        Registry(tracking, pipeline.release.alias).set_champion(pipeline.name, number)
    return number


class Standing:
    """A champion that is simply there, or not."""

    def __init__(self, current):
        from tasks.serving.alias_follower import FollowerState as Prediction

        self.current = current
        self.standing = Prediction(version=current and current.version, wanted="1", check="checked", since=1.0, looked=True)

    def start(self):
        pass

    def stop(self):
        pass


def service(champion, traffic=None, keys=(), problem="text-classification", local=True, audits=lambda n, start: [], **settings):
    """The parts of a service with small limits."""
    from configs.schema import Serving
    from tasks.serving.http.auth import VARIABLE, read_keys
    from tasks.serving.http.runtime import Service

    limits = Serving(**{"max_rows": 20, "max_body_bytes": 4096, "max_batch": 8, **settings})
    return Service("tiny", problem, limits, 500, champion, read_keys({VARIABLE: ",".join(keys)}), local, traffic, audits)


@contextmanager
def served(parts, header_seconds=10.0, read_seconds=10.0):
    """The service on a free port of this machine, until the block ends; gives a way to ask it."""
    import socket

    from tasks.serving.http.connections import uvicorn_server
    from tasks.serving.http.service import create_app

    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    app = create_app(parts)
    running = uvicorn_server(app, parts.settings.max_connections, 5, header_seconds, read_seconds)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        while not running.started:
            assert thread.is_alive()
            time.sleep(0.005)
        yield Asker(bound.getsockname()[1], app.openapi())
    finally:
        running.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def described(page, response, headers, kind, said):
    """Hold an answer against its description, which has to name all that is in it."""
    from jsonschema import Draft202012Validator

    schemas = {name: {"additionalProperties": False, **schema} for name, schema in page["components"]["schemas"].items()}
    whole = {**response["content"][kind]["schema"], "components": {"schemas": schemas}}
    Draft202012Validator(whole).validate(said)
    assert all(name in headers for name in response.get("headers", {}))


class Asker:
    """Asks one service, a connection a request; where it is given the service's description, each answer has to be in it."""

    def __init__(self, port, page=None):
        self.port, self.page = port, page

    def __call__(self, method, path, body=None, headers=None, timeout=20):
        """Status, headers, and the body as JSON or text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = json.dumps(body).encode() if isinstance(body, dict | list) else body
        given = {"Content-Type": "application/json", **(headers or {})}
        connection.request(method, path, sent, {name: value for name, value in given.items() if value is not None})
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        kind = (answer.headers.get("Content-Type") or "").partition(";")[0]
        said = json.loads(raw) if kind == "application/json" and method != "HEAD" else raw.decode()
        operation = self.page and self.page["paths"].get(path.partition("?")[0], {}).get(method.lower())
        if operation:
            described(self.page, operation["responses"][str(answer.status)], answer.headers, kind, said)
        return answer.status, answer.headers, said

    def predict(self, *texts, headers=None):
        """The answers to some texts."""
        status, _, said = self("POST", "/predict", {"texts": list(texts)}, headers)
        assert status == 200, said
        return said


def restated(champion, **what):
    """The champion with another standing."""
    champion.standing = replace(champion.standing, **what)
    return champion
