"""The loop closes, as one command: `make demo`.

A model is learned from the first months' tickets and served; then the launch of a new product changes what customers write.
The scheduled monitor notices, its event starts a retraining, the new version is promoted on its evidence, and the service takes
it over under load. At the end a person rolls back, and the service follows. Everything is real: the commands are those of the
README, run by this script.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from tasks.common.home import find_home
from tasks.data.normalise import unusable_reason

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
HOME = Path(".tunekeeper") / "demo"
PORTS = {"mlflow": 5050, "prefect": 4250, "": 8050}
CLIENTS, PAUSE = 6, 0.9  # one client's seconds between two questions: some 6 a second in all, for a training runs beside them
LATEST = 600.0  # seconds that any one thing may take
T = TypeVar("T")

# What differs from configs/helpdesk.yaml: minutes where a real pipeline has weeks.
SETTINGS: dict[str, Any] = {
    "monitor": {"window_days": 0.0018, "min_rows": 300},  # two and a half minutes
    "schedule": {"monitor": "* * * * *", "cooldown_hours": 24},
    "serving": {"audit_rate": 0.25, "follow_seconds": 1.0},
}


@dataclass
class Story:
    """What is told on the terminal, each line with the minute it happened in."""

    began: float = field(default_factory=time.monotonic)

    def tell(self, sentence: str) -> None:
        seconds = int(time.monotonic() - self.began)
        sys.stdout.write(f"  {seconds // 60}:{seconds % 60:02d}  {sentence}\n")
        sys.stdout.flush()

    def at(self, moment: str) -> None:
        """Nothing happens at this moment; in a rehearsal of faults something does."""

    def wait(self, what: str, find: Callable[[], T | None]) -> T:
        """What `find` finds, in the end."""
        deadline = time.monotonic() + LATEST
        while time.monotonic() < deadline:
            found = find()
            if found is not None:
                return found
            time.sleep(0.5)
        raise SystemExit(f"error: {what}: not within {LATEST:.0f} s; the logs are in {HOME / 'logs'}")


@dataclass(frozen=True)
class Service:
    """Where it answers, and what opens it."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=15)

    def ready(self, version: str | None = None) -> bool | None:
        """True once it answers, with that version if one is named."""
        try:
            said = httpx.get(f"{self.url}/ready", headers=self.headers, timeout=5)
        except httpx.HTTPError:
            return None
        return True if said.status_code == 200 and version in (None, said.json()["version"]) else None


class Customers:
    """Clients that ask without a pause, remember every answer, and label what the audit asks for."""

    def __init__(self, service: Service) -> None:
        self.service, self.ended, self.questions = service, threading.Event(), shuffled(tickets("tickets")[-900:])
        self.answers: dict[str, tuple[str, str]] = {}  # id -> version, the true intent
        self.failed: list[tuple[float, str]] = []  # the moment by time.monotonic, what was wrong
        self.labelled = 0
        self.threads = [*(threading.Thread(target=self._ask) for _ in range(CLIENTS)), threading.Thread(target=self._label)]
        for thread in self.threads:
            thread.start()

    @property
    def versions(self) -> Counter[str]:
        return Counter(version for version, _ in list(self.answers.values()))

    def leave(self) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def _ask(self) -> None:
        with self.service.client() as client:
            while not self.ended.wait(PAUSE):
                row = next(self.questions)
                try:
                    answer = client.post("/predict", json={"text": row["text"]}).raise_for_status().json()
                except httpx.HTTPError as error:
                    self.failed.append((time.monotonic(), f"{type(error).__name__}: {error}"))
                    continue
                self.answers[answer["id"]] = (answer["version"], row["intent"])

    def _label(self) -> None:
        with self.service.client() as client:
            while not self.ended.wait(3.0):
                try:
                    pending = client.get("/audit", params={"n": 200})
                    if pending.status_code in (503, 504):  # the log is away or slow, and the service says: later
                        continue
                    for one in pending.raise_for_status().json()["answers"]:
                        if one["id"] in self.answers:
                            label = {
                                "answer_id": one["id"],
                                "kind": "label",
                                "value": self.answers[one["id"]][1],
                                "source": "audit",
                            }
                            client.post("/feedback", json=label).raise_for_status()
                            self.labelled += 1
                except httpx.HTTPError as error:
                    self.failed.append((time.monotonic(), f"{type(error).__name__}: {error}"))


