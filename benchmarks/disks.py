"""A disk that is full, at whatever moment, or that cannot be written: `python -m benchmarks.disks`, as a user who may mount.

The home of a small kept model lies on a tmpfs of some size, from a few kilobytes more than nothing to a little less than a whole
retraining needs. `tunekeeper retrain` must end with 1 and one error that names the remedy; with room made, run again, all must be as
if nothing had been. Prefect's server is elsewhere, but for one line of the table.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from benchmarks import small
from benchmarks.small import Job, Left

SHARES = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97)  # of what a whole retraining leaves on the disk
ROOM = "512m"
ALONE = {"PREFECT_API_URL": "", "TUNEKEEPER_SERVER_IDLE_SECONDS": "1"}


def main() -> None:
    """Print the section."""
    print(section())


def section() -> str:
    """The measurement as Markdown; minutes."""
    with tempfile.TemporaryDirectory(prefix="disks-") as aside:
        job = small.make_job(Path(aside))
        with small.server(Path(aside) / "server"):
            try:
                with disk(job, "whole", ROOM) as home:
                    code, said = retrain(job, home)
                    whole, need = left(home), used(home)
            except PermissionError as error:
                return f"## Full and read-only disks\n\nNot run: {error}."
            if code != 0:
                raise RuntimeError(said[-2000:])
            lines = [full(job, share, need, whole) for share in SHARES]
            lines.append(read_only(job))
            lines.append(full(job, 0.5, need, whole, **ALONE))
    return "\n".join(
        [
            "## Full and read-only disks",
            "",
            f"A home on a tmpfs, in the last line with a Prefect server of its own; a whole retraining of a small model leaves {need / 1e6:.1f} MB. "
            "Then the disk is given room, and the same command is run again.",
            "",
            "| disk | exit code and what is said | run again with room | holds |",
            "|---|---|---|---|",
            *lines,
        ]
    )


@contextmanager
def disk(job: Job, name: str, size: str) -> Iterator[Path]:
    """A home on a disk of its own; PermissionError where this user may not mount."""
    home = job.folder / name
    home.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(home)], capture_output=True, text=True)
    if made.returncode != 0:
        raise PermissionError(f"this user may not mount a tmpfs ({made.stderr.strip()})")
    try:
        (home / "tmp").mkdir()
        yield home
    finally:
        ended(home)
        subprocess.run(["umount", "--lazy", str(home)], check=True)


def ended(home: Path) -> None:
    """Wait for the server, which ends itself."""
    deadline = time.monotonic() + 60
    while small.servers(home) and time.monotonic() < deadline:
        time.sleep(0.2)


def remounted(home: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(home)], check=True)


def retrain(job: Job, home: Path, **more: str) -> tuple[int, str]:
    """Exit code and what was said; temporary files lie on the same disk."""
    process = small.retrain(job.config, home, PREFECT_HOME=str(home / "prefect"), **more)
    _, said = process.communicate()
    ended(home)
    return process.returncode, said


def left(home: Path) -> Left:
    """`small.left`, from a process that ends: MLflow's client keeps its database open, and the disk busy."""
    with ProcessPoolExecutor(1, get_context("spawn")) as other:
        return other.submit(small.left, home).result()


def used(home: Path) -> int:
    return shutil.disk_usage(home).used


def full(job: Job, share: float, need: int, whole: Left, **more: str) -> str:
    """One line of the table: too small a disk, then room."""
    size = int(share * need)
    with disk(job, f"full-{share}-{len(more)}", str(size)) as home:
        code, said = retrain(job, home, **more)
        remounted(home, f"size={ROOM}")
        again, told = retrain(job, home, **more)
        now = left(home)
    differs = [name for name in vars(whole) if name != "models" and vars(now)[name] != vars(whole)[name]]
    seen = f"{again}: " + (", ".join(f"{name} {vars(now)[name]!r}" for name in differs) or "as if nothing had been")
    holds = code == 1 and one_error(said) and again == 0 and not differs
    return line(f"{size / 1e6:.1f} MB", code, said, seen if again == 0 else f"{again}: {last(told)}", holds)


def read_only(job: Job) -> str:
    """A champion stands, its disk is made read-only, rows come in."""
    with disk(job, "read-only", ROOM) as home:
        first, said = retrain(job, home)
        before = left(home)
        later = replace(job, folder=job.folder / "later")
        shutil.copytree(
            job.folder, later.folder, ignore=lambda *_: {*(p.name for p in job.folder.iterdir() if p.is_mount()), "later"}
        )
        rows = later.folder / "rows.csv"
        rows.write_text("\n".join(rows.read_text().splitlines()[:-7]) + "\n")
        later.config.write_text(later.config.read_text().replace(str(job.folder / "rows.csv"), str(rows)))
        remounted(home, "ro")
        code, said = retrain(later, home)
        remounted(home, "rw")
        same = left(home) == before
        again, _ = retrain(later, home)
        now = left(home)
    holds = first == 0 and code == 1 and one_error(said) and same and again == 0 and now.runs == 2 and not now.statuses
    seen = f"{again}: {now.runs} runs, champion {now.champion}"
    return line("read-only", code, said, seen, holds)


def one_error(said: str) -> bool:
    """One error for people, no traceback."""
    return len(re.findall(r"^error: ", said, re.MULTILINE)) == 1 and "Traceback" not in said


def last(said: str) -> str:
    found = re.search(r"^error: .*", said, re.MULTILINE)
    text = found[0] if found else said.strip()[-200:]
    return re.sub(r"\S*/disks-\w+/[\w.-]+", "HOME", text).replace("|", "/").replace("\n", " ")


def line(what: str, code: int, said: str, seen: str, holds: bool) -> str:
    return f"| {what} | {code}: {last(said)} | {seen} | {'yes' if holds else '**no**'} |"


if __name__ == "__main__":
    main()
