"""Files of rows for every problem, made from the data sets that lie beside the checkout: a row of the table in `problems.py` each."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from benchmarks.accuracy import DATA

OPINIONS = "3.3.2"  # the release whose archive holds the rated sentences
KINDS = {"film": "movieReviewSnippets", "product": "amazonReviewSnippets", "tweet": "tweets"}
NEUTRAL = 0.5  # a mean rating, from -4 to 4, no further from 0


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


CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{{ 'Answer: ' + m.content + eos_token + '\n' }}"
    "{% else %}{{ m.role | capitalize + ': ' + m.content + '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Answer: ' }}{% endif %}"
)
HELD_OUT = 500  # of gsm8k's test rows


def write_sums(folder: Path, most: int) -> list[str]:
    """GSM8K's questions and answers as prompts and completions; at most so many training rows."""
    for name, rows in (("train", most), ("test", HELD_OUT)):
        (folder / f"sums_{name}.jsonl").write_text("\n".join(map(json.dumps, _sums(name, rows))), encoding="utf-8")
    return [
        f"data.source={folder / 'sums_train.jsonl'}", f"data.test={folder / 'sums_test.jsonl'}",
        f"model.base={DATA / 'stories260K'}",
    ]  # fmt: skip


def write_chats(folder: Path, most: int) -> list[str]:
    """The same as conversations of two turns, and a base that has a template for chats."""
    return _write_chats(folder, most, "chats", lambda answer: [answer])


def write_long_chats(folder: Path, most: int) -> list[str]:
    """The same with the lines of an answer in turns of the assistant, the user asking it to go on; the last two are one."""
    return _write_chats(folder, most, "long_chats", lambda answer: [*answer.split("\n")[:-2], "\n".join(answer.split("\n")[-2:])])


def _write_chats(folder: Path, most: int, kind: str, turns_of: Callable[[str], list[str]]) -> list[str]:
    for name, rows in (("train", most), ("test", HELD_OUT)):
        chats = [{"messages": _messages(each["question"], turns_of(each["answer"]))} for each in _sums(name, rows)]
        (folder / f"{kind}_{name}.jsonl").write_text("\n".join(map(json.dumps, chats)), encoding="utf-8")
    base = folder / "stories260K-chat"
    shutil.copytree(DATA / "stories260K", base, dirs_exist_ok=True)
    (base / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return [
        f"name=gsm8k-{kind.replace('_', '-')}", f"data.source={folder / f'{kind}_train.jsonl'}",
        f"data.test={folder / f'{kind}_test.jsonl'}", f"model.base={base}",
    ]  # fmt: skip


def _messages(question: str, answers: list[str]) -> list[dict[str, str]]:
    asked = [question, *["Go on."] * (len(answers) - 1)]
    return [
        {"role": role, "content": content}
        for turns in zip(asked, answers, strict=True)
        for role, content in zip(("user", "assistant"), turns, strict=True)
    ]


def _sums(name: str, rows: int) -> list[dict[str, str]]:
    lines = (DATA / "gsm8k" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:rows]]


def write_opinions(folder: Path, most: int) -> list[str]:
    """Sentences of reviews and tweets with the mean rating that twenty people gave them, as three classes; drawn by a fixed seed.

    From Hutto and Gilbert (2014), in the source archive of a package on PyPI. Sentences of one review are one group.
    """
    archive = f"vaderSentiment-{OPINIONS}"
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(folder)]
    subprocess.run([*command, f"vaderSentiment=={OPINIONS}"], check=True)
    with tarfile.open(folder / f"{archive}.tar.gz") as outer:
        inner = outer.extractfile(f"{archive}/additional_resources/hutto_ICWSM_2014.tar.gz")
        with tarfile.open(fileobj=inner) as files:
            rows = [row for kind, name in KINDS.items() for row in _opinions(files, kind, name)]
    random.Random(0).shuffle(rows)
    pd.DataFrame(rows[:most]).to_csv(folder / "opinions.csv", index=False)
    return [f"data.source={folder / 'opinions.csv'}"]


def _opinions(files: tarfile.TarFile, kind: str, name: str) -> list[dict[str, str]]:
    file = files.extractfile(f"hutto_ICWSM_2014/{name}_GroundTruth.txt")
    if file is None:
        raise SystemExit(f"error: the archive has no {name}")
    lines = [line.split("\t") for line in file.read().decode("utf-8").splitlines() if line.count("\t") == 2]
    return [
        {
            "text": text,
            "sentiment": "positive" if float(rating) > NEUTRAL else "negative" if float(rating) < -NEUTRAL else "neutral",
            "kind": kind,
            "review": f"{kind} {number.partition('_')[0]}",
        }
        for number, rating, text in lines
    ]