def main() -> None:
    """Tell the story; exit 1 where it does not end as it should."""
    environment()
    story, config = Story(), write_config()
    learn(story, config)
    with up(story, config) as addresses:
        story.tell("served, watched every minute; Prefect {Prefect}, MLflow {MLflow}, the service {service}".format(**addresses))
        customers = play(story, config, Service(addresses["service"]))
    close(story, config, customers)
    if customers.failed:
        raise SystemExit(f"error: a request failed: {customers.failed[:3]}")


def learn(story: Story, config: Path) -> None:
    """The first champion."""
    story.tell("the first months' tickets: preparing, training, judging ...")
    first = command("retrain", config)
    story.tell(f"version {first['model']['version']} is champion: accuracy {first['metrics']['accuracy']:.1%} ({first['verdict']})")


def play(story: Story, config: Path, service: Service) -> Customers:
    """From the served champion to the rollback."""
    story.wait("the service", service.ready)
    command("deploy", config)
    customers = Customers(service)
    try:
        story.wait("a quiet look", lambda: look(lambda each: not each["alarm"]))
        story.tell(f"the monitors have looked: all quiet over {len(customers.answers):,} answers")
        story.at("quiet")
        shutil.copy(HERE / "later.csv", HOME / "tickets" / "later.csv")
        customers.questions = shuffled(tickets("later"))
        story.tell("a product is launched: customers write of new things, in new words")
        story.at("launched")
        alarm = story.wait("an alarm", lambda: look(lambda each: each["alarm"]))
        story.tell(f"look {alarm['look']}: {', '.join(alarm['monitors'])}; the event starts a retraining by itself")
        story.at("alarmed")
        story.wait("version 2", lambda: service.ready("2"))
        second = decision()
        story.tell(f"version 2 is promoted, and answers: {second['reasons'][0]}")
        before = customers.versions
        story.wait("answers of version 2", lambda: customers.versions["2"] >= 200 or None)
        story.tell(
            f"{before['1']:,} answers by version 1, {customers.versions['2']:,} by version 2, {len(customers.failed)} failed"
        )
        command("rollback", config, "--reason", "the demo goes back, to show that it can")
        story.wait("version 1 again", lambda: service.ready("1"))
        story.tell("rolled back by one command: the service follows to version 1")
        story.at("rolled back")
        time.sleep(5)
    finally:
        customers.leave()
    return customers


def close(story: Story, config: Path, customers: Customers) -> None:
    """Count, once all has ended, what was promised: every answer is in the log; then say where to look."""
    home, lost = find_home(), unlogged(customers)
    life = command("history", config)
    story.tell(
        f"{len(customers.answers):,} answers, {customers.labelled:,} labelled; {len(customers.failed)} failed, {lost} not logged"
    )
    story.tell(f"the model's life on one page: {life['page']}")
    story.tell(f"the look that spoke, the evidence: {home.path / 'looks'}, {home.path / 'runs'}; again by: make demo")
    if lost:
        raise SystemExit(f"error: {lost} answers are not in the log")


def unlogged(customers: Customers) -> int:
    """Answers that were given and are not in the traffic log."""
    from tasks.traffic.log import read_answers

    home = find_home()
    return len(customers.answers.keys() - set(read_answers(home.path, "helpdesk", home.traffic_url)["id"]))


