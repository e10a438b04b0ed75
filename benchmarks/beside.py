"""What a slow request, and connections that say nothing, cost the others; and what the worst texts cost a kilobyte.

Run: python -m benchmarks.beside [seconds a measurement] [seconds of search]

The service and model of benchmarks/serving.py. Its slow requests: what took seconds to minutes when texts were searched whole, and what a
search for costly texts finds: random pieces of values and separators, changed a little and repeated, by the processor time they take.
"""

from __future__ import annotations

import http.client
import json
import random
import resource
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.clients import Server, clients
from benchmarks.serving import ours, prepared
from configs.schema import PATTERN_ENTITIES
from tasks.data.redaction.redact import Redactor

SECONDS, SEARCH_SECONDS = 5.0, 30.0
CLIENTS, ROUNDS = 4, 3
TIMES = 2.0  # the p99 of short requests beside a slow one, at most
A_KILOBYTE = 5.0  # ms of processor time, at most
SIZE = 6_000  # characters of a text of the search
HALF_OPEN = 1_100
LOG_BYTES = 1_000_000  # that the service's log may grow by meanwhile
LOG = '192.168.1.{0} - - [10/Oct/2025:13:55:{0:02d} +0000] "GET /a?id={1} HTTP/1.1" 200 {1} "-" "Mozilla/5.0"\n'
PIECES = (
    "1", "0", "9", "a", "f", "A", "DE89", "@", ".", ":", "-", "/", " ", "(", ")", "+", "x", "#", "_", "~", ",", "\n", "é", "\u0663",
    "\u0300", "http://", "www.", "com", "a@b.c", "4111 1111 1111 1111", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "00:1A:2B", "192.168.1.1",
    "2001:db8::1", "123-45-6789", "2125550123 ", "02079460958 ", "030 1234567 ", "bc1q", "\u00a0", "ssn", "call ", "ext",
)  # fmt: skip


def slow_bodies() -> dict[str, bytes]:
    """Requests by name, each as large as a request may be or as it was seen."""
    draw = random.Random(0)
    numbers = " ".join(f"0{draw.randrange(20, 90)}{draw.randrange(10**7, 10**8)}" for _ in range(8_000))
    texts = {
        "nine texts of digits": ["1 " * 49_999] * 9,
        "fractions": ["1/" * 5_000],
        "phone numbers": ["030 1234567 " * 1_600],
        "an access log": ["".join(LOG.format(i % 60, i) for i in range(1_000))],
        "different phone numbers": [numbers],
        "combining marks": ["a" + "\u0300\u0316" * 49_000],
    }
    return {name: json.dumps({"texts": each}).encode() for name, each in texts.items()}


@contextmanager
def sending(port: int, body: bytes) -> Iterator[list[tuple[int, float]]]:
    """Send it again and again while the block lasts; status and seconds of each."""
    seen: list[tuple[int, float]] = []
    ended = threading.Event()

    def send() -> None:
        while not ended.is_set():
            began = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            seen.append((answer.status, time.perf_counter() - began))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def short(server: Server, seconds: float) -> tuple[float, float]:
    """p50 and p99 of short requests, in ms; none may fail."""
    with clients(server.port, server.path, CLIENTS, seconds) as asking:
        said = asking.result()
    if said["failed"]:
        raise SystemExit(f"error: a short request failed: {said['failed'][0]}")
    return said["p50"], said["p99"]


