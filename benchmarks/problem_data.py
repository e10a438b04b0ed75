"""Files of rows for every problem, made from the data sets that lie beside the checkout: a row of the table in `problems.py` each."""

from __future__ import annotations

import json
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
