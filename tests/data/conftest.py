"""Small sources, and the way from them to a snapshot."""

import random
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from configs.schema import Data
from tasks.data.preparation.load import loaded_source
from tasks.data.preparation.prepare import prepare_rows
from tasks.data.redaction.key import key_id, redaction_key
from tasks.data.redaction.redact import Redactor
from tasks.data.snapshot.snapshot import write_snapshot
from tasks.data.sources.fingerprints import fingerprint_files
from tasks.data.sources.source_files import source_files

WORDS = [a + b for a in ("ka", "lo", "mi", "ru", "te") for b in ("n", "st", "ra", "le", "mp", "do")]


def tickets(n, seed=0):
    """Rows of n tickets in three classes."""
    rng = random.Random(seed)
    return [
        {
            "n": f"t{i:05}",
            "text": " ".join(rng.choices(WORDS, k=12)) + f" {i}",
            "label": f"class {i % 3}",
            "when": f"2026-{1 + i % 12:02}-{1 + i % 28:02}",
            "who": f"customer {i // 4}",
        }
        for i in range(n)
    ]


@pytest.fixture
def write(tmp_path):
    def _write(rows, name="rows.jsonl"):
        pd.DataFrame(rows).to_json(tmp_path / name, orient="records", lines=True)
        return str(tmp_path / name)

    return _write


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def make(home):
    """Source to snapshot in one call."""

    def _make(problem="text-classification", before=None, after=None, **given):
        data = Data(**given)
        key = redaction_key(home, {})
        source, test = source_files(data.source, data.test, data.format)
        with loaded_source(data, problem, home) as raw:
            candidate = prepare_rows(raw, data, Redactor(data.redact.entities, key) if data.redact.enabled else None, before)
            return write_snapshot(candidate, home, fingerprint_files(source + test), key_id(key), after)

    return _make


@pytest.fixture
def together():
    """Run a function many times at once."""

    def _together(function, times=4):
        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(lambda _: function(), range(times)))

    return _together
