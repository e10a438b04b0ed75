"""Servers on loopback and clients that load them, for the measurements: each server and all clients are processes of their own.

Run by those: python -m benchmarks.clients PORT PATH CLIENTS SECONDS KEEP

A client is raw HTTP over a kept connection, a request at a time, so it costs a tenth of a millisecond a request. Texts are the
example's tickets.
"""

from __future__ import annotations

import asyncio
import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
TICKETS = ROOT / "examples" / "helpdesk" / "tickets.csv"


# --- the client --------------------------------------------------------------------------------------------------------


class Client(asyncio.Protocol):
    """One kept connection that asks again as soon as it is answered."""

    def __init__(self, requests: Iterator[bytes], until: float, answered: Callable[[bytes, float, bytes], None]) -> None:
        self.requests, self.until, self.answered = requests, until, answered
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.received, self.asked = b"", 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        if time.perf_counter() >= self.until:
            self.ended.set_result(True)
            self.transport.close()
            return
        self.asked = time.perf_counter()
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        size = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) >= int(size):
            self.answered(head[9:12], time.perf_counter() - self.asked, body)
            self.received = b""
            self.ask()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(False)


async def ask(port: int, path: str, clients: int, seconds: float, keep: bool) -> dict[str, Any]:
    """What so many clients saw; with `keep` also the id and version of every answer."""
    with TICKETS.open(newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file) if row["text"].strip()]
    bodies = [json.dumps(body(path, text)).encode() for text in texts]
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: "
    requests = itertools.cycle([f"{head}{len(each)}\r\n\r\n".encode() + each for each in bodies])
    times: list[float] = []
    failed: list[str] = []
    said: list[tuple[str, str]] = []

    def answered(status: bytes, took: float, raw: bytes) -> None:
        if status != b"200":
            failed.append(f"{status.decode()} {raw[:200].decode(errors='replace')}")
            return
        times.append(took)
        if keep:
            value = json.loads(raw)
            said.append((value["id"], value["version"]))

    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Client(requests, began + seconds, answered), "127.0.0.1", port) for _ in range(clients)
    ]
    whole = await asyncio.gather(*(client.ended for _, client in made))
    took = time.perf_counter() - began
    times.sort()
    at = lambda share: times[min(len(times) - 1, int(share * len(times)))] * 1000 if times else float("nan")  # noqa: E731
    return {
        "rate": len(times) / took, "p50": at(0.5), "p99": at(0.99), "most": at(1.0), "requests": len(times),
        "failed": failed + ["connection lost"] * whole.count(False), "cpu": time.process_time(), "said": said,
    }  # fmt: skip


def body(path: str, text: str) -> dict[str, Any]:
    """A question as each server wants it."""
    return {"text": text} if path == "/predict" else {"dataframe_split": {"columns": ["text"], "data": [[text]]}}


@dataclass
class Asking:
    """A client process; what it saw is in a file when it has ended."""

    process: subprocess.Popen[bytes]
    seconds: float
    file: IO[bytes]

    def result(self) -> dict[str, Any]:
        if self.process.wait() != 0:
            raise SystemExit("error: the clients broke")
        self.file.seek(0)
        said: dict[str, Any] = json.load(self.file)
        return said


@contextmanager
def clients(port: int, path: str, count: int, seconds: float, keep: bool = False) -> Iterator[Asking]:
    """A client process, while the block lasts."""
    words = [str(port), path, str(count), str(seconds), str(int(keep))]
    with tempfile.TemporaryFile() as file:
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.clients", *words], cwd=ROOT, stdout=file)
        try:
            yield Asking(process, seconds, file)
        finally:
            process.kill()
            process.wait()


# --- the servers -------------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """A server process and its children; `cpu` is the processor time that all of them have had."""

    process: subprocess.Popen[bytes]
    port: int
    path: str

    def family(self) -> list[psutil.Process]:
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def cpu(self) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in self.family())

    def memory(self) -> int:
        return sum(each.memory_info().rss for each in self.family())

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return str(answer.read().decode())


@contextmanager
def server(command: Sequence[str], port: int, path: str, ready: str, home: Path, root: Path = ROOT) -> Iterator[Server]:
    """Start a server, its command named by its path, and wait until it answers; ended with all its children."""
    named = {
        "TUNEKEEPER_HOME": str(home),
        "MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "TUNEKEEPER_"))}
    own = {**inherited, **named, "HF_HUB_OFFLINE": "1", "PATH": f"{Path(command[0]).parent}:{os.environ['PATH']}"}
    with (home / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=root, env=own, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    found = Server(process, port, path)
    try:
        deadline = time.monotonic() + 180
        while True:
            with suppress(OSError):
                found.get(ready)
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"error: {command[0]} does not answer: {(home / f'{port}.log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield found
    finally:
        for which in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, which)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Ask, and print what all clients saw as JSON."""
    port, path, count, seconds, keep = sys.argv[1:]
    began = time.process_time()
    said = asyncio.run(ask(int(port), path, int(count), float(seconds), keep == "1"))
    print(json.dumps({**said, "cpu": said["cpu"] - began}))


if __name__ == "__main__":
    main()
