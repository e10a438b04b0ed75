"""What can be wrong with this machine and this installation: one check, one fact, one remedy. Nothing is written."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Literal

from tasks.common.home import ENVIRONMENT, Home, path_fault
from tasks.data.redaction.key import KEY_FILE, VARIABLE, key_id, keys_in_use, redacted_snapshot, redaction_key

LOCK = Path(__file__).parents[2] / "requirements.lock"
GB = 1e9
NAMED = 4  # libraries that one line names; the rest is counted
TELEMETRY = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": ("false", "0"),
    "DO_NOT_TRACK": ("true", "1"),
    "MLFLOW_DISABLE_TELEMETRY": ("true",),  # MLflow honours this one word
    "GX_ANALYTICS_ENABLED": ("false", "0"),
    "HF_HUB_DISABLE_TELEMETRY": ("1", "true"),
}


@dataclass(frozen=True)
class HealthCheck:
    """`state` ok, warn (it works, or will) or fail (something will not work); `remedy` is empty where it is ok."""

    name: str
    state: Literal["ok", "warn", "fail"]
    what: str
    remedy: str = ""


def check_python() -> HealthCheck:
    """Older ones than pyproject.toml names do not get this far."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.prefix == sys.base_prefix:
        return HealthCheck(
            "python", "warn", f"{version}, shared with all of this system", "make install: an environment of its own"
        )
    return HealthCheck("python", "ok", f"{version} in {sys.prefix}")


def check_libraries(lock: Path = LOCK, demands: Iterable[str] | None = None) -> HealthCheck:
    """What the project demands must hold; what differs from the lock beside that is only said."""
    from packaging.requirements import Requirement

    broken = []
    for line in metadata.requires("tunekeeper") or () if demands is None else demands:
        demand = Requirement(line)
        version = _public_version(demand.name)
        if demand.marker is None and (version is None or not demand.specifier.contains(version, prereleases=True)):
            broken.append(f"{demand.name} {version or 'is absent'} (wanted {demand.specifier})")
    remedy = f"pip install --no-deps -r {lock.name}, or make install"
    if broken:
        return HealthCheck("libraries", "fail", _list_names(broken), remedy)
    if not lock.is_file():
        return HealthCheck("libraries", "warn", f"no {lock.name} beside the code", "run from a checkout: it names what was tested")
    pins = dict(line.split("==") for line in lock.read_text().splitlines() if re.match(r"[\w.-]+==", line))
    there = {name: _public_version(name) for name in pins}
    mismatches = [f"{name} {version} (lock {pins[name]})" for name, version in there.items() if version not in (None, pins[name])]
    absent = [name for name, version in there.items() if version is None]
    if mismatches or absent:
        findings = [_list_names(mismatches)] if mismatches else []
        findings += [f"absent: {_list_names(absent)}"] if absent else []
        return HealthCheck("libraries", "warn", "; ".join(findings), remedy)
    return HealthCheck("libraries", "ok", f"all {len(pins)} as in {lock.name}")


def home_folder(home: Home) -> Iterator[HealthCheck]:
    """Can it be written, and is there room? One that is not there yet is judged by the folder it will be made in."""
    place = next(path for path in (home.path, *home.path.parents) if path.exists())
    if fault := path_fault(home.path):
        yield HealthCheck("home", "fail", f"{home.path} {fault}", "set TUNEKEEPER_HOME to another folder")
    elif not place.is_dir():
        yield HealthCheck("home", "fail", f"{place} is no folder", "set TUNEKEEPER_HOME to a folder")
    elif not os.access(place, os.W_OK | os.X_OK):
        yield HealthCheck("home", "fail", f"{place} cannot be written", "set TUNEKEEPER_HOME to a folder that can")
    elif unwritable := _unwritable_paths(home):
        remedy = "make them writable for this user (chown, chmod), or run as the user who made them"
        yield HealthCheck("home", "fail", f"cannot be written: {_list_names(unwritable)}", remedy)
    else:
        yield HealthCheck("home", "ok", f"{home.path}" if place == home.path else f"{home.path}, made by the first run")
    free = shutil.disk_usage(place).free / GB
    state: Literal["ok", "warn", "fail"] = "fail" if free < 1 else "warn" if free < 5 else "ok"
    yield HealthCheck(
        "disk", state, f"{free:.1f} GB free", "" if state == "ok" else "tunekeeper reconcile drops what is not needed"
    )


def _unwritable_paths(home: Home) -> list[str]:
    """What commands write to in this home and this user may not: as a run by another user, or a restored copy, leaves it."""
    places = chain(home.path.glob("*"), home.path.glob("locks/*"), home.artifacts.glob("*"), home.artifacts.glob("*/models"))
    rights = {True: os.W_OK | os.X_OK, False: os.W_OK}
    return sorted(str(place) for place in places if place.name != KEY_FILE and not os.access(place, rights[place.is_dir()]))