def environment() -> None:
    """A home and ports of its own, so that nothing that is kept here is touched."""
    for name in (
        "MLFLOW_TRACKING_URI",
        "PREFECT_API_URL",
        "TUNEKEEPER_LEDGER_URL",
        "TUNEKEEPER_TRAFFIC_URL",
        "TUNEKEEPER_API_KEYS",
    ):
        os.environ.pop(name, None)
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    os.environ["TUNEKEEPER_HOME"] = str(HOME.absolute())


def write_config() -> Path:
    """configs/helpdesk.yaml with a source that will grow, and a clock that runs faster."""
    (HOME / "tickets").mkdir()
    (HOME / "tickets" / "tickets.csv").write_bytes(text_of("tickets").encode())
    values = yaml.safe_load((ROOT / "configs" / "helpdesk.yaml").read_text())
    values["data"]["source"] = str((HOME / "tickets").absolute())
    values["contract"]["suite"] = str((ROOT / values["contract"]["suite"]).absolute())
    path = HOME / "helpdesk.yaml"
    path.write_text(yaml.safe_dump(values | SETTINGS, sort_keys=False))
    return path.absolute()


@contextmanager
def up(story: Story, config: Path) -> Iterator[dict[str, str]]:
    """`tunekeeper up CONFIG` for as long as the block lasts; its addresses."""
    ports = [word for name, port in PORTS.items() for word in (f"--{name}port" if not name else f"--{name}-port", str(port))]
    log = (HOME / "up.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "flows", "up", str(config), *ports, "--json"], cwd=ROOT, stdout=log, stderr=log
    )
    try:
        yield story.wait("`tunekeeper up`", lambda: addresses_of(process))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        os.environ.pop("PREFECT_API_URL", None)


def addresses_of(process: subprocess.Popen[bytes]) -> dict[str, str] | None:
    from flows.local.up import running_up
    from tasks.common.home import Home

    if process.poll() is not None:
        raise SystemExit(f"error: `tunekeeper up` ended with code {process.returncode}: {(HOME / 'up.log').read_text()[-1000:]}")
    found: dict[str, str] | None = running_up(Home(HOME.absolute())).get("addresses")
    if found is not None:
        os.environ["PREFECT_API_URL"] = found["Prefect"] + "/api"
    return found


def command(name: str, config: Path, *words: str) -> dict[str, Any]:
    """A command line of Tunekeeper, its JSON."""
    line = [sys.executable, "-m", "flows", name, str(config), *words, "--json"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"error: tunekeeper {name} ended with code {done.returncode}:\n{done.stderr[-2000:]}")
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def look(wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    """The last look of the monitors, if it is as wanted."""
    from tasks.context import open_ledger
    from tasks.ledger.monitor_runs import all_looks

    for each in all_looks(open_ledger(find_home()), "helpdesk")[-1:]:
        found = {"look": each.look, "alarm": each.alarm}
        found["monitors"] = [one["monitor"] for one in each.payload["findings"] if one["alarm"]]
        return found if wanted(found) else None
    return None


def decision() -> dict[str, Any]:
    """The outcome of the last retraining."""
    from tasks.context import open_ledger
    from tasks.ledger.decisions import last_decision

    found = last_decision(open_ledger(find_home()), "helpdesk")
    return found.payload if found is not None else {"reasons": ["no decision was recorded"]}


def shuffled(rows: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Over and over in one random order; threads may share it."""
    return cycle(random.Random(0).sample(rows, len(rows)))


def text_of(name: str) -> str:
    """One of the example's files; the tickets without the later ones, which a reader of the README has appended to them."""
    text = (HERE / f"{name}.csv").read_bytes().decode()
    later = (HERE / "later.csv").read_bytes().decode().partition("\n")[2]
    return text.replace(later, "") if name == "tickets" else text


def tickets(name: str) -> list[dict[str, str]]:
    """The rows of one of the example's files that say something: the service refuses the others, as it should."""
    rows = csv.DictReader(io.StringIO(text_of(name), newline=""))
    return [row for row in rows if unusable_reason(row["text"]) is None]


if __name__ == "__main__":
    main()
