"""`tunekeeper serve`: answer with the champion over HTTP, and follow it."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import InputError
from configs.schema import Pipeline
from flows.local.logs import RepeatLimit
from flows.local.services import SERVICE_PORT, port_of
from tasks.common.files import write_json
from tasks.common.home import ENVIRONMENT, Home, find_home, settle_environment
from tasks.common.terminal import print_notice

if TYPE_CHECKING:
    import pandas as pd

    from tasks.common.processes import RestartedProcess
    from tasks.serving.alias_follower import FollowerFunctions
    from tasks.serving.http.auth import Keys
    from tasks.serving.predictor import ReadyModel
    from tasks.tracking.client import Tracking
    from tasks.traffic.log import Traffic

LOOPBACK = "127.0.0.1"
# The follower asks again every few seconds anyway: it should hear soon that a registry is away.
HEAR_SOON = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}


def serve_champion(pipeline: Pipeline, host: str | None, port: int | None) -> None:
    """Answer until SIGTERM or Ctrl-C; then finish what is under way, close the traffic log and return."""
    for name, value in HEAR_SOON.items():
        if os.environ.get(name) in (None, ENVIRONMENT[name]):  # not set, or set by us for commands that do not ask again
            os.environ[name] = value
    home = find_home()
    settle_environment(home)
    _log_to_stderr()
    from tasks.serving.http.auth import read_keys

    keys = read_keys(os.environ)
    with _listen(host or LOOPBACK, port_of(port, *SERVICE_PORT, lowest=0)) as listening:
        _print_address(pipeline, listening, keys)
        _run_service(pipeline, home, listening, keys)


def _run_service(pipeline: Pipeline, home: Home, listening: socket.socket, keys: Keys) -> None:
    from tasks.common.processes import RestartedProcess
    from tasks.serving.alias_follower import AliasFollower
    from tasks.serving.http.connections import uvicorn_server
    from tasks.serving.http.runtime import Service
    from tasks.serving.http.service import create_app
    from tasks.serving.text_preparation import Recipe, prepare_texts

    preparing = RestartedProcess("tasks.serving.text_preparation")
    preparing.submit(prepare_texts, Recipe(False, ("PHONE_NUMBER",)), ["call 030 1234567"])  # no request waits for its imports
    traffic = _open_traffic_log(pipeline, home, preparing) if pipeline.serving.log else None
    service = Service(
        pipeline.name,
        pipeline.problem,
        pipeline.serving,
        pipeline.data.max_characters,
        AliasFollower(f"{pipeline.name}@{pipeline.release.alias}", follower_ways(pipeline, home), pipeline.serving.follow_seconds),
        keys,
        _is_loopback(listening),
        traffic,
        _audit_reader(pipeline, home),
        preparing.submit,
        pipeline.inputs,
    )
    serving = uvicorn_server(create_app(service), pipeline.serving.max_connections, pipeline.serving.timeout_seconds + 5)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn shuts down, then raises the signal again: by then it is ignored
        signal.signal(number, lambda *_: None)
    try:
        serving.run(sockets=[listening])
    finally:
        preparing.close()


def follower_ways(pipeline: Pipeline, home: Home) -> FollowerFunctions[ReadyModel]:
    """How the follower of this pipeline's champion reads the alias, loads a version, and remembers the last one."""
    from tasks.ledger.store import Ledger
    from tasks.serving.alias_follower import FollowerFunctions
    from tasks.tracking.connection import check_address

    check_address(home.tracking_uri)
    ledger = Ledger(home.ledger_url, notify=print_notice)
    name, memory = pipeline.name, home.path / "serving" / f"{pipeline.name}.json"
    tracking: list[Tracking] = []  # made in the follower's thread: importing MLflow takes seconds

    def look() -> str | None:
        from tasks.ledger.promotions import check_registry, ledger_history
        from tasks.tracking.client import Tracking
        from tasks.tracking.registry import Registry

        if not tracking:
            tracking.append(Tracking(home, lambda seconds: time.sleep(seconds / 10), may_begin=False))
        registry = Registry(tracking[0], pipeline.release.alias)
        version = registry.champion(name)
        if version is None:  # another MLflow than the one that was released to names none either
            check_registry(ledger_history(ledger, name), registry, name)
        return version

    def load(version: str) -> tuple[ReadyModel, str]:
        from tasks.release import champion_files, check_problem
        from tasks.serving import packaged_model, smoke_test
        from tasks.serving.predictor import make_ready

        _freeze_memory()
        folder, base = champion_files(tracking[0], home, name, version)
        check_problem(pipeline, version, folder)
        ready = make_ready(version, packaged_model.load_package(folder, base, home.path))
        return ready, smoke_test.check_answers(ready, folder, ready.how)

    def keep(version: str) -> None:
        write_json(memory, {"version": version})

    return FollowerFunctions(look, load, lambda: _remembered_version(memory, home.path / "versions" / name), keep)


