"""Files of rows for every problem, made from the data sets that lie beside the checkout: a row of the table in `problems.py` each."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pandas as pd

from benchmarks.accuracy import DATA


def write_steps(folder: Path, most: int) -> list[str]:
    """GSM8K's questions with the number of lines of their answers before the result; at most so many training rows."""
    for name, rows in (("steps", most), ("steps_test", None)):
        lines = (DATA / "gsm8k" / f"{'test' if rows is None else 'train'}.jsonl").read_text(encoding="utf-8").splitlines()
        sums = [json.loads(line) for line in lines[:rows]]
        steps = [each["answer"].count("\n") for each in sums]
        pd.DataFrame({"question": [each["question"] for each in sums], "steps": steps}).to_csv(folder / f"{name}.csv", index=False)
    return [f"data.source={folder / 'steps.csv'}", f"data.test={folder / 'steps_test.csv'}"]


def write_pairs(folder: Path, most: int) -> list[str]:
    """Pairs of banking77's questions, half of one intent and half of two, drawn by a fixed seed; at most so many to train on."""
    for name, file, count in (("pairs", "train", most), ("pairs_test", "test", 1_500)):
        rows = pd.read_csv(DATA / "banking77" / f"{file}.csv")
        draw, texts, intents = random.Random(0), rows["text"].tolist(), rows["category"].tolist()
        of_intent: dict[str, list[int]] = {}
        for place, intent in enumerate(intents):
            of_intent.setdefault(intent, []).append(place)
        pairs = []
        for number in range(count):
            first = draw.randrange(len(texts))
            second = draw.choice(of_intent[intents[first]]) if number % 2 else draw.randrange(len(texts))
            if first != second:
                pairs.append(
                    {"first": texts[first], "second": texts[second], "same": "yes" if intents[first] == intents[second] else "no"}
                )
        pd.DataFrame(pairs).to_csv(folder / f"{name}.csv", index=False)
    return [f"data.source={folder / 'pairs.csv'}", f"data.test={folder / 'pairs_test.csv'}"]


def write_questions(folder: Path, most: int) -> list[str]:
    """Two questions on each description of the catalog, which product and whose; the answer is empty where it does not name that."""
    catalog = pd.read_csv(DATA / "cisa_kev" / "known_exploited_vulnerabilities.csv").head(most)
    rows = []
    for entry in catalog.itertuples():
        for question, answer in (("Which product is vulnerable?", entry.product), ("Whose product is it?", entry.vendorProject)):
            stands = isinstance(answer, str) and answer in entry.shortDescription
            rows.append(
                {
                    "cve": entry.cveID, "added": entry.dateAdded, "question": question, "description": entry.shortDescription,
                    "answer": answer if stands else "",
                }
            )  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "questions.csv", index=False)
    return [f"data.source={folder / 'questions.csv'}"]


def write_weaknesses(folder: Path, most: int) -> list[str]:
    """The catalog of exploited vulnerabilities, those whose kinds of weakness are named."""
    rows = pd.read_csv(DATA / "cisa_kev" / "known_exploited_vulnerabilities.csv")
    rows[rows["cwes"].notna()].head(most).to_csv(folder / "weaknesses.csv", index=False)
    return [f"data.source={folder / 'weaknesses.csv'}"]
