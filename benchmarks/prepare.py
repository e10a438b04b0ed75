"""A million rows through load, contract, prepare, contract and seal: seconds, peak memory, and what one more row costs.

Run: python benchmarks/prepare.py [rows ...]
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

SIZES = (250_000, 500_000, 1_000_000)
LIMIT_GB = 4.0
SEED = 20


def main() -> None:
    """Print the section."""
    print(section(tuple(int(n) for n in sys.argv[1:]) or SIZES))


def section(sizes: tuple[int, ...] = SIZES) -> str:
    """The measurement as Markdown; each size in a process of its own, since a process never gives its peak back."""
    rows = [_measured(n) for n in sizes]
    lines = [
        "## Prepare and validate: rows through load, contract, redaction, deduplication, split, contract and seal",
        "",
        f"Invented tickets (seed {SEED}): 23 words on average, 6 % with personal data, 5 % exact and",
        "5 % near copies. CSV in, snapshot and Data Docs out; all in one process, where a run validates in a second one.",
        "",
        "| rows | file, MB | load, s | validate, s | prepare, s | seal, s | CPU, s | rows/s | peak, GB | kept | redacted | exact copies | near |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for r in rows:
        validate = r["validate raw"] + r["validate prepared"]
        total = r["load"] + validate + r["prepare"] + r["seal"]
        lines.append(
            f"| {r['rows']:,} | {r['megabytes']:.0f} | {r['load']:.1f} | {validate:.1f} | {r['prepare']:.1f} | {r['seal']:.1f} | {r['cpu']:.1f} "
            f"| {r['rows'] / total:,.0f} | {r['peak_gb']:.2f} | {r['kept']:,} | {r['redacted']:,} | {r['exact']:,} "
            f"| {r['near']:,} |"
        )
    if len(rows) > 1:
        low, high = rows[0], rows[-1]
        slope = (high["peak_gb"] - low["peak_gb"]) * 1e9 / (high["rows"] - low["rows"])
        lines += ["", f"One more row costs {slope:,.0f} bytes of peak memory."]
    verdict = "holds" if max(r["peak_gb"] for r in rows) <= LIMIT_GB else "DOES NOT HOLD"
    return "\n".join([*lines, f"Peak memory at most {LIMIT_GB:.0f} GB: {verdict}.", ""])


def write_tickets(path: Path, rows: int, seed: int = SEED) -> None:
    """Write `rows` invented tickets as CSV."""
    rng = random.Random(seed)
    words = [_word(rng) for _ in range(20_000)]
    weights = [1 / (rank + 10) for rank in range(len(words))]
    recent: list[str] = ["hello"]
    with path.open("w", newline="") as out:
        out.write("id,text,label,time,region\n")
        for start in range(0, rows, 10_000):
            block = rng.choices(words, weights, k=23 * 10_000)
            for i in range(min(10_000, rows - start)):
                text = _text(rng, block[23 * i : 23 * i + rng.randint(14, 23)], recent)
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


def _measured(rows: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "tickets.csv"
        write_tickets(source, rows)
        run = subprocess.run([sys.executable, __file__, "--one", str(source)], check=True, capture_output=True, text=True)
        measured: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
        return measured | {"megabytes": source.stat().st_size / 1e6}


def _validated(rows: Any, suites: Sequence[Path], stage: Any, home: Path) -> Any:
    """Held against the shipped suites; invented words are no language, so nothing is said of the outcome."""
    from expectations.run import Context, validate

    return validate(rows.reader(), suites, stage=stage, context=Context(), max_quarantined=1.0, docs_dir=home / "docs" / stage)


def _one(source: Path) -> None:
    """In the child: prepare the file, print what it took."""
    from configs.schema import Data
    from expectations.run import COMMON, suite_for
    from tasks.text.key import VARIABLE, key_id, redaction_key
    from tasks.text.load import loaded
    from tasks.text.prepare import prepare
    from tasks.text.redact import Redactor
    from tasks.text.snapshot import seal
    from tasks.text.sources import fingerprint, source_files

    home = source.parent / "home"
    data = Data(source=str(source), id="id", time="time", slices=("region",))
    key = redaction_key(home, {VARIABLE: f"the key of seed {SEED}"})
    times = [time.perf_counter()]
    suites = (COMMON, suite_for("text-classification"))
    with loaded(data, "text-classification", home) as raw:
        times.append(time.perf_counter())
        _validated(raw, suites, "raw", home)
        times.append(time.perf_counter())
        candidate = prepare(raw, data, Redactor(data.redact.entities, key))
        times.append(time.perf_counter())
        _validated(candidate, suites, "prepared", home)
        times.append(time.perf_counter())
        files, _ = source_files(data.source)
        manifest = seal(candidate, home, fingerprint(files), key_id(key)).manifest
        times.append(time.perf_counter())
    names = ("load", "validate raw", "prepare", "validate prepared", "seal")
    seconds = dict(zip(names, (b - a for a, b in pairwise(times)), strict=True))
    dropped = {reason: found["rows"] for reason, found in manifest["dropped"].items()}
    kept, redacted = manifest["rows"]["kept"], sum(manifest["redacted"].values())
    near = sum(n for reason, n in dropped.items() if reason != "exact duplicate")
    used = resource.getrusage(resource.RUSAGE_SELF)
    counts = {
        "rows": manifest["rows"]["read"],
        "kept": kept,
        "redacted": redacted,
        "exact": dropped["exact duplicate"],
        "near": near,
    }
    print(json.dumps(seconds | counts | {"peak_gb": used.ru_maxrss / 1e6, "cpu": used.ru_utime + used.ru_stime}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _one(Path(sys.argv[2]))
    else:
        main()