@cache
def _freeze_memory() -> None:
    """Import all that a model needs, and exempt it from later garbage collections, which hold up every request."""
    from tasks.learning.network import warm_up

    warm_up()
    gc.collect()
    gc.freeze()


def _remembered_version(memory: Path, versions: Path) -> str | None:
    """The version that answered last on this machine, else the one that was fetched last."""
    try:
        return str(json.loads(memory.read_text())["version"])
    except (OSError, ValueError, KeyError):
        fetched = sorted(versions.glob("*/"), key=lambda path: path.stat().st_mtime) if versions.is_dir() else []
        return fetched[-1].name if fetched else None


def _open_traffic_log(pipeline: Pipeline, home: Home, preparing: RestartedProcess) -> Traffic:
    """The traffic log; a helper process prepares corrections as it does the data, since they may be long."""
    from tasks.data.redaction.redact import OVER_BUDGET
    from tasks.serving.feedback_cleaning import cleaner_of, recipe_of
    from tasks.serving.text_preparation import prepare_texts
    from tasks.traffic.log import open_traffic

    recipe = recipe_of(pipeline, home)

    def clean(texts: list[str]) -> list[str]:
        ready = preparing.result(prepare_texts, recipe, texts)
        if None in ready:
            raise InputError(OVER_BUDGET)
        return [text for text in ready if text is not None]

    return open_traffic(home.path, pipeline.name, home.traffic_url, cleaner_of(pipeline.facts, clean))


def _audit_reader(pipeline: Pipeline, home: Home) -> Callable[[int, datetime], list[dict[Any, Any]]]:
    thumbs = pipeline.facts.writes_text

    def audits(most: int, start: datetime) -> list[dict[Any, Any]]:
        from tasks.data.answers import answer_texts
        from tasks.data.text_parts import split_parts
        from tasks.data.turns import is_conversation, turns_of
        from tasks.serving.http.answer_types import DrawnAnswer
        from tasks.traffic.log import pending_audits

        pending: pd.DataFrame = pending_audits(home.path, pipeline.name, home.traffic_url, start, most=most, thumbs=thumbs)
        answers = pending[[name for name in DrawnAnswer.model_fields if name in pending]].astype({"score": object})
        rows = answers.assign(time=answers["time"].map(lambda at: at.isoformat())).to_dict("records")
        for row in rows:
            row["score"] = row["score"] if row["score"] == row["score"] else None
            if pipeline.facts.reads_messages and is_conversation(row["text"]):
                row |= {"messages": (turns := [turn._asdict() for turn in turns_of(row["text"])]), "text": turns[-1]["content"]}
                continue
            if pipeline.facts.finds_answers:
                row["prediction"] = "".join(answer_texts(row["prediction"], row["text"]))
            row |= dict(zip(("text", "text_pair"), split_parts(row["text"]), strict=False))
        return rows

    return audits


def _listen(host: str, port: int) -> socket.socket:
    """The socket, bound before anything slow begins: a port that is taken is known at once."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(family, kind, protocol)  # without the protocol asyncio leaves Nagle's delay of 40 ms on
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"cannot listen on {host}:{port} ({getattr(error, 'strerror', None) or error}): name another --port or --host"
        ) from None
    bound.set_inheritable(False)
    return bound


def _is_loopback(listening: socket.socket) -> bool:
    address = str(listening.getsockname()[0])
    return address.startswith("127.") or address == "::1"


def _print_address(pipeline: Pipeline, listening: socket.socket, keys: Keys) -> None:
    """Print the service's address, who may ask, and the next command."""
    from tasks.serving.http.auth import VARIABLE
    from tasks.serving.http.pair_messages import first_question

    host, port = listening.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    print_notice(f"{pipeline.name}@{pipeline.release.alias} at {url}; /ready says when it answers, /openapi.json what it reads")
    if keys:
        callers = ", ".join(f"{caller.name} ({'+'.join(sorted(caller.roles))})" for caller in keys.callers)
        print_notice(f"whoever asks needs one of the keys in {VARIABLE}: {callers}")
        if not any("audit" in caller.roles for caller in keys.callers):
            print_notice("none of them has the role `audit`: nobody can label audits, and no accuracy will be known")
    elif _is_loopback(listening):
        print_notice(f"no {VARIABLE} is set: only this machine is answered")
    else:
        print_notice(
            f"no {VARIABLE} is set, and {host} can be reached from elsewhere: everybody who reaches it is answered, but for audits"
        )
    if pipeline.facts.writes_text or pipeline.facts.embeds:
        print_notice(f"OpenAI's clients: base_url {url}/v1, model {pipeline.name}")
    print_notice("next: curl {}{} -H 'Content-Type: application/json' -d '{}'".format(url, *first_question(pipeline)))


def _log_to_stderr() -> None:
    """The service's own log, a line an event; libraries are heard from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RepeatLimit())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger("tasks").setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(RepeatLimit())  # whose lines Prefect, once imported, takes to its own handler
