"""Redaction on labelled texts: precision and recall per entity, false alarms on clean texts, and rows a second.

Run: python benchmarks/redaction.py
"""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from configs.schema import PATTERN_ENTITIES
from tasks.text.patterns import Span
from tasks.text.redact import Redactor

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LABELLED = ("synth_dataset_v2", "generated_large", "generated_small")
ENTITIES = ("EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS", "US_SSN")
KEY = bytes(32)


@dataclass
class Score:
    """Counts for one entity: a labelled value is hidden where a span covers all of it, named where the kind is right too."""

    labelled: int = 0
    hidden: int = 0
    named: int = 0
    predicted: int = 0
    right: int = 0  # predicted spans that touch a labelled value of the same kind
    personal: int = 0  # predicted spans that touch a labelled value of any kind
    missed: list[str] = field(default_factory=list)


def main() -> None:
    """Print the section."""
    print(section())


def section() -> str:
    """The measurement as Markdown."""
    folder = DATA / "pii_presidio"
    if not folder.is_dir():
        return "## Redaction\n\nNot measured: the labelled texts are not here (shared/data/pii_presidio).\n"
    lines = [
        "## Redaction on labelled texts",
        "",
        "Pattern entities alone, no NER model. Hidden: all of the value is replaced, by whatever name.",
        "Recall: and by its own. Precision: share of the replaced spans labelled as that kind; personal: as any kind.",
        "The rules were written with these texts in view, so this is how well they fit, not how they do on texts unseen.",
        "",
        "| texts | entity | labelled | hidden | recall | replaced | precision | personal |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name in LABELLED:
        for entity, s in scores(json.loads((folder / f"{name}.json").read_text())).items():
            lines.append(
                f"| {name} | {entity} | {s.labelled} | {_share(s.hidden, s.labelled)} | {_share(s.named, s.labelled)} "
                f"| {s.predicted} | {_share(s.right, s.predicted)} | {_share(s.personal, s.predicted)} |"
            )
    return "\n".join([*lines, "", *_clean_lines(), "", *_speed_lines(folder), ""])


def scores(rows: list[dict[str, object]]) -> dict[str, Score]:
    """Score the finders on rows with `full_text` and `spans`."""
    redactor = Redactor(PATTERN_ENTITIES, KEY)
    table = {entity: Score() for entity in ENTITIES}
    for row in rows:
        text, gold = row["full_text"], row["spans"]
        assert isinstance(text, str) and isinstance(gold, list)
        found = redactor.spans(text)
        for label in gold:
            if label["entity_type"] in table:
                _score_label(table[label["entity_type"]], label, found)
        for span in found:
            if span.entity in table:
                touched = {g["entity_type"] for g in gold if span.start < g["end_position"] and g["start_position"] < span.end}
                table[span.entity].predicted += 1
                table[span.entity].right += span.entity in touched
                table[span.entity].personal += bool(touched)
    return table


def false_alarms(texts: list[str]) -> Counter[str]:
    """What is replaced in texts that hold no personal data."""
    redactor = Redactor(PATTERN_ENTITIES, KEY)
    redactor.redact(texts)
    return redactor.counts


def _score_label(score: Score, label: dict[str, int | str], found: list[Span]) -> None:
    start, end = int(label["start_position"]), int(label["end_position"])
    score.labelled += 1
    covering = [s for s in found if s.start <= start and end <= s.end]
    score.hidden += bool(covering)
    score.named += any(s.entity == label["entity_type"] for s in covering)
    if not covering:
        score.missed.append(str(label["entity_value"]))


def _clean_lines() -> list[str]:
    texts = {
        "banking77": _column("banking77/train.csv", "text"),
        "cisa_kev": _column("cisa_kev/known_exploited_vulnerabilities.csv", "shortDescription"),
    }
    gsm8k = DATA / "gsm8k" / "train.jsonl"
    texts["gsm8k"] = (
        [f"{row['question']}\n{row['answer']}" for row in map(json.loads, gsm8k.read_text().splitlines())] if gsm8k.exists() else []
    )
    lines = ["| clean texts | rows | replaced |", "|---|--:|---|"]
    for name, rows in texts.items():
        found = false_alarms(rows)
        lines.append(f"| {name} | {len(rows):,} | {', '.join(f'{n} {e}' for e, n in found.items()) or 'nothing'} |")
    return lines


def _speed_lines(folder: Path) -> list[str]:
    labelled = [row["full_text"] for row in json.loads((folder / "synth_dataset_v2.json").read_text())][:500]
    questions = _column("banking77/train.csv", "text")
    lines = ["| texts | with the prefilter, rows/s | without, rows/s | same result |", "|---|--:|--:|---|"]
    for name, texts in (("banking77", questions[:2000]), ("synth_dataset_v2", labelled)):
        fast, first = _timed(Redactor(PATTERN_ENTITIES, KEY), texts)
        slow, second = _timed(Redactor(PATTERN_ENTITIES, KEY, prefilter=False), texts)
        lines.append(f"| {name} | {fast:,.0f} | {slow:,.0f} | {'yes' if first == second else 'NO'} |")
    return lines


def _timed(redactor: Redactor, texts: list[str]) -> tuple[float, list[str]]:
    redactor.redact(["call +44 20 7946 0958"])  # imports
    start = time.perf_counter()
    found = redactor.redact(texts)
    return len(texts) / (time.perf_counter() - start), found


def _column(file: str, name: str) -> list[str]:
    path = DATA / file
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return [row[name] for row in csv.DictReader(stream)]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"


if __name__ == "__main__":
    main()
