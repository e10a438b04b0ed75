"""Every kind of problem that no proof of its own shows, run to a verdict on real rows. `python -m benchmarks.problems`

Each row is `tunekeeper retrain` with the config that is named, from the bundled MiniLM or, of texts, from
stories260K. The data sets lie beside the checkout, or
the proof says that it was not run.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import small
from benchmarks.accuracy import DATA, kept
from benchmarks.pair_data import write_partners, write_rankings, write_scores
from benchmarks.problem_data import (
    write_chats,
    write_long_chats,
    write_opinions,
    write_pairs,
    write_questions,
    write_steps,
    write_sums,
    write_weaknesses,
)
from benchmarks.span_data import write_personal, write_products
from configs.schema import facts_of


@dataclass(frozen=True)
class ProblemRun:
    """A problem's row of the table: its config, what its rows are, and what writes them (folder, most training rows -> overrides)."""

    title: str
    config: str
    data: str
    write: Callable[[Path, int], list[str]]
    most: int


RUNS = (
    ProblemRun("one label", "sentiment", "sentences of reviews and tweets, rated by twenty people", write_opinions, 5_000),
    ProblemRun("many labels", "cisa_cwes", "kinds of weakness of a vulnerability", write_weaknesses, 5_000),
    ProblemRun("pairs of texts", "banking77_pairs", "do two questions ask for the same?", write_pairs, 3_000),
    ProblemRun("answers in a text", "cisa_answers", "product and vendor in a vulnerability's description", write_questions, 5_000),
    ProblemRun("spans", "pii_spans", "personal data in texts of 1,500 synthetic people, by template", write_personal, 1_500),
    ProblemRun("spans", "cisa_products", "vendor and product in a vulnerability's description", write_products, 5_000),
    ProblemRun("a number", "gsm8k_steps", "steps of a school sum, from its question", write_steps, 1_500),
    ProblemRun("documents ranked for queries", "banking77_ranking", "which questions ask for the same?", write_rankings, 6_000),
    ProblemRun("partners of texts", "banking77_retrieval", "the question that stands for an intent", write_partners, 3_000),
    ProblemRun("pairs with a score", "banking77_similarity", "do two questions ask for the same?", write_scores, 3_000),
    ProblemRun("texts, from prompts", "gsm8k", "worked answers to school sums", write_sums, 1_000),
    ProblemRun("texts, from chats", "gsm8k_chat", "the same, as a question and an answer", write_chats, 1_000),
    ProblemRun("texts, from longer chats", "gsm8k_chat", "the same, an answer in several turns", write_long_chats, 1_000),
)


def main() -> None:
    """Print the section."""
    print(section())


def section() -> str:
    """The table as Markdown; three quarters of an hour on two cores."""
    title = "## Problems on real rows"
    if not DATA.is_dir():
        return f"{title}\n\nNot run: the data sets are not beside this checkout."
    lines = [
        f"{title}\n",
        "The challenger beside the best baseline, on held-out rows, by the metric that the gate compares; the trivial baseline last. "
        "Lower is better where it is an error.\n",
        "| problem | rows | test rows | metric | model | best baseline | trivial | verdict | training, s |",
        "|---|---|--:|---|--:|---|---|---|--:|",
    ]
    home = Path(tempfile.mkdtemp(prefix="problems-"))
    (home / "tmp").mkdir()
    with small.server(home):
        found = [_run(home, run) for run in RUNS]
    shutil.rmtree(home)
    lines += [line for line, _ in found]
    better = sum(won for _, won in found)
    lines.append(
        f"\nBetter than its best baseline: {better} of {len(RUNS)}: {'holds' if better == len(RUNS) else 'DOES NOT HOLD'}."
    )
    return "\n".join(lines)


def _run(home: Path, run: ProblemRun) -> tuple[str, bool]:
    line = _line(run, kept(home, Path("configs") / f"{run.config}.yaml", *run.write(home, run.most)))
    print(line[0], file=sys.stderr, flush=True)
    return line


def _line(run: ProblemRun, found: dict[str, Any]) -> tuple[str, bool]:
    """A line of the table, and whether the model is better than the best baseline."""
    report = json.loads(Path(found["report"]).with_suffix(".json").read_text())
    metric = facts_of(report["problem"]).primary
    values = {
        (system["role"], system["name"]): score["value"]
        for system in report["systems"]
        for score in system["scores"]
        if score["metric"] == metric.name
    }
    own = next(value for (role, _), value in values.items() if role == "challenger")
    rivals = {name: value for (role, name), value in values.items() if role == "baseline"}
    sign = 1 if metric.higher_is_better else -1
    best, worst = max(rivals, key=lambda name: sign * rivals[name]), min(rivals, key=lambda name: sign * rivals[name])
    cells = [
        f"{run.title} (`configs/{run.config}.yaml`)", run.data, f"{report['population']['test']:,}", metric.title, f"{own:.3f}",
        f"{rivals[best]:.3f}, {best}", f"{rivals[worst]:.3f}, {worst}", found["verdict"], f"{found['training_seconds']:.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |", sign * own > sign * rivals[best]


if __name__ == "__main__":
    main()
