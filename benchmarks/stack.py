"""infra/compose.yaml on this machine, without an engine, for the proofs that need servers.

Every service is started with the very commands and environment of the compose file, its hosts and ports replaced by free ones on
127.0.0.1 and its volumes by folders. PostgreSQL is Debian's; the store is moto's S3. What needs packages beside requirements.lock
runs in an environment of its own (build/servers, or $TUNEKEEPER_SERVERS_PYTHON).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PORTS = {"postgres": 5432, "s3": 9000, "mlflow": 5000, "prefect": 4200, "worker": 8080, "service": 8000}
SECRETS = (
    "POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_WORKER_PASSWORD", "MLFLOW_SERVICE_PASSWORD",
    "MLFLOW_SECRET_KEY", "TUNEKEEPER_REDACTION_KEY", "TUNEKEEPER_API_KEYS",
)  # fmt: skip
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
HEALTHY_SECONDS = 180


class NotMeasuredError(Exception):
    """Something that this machine lacks."""


def interpolate(text: str, values: dict[str, str]) -> str:
    """As compose does: ${NAME}, ${NAME:-default}, ${NAME:?complaint}."""

    def value(found: re.Match[str]) -> str:
        name, how, word = found.groups()
        if values.get(name):
            return values[name]
        if how == "-":
            return str(word)
        raise KeyError(f"{name}: {word or 'is not set'}")

    return VARIABLE.sub(value, text)


class Stack:
    """The compose file, made to run here."""

    def __init__(self, folder: Path, values: dict[str, str]) -> None:
        self.folder, self.values = folder, values
        self.services: dict[str, Any] = self._filled(yaml.safe_load((ROOT / "infra" / "compose.yaml").read_text()))["services"]
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.running: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._filled(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        return interpolate(value, self.values) if isinstance(value, str) else value

    def here(self, name: str, text: str) -> str:
        """A word of the compose file as it is on this machine."""
        by_number = {str(PORTS[one]): str(port) for one, port in self.ports.items()}
        if text in by_number or text.startswith((str(self.folder), str(ROOT))):
            return by_number.get(text, text)
        hosts = "|".join([*PORTS, "localhost", "127.0.0.1"])
        text = re.sub(rf"\b({hosts}):(\d+)\b", lambda m: f"127.0.0.1:{by_number.get(m[2], m[2])}", text).replace(
            "0.0.0.0", "127.0.0.1"
        )
        for path, place in {**self.volumes(name), "/tmp": self.folder / "tmp" / name}.items():
            text = re.sub(rf"^{path}(?=/|$)", str(place), text)
        return text

    def volumes(self, name: str) -> dict[str, Path]:
        given = [one.split(":") for one in self.services[name].get("volumes", []) if one[0] not in "./"]
        return {path: self.folder / "volumes" / volume for volume, path, *_ in given}

    def environment(self, name: str) -> dict[str, str]:
        from tasks.common.home import ENVIRONMENT

        own = {key: self.here(name, str(value)) for key, value in self.services[name].get("environment", {}).items()}
        inherited = {
            key: os.environ[key] for key in ("PATH", "HOME", "LANG", "OMP_NUM_THREADS", "OMP_WAIT_POLICY") if key in os.environ
        }
        for place in (*self.volumes(name).values(), self.folder / "tmp" / name):
            place.mkdir(parents=True, exist_ok=True)
        return {**inherited, **ENVIRONMENT, "HF_HUB_OFFLINE": "1", **own}

    def command(self, name: str, words: list[str]) -> list[str]:
        return [sys.executable if word == "python" else self.here(name, word) for word in words]

    def up(self) -> None:
        """In the order of depends_on, each when those before it are healthy or have ended well."""
        done: set[str] = set()
        while len(done) < len(self.services):
            ready = [name for name, one in self.services.items() if name not in done and set(one.get("depends_on", ())) <= done]
            for name in ready:
                began = time.monotonic()
                self._start(name)
                self.seconds[name] = time.monotonic() - began
                done.add(name)

    def _start(self, name: str) -> None:
        if name == "postgres":
            self._postgres()
        elif name == "s3":
            self._run(name, [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.ports["s3"])], dict(os.environ))
            self._await(name, lambda: port_answers(self.ports["s3"]))
        elif self.services[name]["restart"] == "no":
            words = self.command(name, self.services[name]["command"])
            subprocess.run(words, env=self.environment(name), cwd=ROOT, check=True, stdout=sys.stderr)
        else:
            self._run(name, self.command(name, self.services[name]["command"]), self.environment(name))
            check = self.command(name, health_checks()[name])
            self._await(name, lambda: subprocess.run(check, cwd=ROOT, capture_output=True).returncode == 0)

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            guard = [sys.executable, "-m", "flows.local.guard", "25" if name in health_checks() else "3", *command]
            self.running[name] = subprocess.Popen(guard, stdin=subprocess.PIPE, stdout=out, stderr=out, env=environment, cwd=ROOT)

    def _await(self, name: str, healthy: Any) -> None:
        deadline = time.monotonic() + HEALTHY_SECONDS
        while not healthy():
            if self.running[name].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} is not healthy:\n{(self.folder / f'{name}.log').read_text()[-3000:]}")
            time.sleep(0.3)

    def _postgres(self) -> None:
        """Debian's, as the image does it: initdb with a password, the first database, then the init file."""
        given, place = self.services["postgres"]["environment"], self.folder / "postgres"
        place.mkdir()
        (place / "password").write_text(given["POSTGRES_PASSWORD"])
        if as_postgres():
            shutil.chown(place, "postgres", "postgres")
            shutil.chown(place / "password", "postgres", "postgres")
        initdb = [binary("initdb"), "-D", str(place / "data"), "-U", given["POSTGRES_USER"], f"--pwfile={place / 'password'}"]
        words = [*as_postgres(), *initdb, *given["POSTGRES_INITDB_ARGS"].split()]
        subprocess.run(words, check=True, stdout=sys.stderr, cwd=place)
        self._serve_postgres()
        who = ["-h", "127.0.0.1", "-p", str(self.ports["postgres"]), "-U", given["POSTGRES_USER"]]
        password = {**os.environ, "PGPASSWORD": given["POSTGRES_PASSWORD"]}
        for database, sql in (
            ("postgres", f"CREATE DATABASE {given['POSTGRES_DB']}"),
            ("tunekeeper", (ROOT / "infra" / "databases.sql").read_text()),
        ):
            psql = [binary("psql"), "-q", *who, "-v", "ON_ERROR_STOP=1", database]
            subprocess.run(psql, input=sql.encode(), env=password, check=True)

    def _serve_postgres(self) -> None:
        place, port = self.folder / "postgres", str(self.ports["postgres"])
        server = [binary("postgres"), "-D", str(place / "data"), "-p", port, "-k", str(place), "-h", "127.0.0.1"]
        self._run("postgres", [*as_postgres(), *server], dict(os.environ))
        asking = [binary("pg_isready"), "-h", "127.0.0.1", "-p", port]
        self._await("postgres", lambda: subprocess.run(asking, capture_output=True).returncode == 0)

    def stop(self, name: str) -> None:
        """End one service."""
        process = self.running.pop(name)
        process.terminate()
        process.wait(40)

    def again(self, name: str) -> None:
        """Start a service that was stopped, on what it had."""
        if name == "postgres":
            self._serve_postgres()
        else:
            self._start(name)

    def down(self) -> float:
        """End all, those who use others first; how long it took."""
        began = time.monotonic()
        for name in reversed(list(self.running)):
            self.stop(name)
        return time.monotonic() - began


