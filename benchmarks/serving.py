"""Requests a second and latencies beside `mlflow models serve`; then a soak with promotions under load.

Run: python -m benchmarks.serving [seconds a measurement] [rounds] [minutes of soak]

The same registered model, the same machine, the same client (benchmarks/clients.py), in turn, both servers up; each server as its own
command starts it. The model is MiniLM with LoRA as configs/helpdesk.yaml has it, its moved weights drawn at random: what it says does
not matter here.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.clients import ROOT, Asking, Server, clients, free_port, server
from configs.load import load_pipeline
from configs.schema import Pipeline
from tasks.common.home import Home, settle_environment
from tasks.context import open_ledger

sys.path.insert(0, str(ROOT / "tests" / "serving"))
sys.path.insert(0, str(ROOT / "tests"))
CONFIG = ROOT / "configs" / "helpdesk.yaml"
CLIENTS = (1, 8, 32)
SECONDS, ROUNDS, MINUTES = 10, 3, 30.0  # of the soak: a slope within 0.2 MiB a minute takes as long
GOAL, AIM = 3.0, 5.0  # times mlflow's requests a second at 32 clients
EVERY = 30.0  # seconds between promotions
WARM = 0.2  # of the soak, in which caches fill
GROWTH = 0.05  # of the memory after that, up to the end of the soak, that still counts as flat
A_DAY = 1.0  # of the memory after that, by a day at the pace of the soak's last half, at most


def ours(home: Path) -> Any:
    port = free_port()
    return server([sys.executable, "-m", "flows", "serve", str(CONFIG), "--port", str(port)], port, "/predict", "/ready", home)


def theirs(home: Path, name: str) -> Any:
    port = free_port()
    command = ["mlflow", "models", "serve", "-m", f"models:/{name}@champion", "--env-manager", "local", "-p", str(port)]
    return server([str(Path(sys.executable).parent / command[0]), *command[1:]], port, "/invocations", "/ping", home)


def prepared(folder: Path) -> tuple[Pipeline, Path]:
    """A home with two registered versions, the first of them champion."""
    from serving_parts import register

    pipeline, home = load_pipeline(CONFIG), folder / "home"
    home.mkdir()
    os.environ["TUNEKEEPER_HOME"] = str(home)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    settle_environment(Home(home))
    open_ledger(Home(home)).write(lambda _: None)  # a version that no ledger knows of is an error
    for number in (1, 2):
        labels = tuple(f"intent {place}" for place in range(14))
        register(home, pipeline, folder / str(number), seed=number, champion=number == 1, labels=labels, spread=0.02)
    return pipeline, home


# --- throughput --------------------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """One server at one number of clients, a value a round; `cost` is milliseconds of processor time a request."""

    rate: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    failed: int = 0

    def row(self) -> str:
        middle = statistics.median
        return f"{middle(self.rate):,.0f} | {middle(self.p50):,.0f} ms | {middle(self.p99):,.0f} ms | {middle(self.cost):.1f} ms"


def measure(server: Server, count: int, seconds: float, seen: Seen) -> None:
    before = server.cpu()
    with clients(server.port, server.path, count, seconds) as asking:
        said = asking.result()
    seen.rate.append(said["rate"])
    seen.p50.append(said["p50"])
    seen.p99.append(said["p99"])
    seen.cost.append((server.cpu() - before) * 1000 / max(1, said["requests"]))
    seen.failed += len(said["failed"])
    print(
        f"  {server.path} {count}: {said['rate']:.0f}/s, p50 {said['p50']:.0f}, p99 {said['p99']:.0f} ms",
        file=sys.stderr,
        flush=True,
    )


def throughput(pipeline: Pipeline, home: Path, seconds: float, rounds: int) -> str:
    found = {(count, path): Seen() for count in CLIENTS for path in ("/predict", "/invocations")}
    with ours(home) as own, theirs(home, pipeline.name) as other:
        for each in (own, other):
            measure(each, 8, min(3, seconds), Seen())  # warm
        for turn in range(rounds):
            for count in CLIENTS:
                for each in (own, other) if turn % 2 == 0 else (other, own):
                    measure(each, count, seconds, found[count, each.path])
    lines = [
        "| clients | Tunekeeper: requests/s | p50 | p99 | processor a request | mlflow: requests/s | p50 | p99 | processor a request | times |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    times = {}
    for count in CLIENTS:
        own_seen, other_seen = found[count, "/predict"], found[count, "/invocations"]
        times[count] = statistics.median(a / b for a, b in zip(own_seen.rate, other_seen.rate, strict=True))
        lines.append(f"| {count} | {own_seen.row()} | {other_seen.row()} | {times[count]:.1f} |")
    failed = sum(seen.failed for (_, path), seen in found.items() if path == "/predict")
    lines.append(
        f"\nAt {CLIENTS[-1]} clients {times[CLIENTS[-1]]:.1f} times mlflow's requests a second; at least {GOAL:.0f} wanted, {AIM:.0f} aimed at: "
        f"{'holds' if times[CLIENTS[-1]] >= GOAL else 'DOES NOT HOLD'}. Failed requests of ours: {failed}"
        f"{'' if not failed else ': DOES NOT HOLD'}."
    )
    return "\n".join(lines)


# --- the soak ----------------------------------------------------------------------------------------------------------


def soak(pipeline: Pipeline, home: Path, minutes: float, every: float) -> str:
    """Load without a pause, the alias moved to and fro, SIGTERM at the end; then the log is read."""
    samples: list[tuple[float, int]] = []
    with ours(home) as own:
        began = time.monotonic()
        with clients(own.port, own.path, CLIENTS[-1], minutes * 60, keep=True) as asking:
            moves = _move_to_and_fro(pipeline, asking, own, samples, every)
            said = asking.result()
        ready, numbers = json.loads(own.get("/ready")), own.get("/metrics")
        took = time.monotonic() - began
        own.process.terminate()
        code = own.process.wait(60)
    from tasks.traffic.log import read_answers

    logged = read_answers(home, pipeline.name)
    lost = {each for each, _ in said["said"]} - set(logged["id"])
    versions = sorted({version for _, version in said["said"]})
    swaps = int(float(next(line for line in numbers.splitlines() if line.startswith("tunekeeper_swaps_total")).split()[1]))
    rows = {
        "requests": (f"{said['requests']:,} in {took / 60:.1f} minutes, {said['rate']:.0f}/s, p50 {said['p50']:.0f} ms, p99 {said['p99']:.0f} ms, the slowest {said['most']:.0f} ms", True),
        "failed": (f"{len(said['failed'])}{': ' + said['failed'][0] if said['failed'] else ''}", not said["failed"]),
        "answered and not in the traffic log": (str(len(lost)), not lost),
        "promotions": (f"{moves}; swaps {swaps}, answers by versions {', '.join(versions)}", moves == swaps and len(versions) == min(2, moves + 1)),
        "memory": _memory(samples, every),
        "SIGTERM": (f"ended with {code}; last seen: version {ready['version']}, {ready['check']}", code == 0),
    }  # fmt: skip
    lines = [f"| {name} | {seen} | {'holds' if good else 'DOES NOT HOLD'} |" for name, (seen, good) in rows.items()]
    return "\n".join(["| | seen | |", "|---|---|---|", *lines])


def _move_to_and_fro(pipeline: Pipeline, asking: Asking, own: Server, samples: list[tuple[float, int]], every: float) -> int:
    """Promote every few seconds while the clients ask, and look at the memory; how many promotions there were."""
    from flows.cli.promote import promote_by_hand

    began, moves, due = time.monotonic(), 0, every
    while asking.process.poll() is None:
        now = time.monotonic() - began
        samples.append((now, own.memory()))
        if now >= due and now < asking.seconds - 15:  # later it would have no time to follow
            promote_by_hand(pipeline, CONFIG, "12"[(moves + 1) % 2], "the soak", "the soak")
            moves, due = moves + 1, due + every
        time.sleep(1)
    return moves


def _memory(samples: Sequence[tuple[float, int]], every: float) -> tuple[str, bool]:
    """The memory from start to end, in words, and whether it is flat: after the warm-up, and by what its last half says of a day.

    A version that loads beside the other takes 100 MiB for seconds; what is kept is the least of each time between two promotions.
    """
    floors = [min(sizes) / 2**20 for sizes in _periods(samples, every)]
    warm = floors[round(len(floors) * WARM) :]
    whole, late = _slope(warm, every / 60), _slope(floors[len(floors) // 2 :], every / 60)
    settled = statistics.mean(warm)
    since, a_day = whole[0] * (len(warm) - 1) * every / 60 / settled, late[0] * 60 * 24 / settled
    seen = (
        f"{samples[0][1] / 2**20:,.0f} MiB at the start; at least, between two promotions, {settled:,.0f} after the first fifth, "
        f"from which to the end it grew by {since:+.1%}, at most {GROWTH:.0%}; in the last half by {late[0]:+.2f} MiB a minute, with 95 % "
        f"confidence between {late[1]:+.2f} and {late[2]:+.2f}, {a_day:+.0%} in a day at this pace, at most {A_DAY:.0%}"
    )
    return seen, since <= GROWTH and a_day <= A_DAY


def _periods(samples: Sequence[tuple[float, int]], every: float) -> list[list[int]]:
    """The sizes seen in each whole period."""
    found: dict[int, list[int]] = {}
    for at, size in samples:
        found.setdefault(int(at // every), []).append(size)
    return list(found.values())[: int(samples[-1][0] // every)]


def _slope(values: Sequence[float], step: float) -> tuple[float, float, float]:
    """The slope of values that are `step` apart, by least squares, and its 95 % interval."""
    from scipy.stats import linregress, t

    found = linregress([step * place for place in range(len(values))], values)
    reach = float(t.ppf(0.975, len(values) - 2) * found.stderr)
    return float(found.slope), float(found.slope) - reach, float(found.slope) + reach


def section(seconds: float = SECONDS, rounds: int = ROUNDS, minutes: float = MINUTES) -> str:
    """The measurement as Markdown; about four minutes beside the soak."""
    folder = Path(tempfile.mkdtemp(prefix="serving-"))
    try:
        pipeline, home = prepared(folder)
        table = throughput(pipeline, home, seconds, rounds)
        endured = soak(pipeline, home, minutes, min(EVERY, minutes * 60 / 4))
    finally:
        shutil.rmtree(folder)
    return (
        "## Serving\n\n`tunekeeper serve` beside `mlflow models serve --env-manager local`: the same registered MiniLM with LoRA, the same "
        f"machine and client, {rounds} rounds of {seconds:g} s in turn, medians. A client asks again as soon as it is answered, one ticket "
        f"of the example a request. Processor time is the server's own.\n\n{table}\n\n"
        f"### {minutes:g} minutes under load at {CLIENTS[-1]} clients, with a promotion every {min(EVERY, minutes * 60 / 4):.0f} s\n\n{endured}\n"
    )


def main() -> None:
    """Print the section."""
    words = sys.argv[1:]
    print(
        section(
            *[float(words[0])][: len(words)] if words else [],
            *[int(word) for word in words[1:2]],
            *[float(word) for word in words[2:3]],
        )
    )


if __name__ == "__main__":
    main()