def check_memory() -> HealthCheck:
    import psutil

    free, limit = psutil.virtual_memory().available, Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        used = Path("/sys/fs/cgroup/memory.current").read_text().strip()
        free = min(free, int(text) - int(used))
    state: Literal["ok", "warn", "fail"] = "fail" if free < 0.5 * GB else "warn" if free < 2 * GB else "ok"
    remedy = "" if state == "ok" else "end other programs, or use a machine with more; a smaller training.batch_size needs less"
    return HealthCheck("memory", state, f"{free / GB:.1f} GB free", remedy)


def check_gpu() -> HealthCheck:
    from tasks.learning.device import count_devices, numerics

    if not Path("/dev/nvidiactl").exists():
        return HealthCheck("gpu", "ok", f"none: training runs on {os.cpu_count()} CPU cores")
    compute = numerics("auto")
    if compute.device == "cpu":
        remedy = "install torch's CUDA build, and see that nvidia-smi works"
        return HealthCheck("gpu", "warn", "there is one, but torch does not see it: training runs on the CPU", remedy)
    return HealthCheck("gpu", "ok", f"{count_devices()} x {compute.hardware}, {compute.dtype}")


def check_telemetry(environment: Mapping[str, str] = os.environ) -> HealthCheck:
    """As a command would set them: what the user has set stays."""
    wrong = [
        f"{name}={value}"
        for name, good in TELEMETRY.items()
        if (value := environment.get(name, ENVIRONMENT[name])).lower() not in good
    ]
    if wrong:
        return HealthCheck(
            "telemetry", "warn", f"on: {', '.join(wrong)}", f"unset {' '.join(word.partition('=')[0] for word in wrong)}"
        )
    return HealthCheck("telemetry", "ok", "off in every library")


def check_tools() -> HealthCheck:
    if shutil.which("mlflow") is None:
        return HealthCheck("mlflow command", "warn", "not on PATH", f"export PATH={Path(sys.executable).parent}:$PATH")
    return HealthCheck("mlflow command", "ok", str(shutil.which("mlflow")))


def check_redaction(home: Home, environment: Mapping[str, str] = os.environ) -> HealthCheck:
    """One key on all machines, which no other user may read."""
    key, file = environment.get(VARIABLE), home.path / KEY_FILE
    if key is not None and len(key) < 16:
        return HealthCheck(
            "redaction key", "fail", f"{VARIABLE} has {len(key)} characters", "set at least 16: openssl rand -hex 32"
        )
    if key is not None:
        return _other_key(home, environment) or HealthCheck("redaction key", "ok", f"from {VARIABLE}")
    if not file.is_file() and (sealed := redacted_snapshot(home.path)):
        fact = f"neither {file} nor {VARIABLE} is there, though the rows of {sealed} were redacted with a key"
        remedy = "restore it from a copy, or set the variable as it was: nothing is prepared until then"
        return HealthCheck("redaction key", "fail", fact, remedy)
    if not file.is_file():
        shared = not home.tracks_here
        fact, remedy = "none yet: the first run makes one", f"set {VARIABLE} to one key for all machines" if shared else ""
        return HealthCheck("redaction key", "warn" if shared else "ok", fact, remedy)
    if not re.fullmatch(r"[0-9a-f]{64}", file.read_text(errors="replace").strip()):
        return HealthCheck("redaction key", "fail", f"{file} holds no key", "restore it; a new one changes every placeholder")
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        return HealthCheck("redaction key", "warn", f"{file} can be read by others", f"chmod 600 {file}")
    return _other_key(home, environment) or HealthCheck("redaction key", "ok", f"{file}; keep a copy")


def _other_key(home: Home, environment: Mapping[str, str]) -> HealthCheck | None:
    """The warning where the latest rows of pipelines were redacted with another key than the one that is in force."""
    own = key_id(redaction_key(home.path, environment))
    others = [f"{used} (of {name})" for name, used in keys_in_use(home.path).items() if used != own]
    if not others:
        return None
    where = VARIABLE if VARIABLE in environment else str(home.path / KEY_FILE)
    fact = f"{where} holds key {own}, the latest rows were redacted with {_list_names(others)}: the next retrain changes every tag"
    remedy = "put the earlier key back; where the change is meant, keep both: rows of before are found by their ids with it alone"
    return HealthCheck("redaction key", "warn", fact, remedy)


def _public_version(name: str) -> str | None:
    """Without its local part, which tells a CPU build from another of the same version."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def _list_names(things: list[str]) -> str:
    more = f" and {len(things) - NAMED} more" if len(things) > NAMED else ""
    return ", ".join(things[:NAMED]) + more