def binary(name: str) -> str:
    """One of PostgreSQL's programs, where Debian has them."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        return str(folder / name)
    raise NotMeasuredError("no PostgreSQL: apt-get install postgresql")


def as_postgres() -> list[str]:
    """What goes before a command that root may not run."""
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.getuid() == 0 else []


def health_checks() -> dict[str, list[str]]:
    """The HEALTHCHECK of each target of the Dockerfile."""
    text = (ROOT / "infra" / "Dockerfile").read_text()
    return {
        name: json.loads(words)
        for name, words in re.findall(r"^FROM base AS (\w+)$.*?^HEALTHCHECK [^\[]*CMD (\[.*?\])$", text, re.S | re.M)
    }


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return found


def port_answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def pipeline(folder: Path) -> Path:
    """The tests' tiny kept model: 300 rows, a base of a few thousand weights."""
    sys.path.insert(0, str(ROOT / "tests"))
    import pandas as pd
    import tiny

    pd.DataFrame(tiny.rows(300)).to_csv(folder / "rows.csv", index=False)
    settings = {
        "name": "tiny", "problem": "text-classification", "adapter": {"kind": "full"},
        "data": {"source": str(folder / "rows.csv"), "id": "ticket", "split": {"by": "hash", "validation": 0.1, "test": 0.4}},
        "training": {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3, "precision": "fp32"},
        "evaluation": {"bootstrap": 100}, "gate": {"looks_per_year": 1, "min_rows": 30},
        "model": {"base": str(tiny.bert(folder / "base")), "max_length": 16},
    }  # fmt: skip
    (folder / "tiny.yaml").write_text(json.dumps(settings))
    return folder / "tiny.yaml"


@contextmanager
def stack(config: Callable[[Path], Path] = pipeline) -> Iterator[Stack]:
    """All of it, up, for the pipeline that `config` writes; it may use the folder that it is given."""
    with tempfile.TemporaryDirectory(prefix="tunekeeper-servers-") as aside:
        folder = Path(aside)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        values = {name: secrets.token_hex(16) for name in SECRETS} | {
            "PREFECT_AUTH": f"admin:{secrets.token_hex(16)}",
            "TUNEKEEPER_API_KEYS": f"people:ask+feedback+audit+metrics:{secrets.token_hex(16)}",
        }
        values["CONFIG"] = values["PIPELINES"] = str(config(folder))
        there = Stack(folder, values)
        try:
            there.up()
            yield there
        finally:
            there.down()


def environment() -> str:
    """A Python that sees this environment's packages and the servers' beside them."""
    given = os.environ.get("TUNEKEEPER_SERVERS_PYTHON")
    if given:
        return given
    place = ROOT / "build" / "servers"
    python = place / "bin" / "python"
    if not (place / ".installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        packages = next(place.glob("lib/python*/site-packages"))
        here = next(path for path in sys.path if path.endswith("site-packages"))
        (packages / "beside.pth").write_text(f"import site; site.addsitedir({here!r})\n")
        locks = [
            "--constraint",
            str(ROOT / "requirements.lock"),
            "--requirement",
            str(ROOT / "infra" / "requirements-servers.lock"),
        ]
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *locks, "moto[server,s3]"], check=True, stdout=sys.stderr)
        (place / ".installed").touch()
    return str(python)


def told_here(module: str, section: Callable[[], str], title: str) -> None:
    """Print the section, from an environment that has the servers' packages."""
    if find_spec("psycopg2") is None or find_spec("moto") is None:
        python = environment()
        os.execv(python, [python, "-m", module])
    try:
        print(section())
    except NotMeasuredError as error:
        print(f"## {title}\n\nNot measured: {error}.")
