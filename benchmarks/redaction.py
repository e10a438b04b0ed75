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
from tasks.data.redaction.patterns import Span
from tasks.data.redaction.redact import Redactor

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LABELLED = ("synth_dataset_v2", "generated_large", "generated_small")
FLOORS = {  # the least recall and precision, a little below what was measured
    "EMAIL_ADDRESS": (0.99, 0.99),
    "PHONE_NUMBER": (0.97, 0.95),
    "CREDIT_CARD": (0.99, 0.99),
    "IBAN_CODE": (0.99, 0.99),
    "IP_ADDRESS": (0.99, 0.99),
    "US_SSN": (0.99, 0.99),
}
BY_MODEL = ("PERSON", "GPE", "LOCATION", "ORGANIZATION")  # what data.redact.ner_model finds, by the names these texts have for it
ALARMS = 0.002  # of clean texts: the most in which something may be replaced
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
        "Pattern entities alone, no NER model: the default. Hidden: all of the value is replaced, by whatever name.",
        "Recall: and by its own. Precision: share of the replaced spans labelled as that kind; personal: as any kind.",
        "The rules were written with these texts in view, so this is how well they fit, not how they do on texts unseen.",
        "",
        "| texts | entity | labelled | hidden | recall | at least | replaced | precision | at least | personal | |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    found = {name: scores(json.loads((folder / f"{name}.json").read_text())) for name in LABELLED}
    lines += [_line(name, entity, table[entity]) for name, table in found.items() for entity in FLOORS if table[entity].labelled]
    return "\n".join([*lines, "", *_uncovered(list(found.values())), "", *_clean_lines(), "", *_speed_lines(folder), ""])


def _line(name: str, entity: str, s: Score) -> str:
    recall, precision = FLOORS[entity]
    good = s.named >= recall * s.labelled and s.right >= precision * s.predicted
    return (
        f"| {name} | {entity} | {s.labelled} | {_share(s.hidden, s.labelled)} | {_share(s.named, s.labelled)} | {recall:.2f} "
        f"| {s.predicted} | {_share(s.right, s.predicted)} | {precision:.2f} | {_share(s.personal, s.predicted)} | {_holds(good)} |"
    )


def _uncovered(tables: list[dict[str, Score]]) -> list[str]:
    """What else is labelled in all of the texts, and is left as it is."""
    labelled: Counter[str] = Counter()
    hidden: Counter[str] = Counter()
    for table in tables:
        labelled.update({entity: s.labelled for entity, s in table.items() if entity not in FLOORS})
        hidden.update({entity: s.hidden for entity, s in table.items() if entity not in FLOORS})
    lines = [
        "Not covered by default, and so left in the texts: no pattern finds them, and no model is bundled. What is hidden of them lay",
        "within something else. CRYPTO and MAC_ADDRESS are found by default too, and labelled in none of these texts.",
        "",
        "| entity | labelled | hidden | recall | covered |",
        "|---|--:|--:|--:|---|",
    ]
    for entity, count in labelled.most_common():
        how = "only by a NER model that `data.redact.ner_model` names" if entity in BY_MODEL else "no"
        how = "only with `URL` among `data.redact.entities`" if entity == "DOMAIN_NAME" else how
        lines.append(f"| {entity} | {count:,} | {_share(hidden[entity], count)} | 0 | {how} |")
    return lines


def scores(rows: list[dict[str, object]]) -> dict[str, Score]:
    """Score the finders on rows with `full_text` and `spans`."""
    redactor = Redactor(PATTERN_ENTITIES, KEY)
    table = {entity: Score() for entity in FLOORS}
    for row in rows:
        text, gold = row["full_text"], row["spans"]
        assert isinstance(text, str) and isinstance(gold, list)
        found = redactor.spans(text)
        for label in gold:
            _score_label(table.setdefault(label["entity_type"], Score()), label, found)
        for span in found:
            if span.entity in FLOORS:
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
    lines = [f"| clean texts | rows | replaced, at most {ALARMS:.1%} | |", "|---|--:|---|---|"]
    for name, rows in texts.items():
        found = false_alarms(rows)
        seen = ", ".join(f"{n} {e}" for e, n in found.items()) or "nothing"
        lines.append(f"| {name} | {len(rows):,} | {seen} | {_holds(found.total() <= ALARMS * len(rows))} |")
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


def _holds(good: bool) -> str:
    return "holds" if good else "DOES NOT HOLD"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"


if __name__ == "__main__":
    main()
