"""Files of rows for every problem, made from the data sets that lie beside the checkout: a row of the table in `problems.py` each."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
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