def beside(server: Server, seconds: float) -> list[str]:
    """A row for each slow request, measured in turn with nothing beside."""
    lines = ["| beside | its answer | after | p50 | p99 | p99 alone | times | |", "|---|--:|--:|--:|--:|--:|--:|---|"]
    short(server, seconds)
    for name, body in slow_bodies().items():
        alone, busy, seen = [], [], []
        for _ in range(ROUNDS):
            alone.append(short(server, seconds))
            with sending(server.port, body) as sent:
                busy.append(short(server, seconds))
            seen += sent
        p50, p99, own = (statistics.median(each) for each in ([b[0] for b in busy], [b[1] for b in busy], [a[1] for a in alone]))
        took = statistics.median(after for _, after in seen)
        status = ", ".join(sorted({str(status) for status, _ in seen}))
        good = "holds" if p99 <= TIMES * own else "DOES NOT HOLD"
        lines.append(
            f"| {name} | {status} | {took:.2f} s | {p50:.0f} ms | {p99:.0f} ms | {own:.0f} ms | {p99 / own:.1f} | {good} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def half_open(server: Server, log: Path, seconds: float) -> list[str]:
    """Connections that begin a request and say no more, opened again as they are closed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096) if hard > 0 else 4096, hard))
    before, held, ended = log.stat().st_size, [], threading.Event()

    def open_more() -> None:
        while not ended.is_set():
            with suppress(OSError):
                held.append(socket.create_connection(("127.0.0.1", server.port), timeout=5))
                held[-1].sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\n")
            if len(held) > HALF_OPEN:
                held.pop(0).close()
                time.sleep(0.002)

    alone = short(server, seconds)
    thread = threading.Thread(target=open_more)
    thread.start()
    while len(held) < HALF_OPEN:
        time.sleep(0.05)
    busy = short(server, seconds)
    ended.set()
    thread.join()
    for each in held:
        each.close()
    grown = log.stat().st_size - before
    good = "holds" if grown <= LOG_BYTES else "DOES NOT HOLD"
    return [
        f"Beside {HALF_OPEN:,} connections that begin a request and do not end it, always more of them being opened: no short request failed, "
        f"p50 {busy[0]:.0f} ms and p99 {busy[1]:.0f} ms, alone {alone[0]:.0f} and {alone[1]:.0f} ms; the log grew by {grown:,} bytes: {good}."
    ]


def worst(seconds: float, seed: int = 0, keep: int = 8) -> list[tuple[float, str, bool]]:
    """The costliest texts that the search comes upon: ms a kilobyte, what is repeated in them, whether it is over its budget."""
    redactor, draw, until = Redactor(PATTERN_ENTITIES, bytes(32)), random.Random(seed), time.monotonic() + seconds
    redactor.redact(["call +44 20 7946 0958 or a@b.com, 4111 1111 1111 1111"])
    best: list[tuple[float, tuple[str, ...]]] = []
    while time.monotonic() < until:
        parts = _changed(draw, list(draw.choice(best)[1])) if best and draw.random() < 0.6 else _fresh(draw)
        if not parts or any(tuple(parts) == each for _, each in best):
            continue
        cost = _cost(redactor, parts)
        if len(best) < keep or cost > best[-1][0]:
            again = min(cost, _cost(redactor, parts), _cost(redactor, parts))
            best = sorted([*best, (again, tuple(parts))], reverse=True)[:keep]
    return [(cost, "".join(parts), redactor.redact_each([_text(list(parts))]) == [None]) for cost, parts in best]


def _fresh(draw: random.Random) -> list[str]:
    return [draw.choice(PIECES) for _ in range(draw.randint(1, 8))]


def _changed(draw: random.Random, parts: list[str]) -> list[str]:
    place, how = draw.randrange(len(parts)), draw.random()
    if how < 0.4:
        parts.insert(place, draw.choice(PIECES))
    elif how < 0.7:
        parts.pop(place)
    else:
        parts[place] = draw.choice(PIECES)
    return parts


def _text(parts: list[str]) -> str:
    text = "".join(parts)
    return (text * (SIZE // len(text) + 1))[:SIZE]


def _cost(redactor: Redactor, parts: list[str]) -> float:
    text, began = _text(parts), time.thread_time()
    redactor.redact_each([text])
    return (time.thread_time() - began) * 1000 / (SIZE / 1000)


def costs(seconds: float) -> list[str]:
    found = worst(seconds)
    lines = ["| repeated | ms a kilobyte | |", "|---|--:|---|"]
    for cost, text, over in found:
        shown = json.dumps(text).replace("|", "\\|")
        what = "over its budget, refused" if over else ""
        lines.append(f"| `{shown}` | {cost:.1f} | {what} |")
    good = "holds" if found[0][0] <= A_KILOBYTE else "DOES NOT HOLD"
    return [*lines, "", f"The costliest: {found[0][0]:.1f} ms a kilobyte of processor time, at most {A_KILOBYTE:g}: {good}."]


def section(seconds: float = SECONDS, search: float = SEARCH_SECONDS) -> str:
    """The measurement as Markdown; about five minutes."""
    table = costs(search)
    folder = Path(tempfile.mkdtemp(prefix="beside-"))
    try:
        _, home = prepared(folder)
        with ours(home) as server:
            rows = beside(server, seconds)
            open_ones = half_open(server, home / f"{server.port}.log", seconds)
    finally:
        shutil.rmtree(folder)
    return "\n".join(
        [
            "## Serving beside slow requests",
            "",
            f"`tunekeeper serve` with the model of the section Serving. {CLIENTS} clients ask with one ticket each as soon as they are answered, "
            f"{seconds:g} s alone and {seconds:g} s beside one client that sends the slow request again and again; medians of {ROUNDS} rounds.",
            "",
            *rows,
            "",
            *open_ones,
            "",
            f"What the search for personal data costs on the worst texts that {search:g} s of random search find ({SIZE:,} characters each):",
            "",
            *table,
        ]
    )


def main() -> None:
    """Print the section."""
    print(section(*map(float, sys.argv[1:3])))


if __name__ == "__main__":
    main()
