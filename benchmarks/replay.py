"""A catalogue replayed month by month: what the monitors say, and what retraining gains over never and over always.

Run: python -m benchmarks.replay [first month] [last month]

Each month the champion answers what is new that month, before its labels are known; then the labels come, the monitors look, and the
model is retrained or not. All of it through the flows themselves, with the beginning of the next month as their clock. The first champion is
put in place by a person: 300 rows prove nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "configs" / "cisa_kev.yaml"
SOURCE = ROOT.parent / "shared" / "data" / "cisa_kev" / "known_exploited_vulnerabilities.csv"
FIRST, LAST = "2022-01", "2025-08"


@dataclass
class Life:
    """One way to keep the model: its name, and what became of it."""

    name: str
    said: str
    months: list[str] = field(default_factory=list)  # of the texts, as are the next two
    right: list[float] = field(default_factory=list)
    likelihood: list[float] = field(default_factory=list)
    trainings: int = 0
    seconds: float = 0.0
    promotions: int = 0
    alarms: list[tuple[str, tuple[str, ...], str]] = field(default_factory=list)


def main() -> None:
    """Print the section."""
    sys.stdout.write(section(*sys.argv[1:]) + "\n")


def section(first: str = FIRST, last: str = LAST) -> str:
    """The replay as Markdown; about twenty minutes on two cores."""
    if not SOURCE.is_file():
        return "## Replay\n\nNot run: the data set cisa_kev is not here."
    home = Path(tempfile.mkdtemp(prefix="replay-"))
    os.environ["TUNEKEEPER_HOME"] = str(home)
    began = time.monotonic()
    from flows.cli.launch import flow_environment

    with flow_environment():
        lives = replay(home, first, last)
    shutil.rmtree(home, ignore_errors=True)
    return page(lives, first, last, time.monotonic() - began)


def replay(home: Path, first: str, last: str) -> list[Life]:
    """All lives at once: a month's training is the same whoever asks for it, so it is done once."""
    import pandas as pd

    rows = pd.read_csv(SOURCE, dtype=str).sort_values(["dateAdded", "cveID"], ignore_index=True)
    rows = rows[rows["shortDescription"].notna()]
    months = [str(month) for month in pd.period_range(first, last, freq="M")]
    never, always = Life("never", "never retrained"), Life("always", "every month, always taken")
    gated, watched = (
        Life("gated", "every month, taken where the gate says so"),
        Life("watched", "Tunekeeper: after an alarm, by the gate"),
    )
    for life in (gated, watched):
        _promoted(life, months[0])
    never.trainings, never.seconds = gated.trainings, gated.seconds
    newest = {"never": "1", "always": "1"}
    for month, following in zip(months, [*months[1:], str(pd.Period(last, freq="M") + 1)], strict=True):
        new = rows[rows["dateAdded"].str.startswith(month)]
        answered = {name: _answers(home, version, new) for name, version in newest.items()} if len(new) else {}
        for life, name in ((never, "never"), (always, "always")):
            _score(life, month, answered.get(name), new)
        for life in (gated, watched):
            _score(life, month, _served(home, life, new), new)
        _watch(watched, month, following)
        outcome = _retrain(gated, following)
        newest["always"] = outcome["model"]["version"]
        always.trainings, always.seconds = gated.trainings, gated.seconds
        sys.stderr.write(
            f"  {month}: {len(new)} rows; gate {outcome['verdict']}; alarms {[one for one in watched.alarms if one[0] == month]}\n"
        )
    return [never, always, gated, watched]


def _pipeline(name: str, before: str) -> Any:
    """The pipeline as it is at the beginning of a month."""
    from configs.load import load_pipeline

    return load_pipeline(CONFIG, [f"name={name}", f"data.source={SOURCE}", f"data.window.end={before}-01"])


def _set_clock(month: str) -> datetime:
    """Let every ledger that is opened from here on live at the beginning of a month: looks are counted by its clock."""
    from tasks.ledger.store import Ledger

    moment = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
    defaults = Ledger.__init__.__kwdefaults__
    assert defaults is not None
    defaults["now"] = lambda: moment
    return moment


def _promoted(life: Life, month: str) -> None:
    """The first champion, put there by hand."""
    from flows.cli.promote import promote_by_hand

    outcome = _retrain(life, month)
    if outcome["verdict"] != "PROMOTE":
        promote_by_hand(
            _pipeline(life.name, month), CONFIG, outcome["model"]["version"], "the first model, for want of data", "the replay"
        )
    life.promotions = 0


def _retrain(life: Life, month: str) -> dict[str, Any]:
    from flows.retrain import retrain

    _set_clock(month)
    outcome: dict[str, Any] = retrain(_pipeline(life.name, month))
    if not outcome["skipped"]:
        life.trainings += 1
        life.seconds += outcome["training_seconds"]
        life.promotions += outcome["verdict"] == "PROMOTE"
    return outcome


def _watch(life: Life, month: str, following: str) -> None:
    """The monitors' monthly look, and what an alarm starts."""
    from flows.monitor import monitor

    seen = monitor(_pipeline(life.name, following), _set_clock(following))
    if seen["alarm"]:
        outcome = _retrain(life, following)
        life.alarms.append((month, tuple(seen["monitors"]), "skipped" if outcome["skipped"] else outcome["verdict"]))


def _answers(home: Path, version: str, new: Any, model: str = "gated") -> Any:
    """A frame of a version's labels and scores for a month's texts."""
    return _kept(home, model, version).predict(new["shortDescription"].tolist())


@lru_cache(maxsize=8)
def _kept(home: Path, model: str, version: str) -> Any:
    from tasks.common.home import Home
    from tasks.release import champion_files
    from tasks.serving.packaged_model import load_package
    from tasks.tracking.client import Tracking

    return load_package(*champion_files(Tracking(Home(home)), Home(home), model, version), home)


def _served(home: Path, life: Life, new: Any) -> Any:
    """What the champion of a life answers; the watched one's answers are logged, all of them audited, as the labels do come."""
    from tasks.common.home import Home
    from tasks.context import open_ledger
    from tasks.ledger.promotions import ledger_history
    from tasks.ledger.replay import replay_entries
    from tasks.traffic.log import Answer, Feedback, new_id, open_traffic

    if not len(new):
        return None
    version = str(replay_entries(ledger_history(open_ledger(Home(home)), life.name)).champion)
    said = _answers(home, version, new, life.name)
    if life.name == "watched":
        log = open_traffic(home, life.name)
        for row, label, score in zip(new.itertuples(), said["label"], said["score"], strict=True):
            at = datetime.fromisoformat(row.dateAdded).replace(tzinfo=UTC)
            answer = Answer(new_id(), at, version, row.shortDescription, label, float(score), 1.0, True, 1.0, "predict")
            log.answered([answer])
            log.feedback([Feedback(new_id(), answer.id, at, "label", row.knownRansomwareCampaignUse, "audit")])
        log.close()
    return said


def _score(life: Life, month: str, said: Any, new: Any) -> None:
    """Right or wrong, and how surely, text by text."""
    import numpy as np

    if said is None:
        return
    right = said["label"].to_numpy() == new["knownRansomwareCampaignUse"].to_numpy()
    life.months += [month] * len(right)
    life.right += right.astype(float).tolist()
    life.likelihood += np.log(np.clip(np.where(right, said["score"], 1 - said["score"]), 1e-6, 1)).tolist()


def page(lives: Sequence[Life], first: str, last: str, seconds: float) -> str:
    """The table, what it comes to, and the alarms."""
    import numpy as np

    never, always, _, watched = lives
    lines = [
        f"## Replay\n\nCISA's catalogue of exploited vulnerabilities, month by month from {first} to {last}: is it used by ransomware? "
        f"{len(never.right):,} texts, each answered before its label was known. The differences in accuracy, to never retraining and to "
        "retraining every month, have their 95 % intervals (paired bootstrap over whole months: the texts of one were answered by one "
        "version).\n",
        "| kept | accuracy | log loss | against never | against every month | trainings | seconds of training | promotions |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for life in lives:
        promoted = "every one" if life is always else str(life.promotions)
        gains = " | ".join("" if life is other else _said(_gain(life, other)) for other in (never, always))
        lines.append(
            f"| {life.said} | {np.mean(life.right):.2%} | {-np.mean(life.likelihood):.4f} | {gains} "
            f"| {life.trainings} | {life.seconds:.0f} | {promoted} |"
        )
    lines.append(f"\n{_verdict(watched, never, always)}")
    lines.append("\nWhen the monitors spoke, and what the retraining that followed came to:\n")
    lines += [f"- {month}: {', '.join(monitors)}: {verdict}" for month, monitors, verdict in watched.alarms] or ["- never"]
    lines.append(f"\nTook {seconds:.0f} s; trainings count the one before the first month too.")
    return "\n".join(lines)


def _gain(life: Life, other: Life) -> tuple[float, float, float]:
    """How much more accurate a life was than another, and the ends of the 95 % interval."""
    import numpy as np

    months, more = np.array(life.months), np.array(life.right) - np.array(other.right)
    of_month = [np.flatnonzero(months == month) for month in dict.fromkeys(life.months)]
    texts, gained = np.array([len(rows) for rows in of_month]), np.array([more[rows].sum() for rows in of_month])
    draws = np.random.default_rng(0).integers(0, len(texts), (2000, len(texts)))
    low, high = np.quantile(gained[draws].sum(1) / texts[draws].sum(1), [0.025, 0.975])
    return float(more.mean()), float(low), float(high)


def _said(gain: tuple[float, float, float]) -> str:
    mean, low, high = gain
    return f"{mean:+.2%} ({low:+.2%} to {high:+.2%})"


def _verdict(watched: Life, never: Life, always: Life) -> str:
    """What Tunekeeper gained over both, and at what cost, in a sentence."""
    over_never, over_always = _word(_gain(watched, never)), _word(_gain(watched, always))
    return (
        f"In accuracy Tunekeeper was {over_never} never retraining and {over_always} retraining every month, at the cost of "
        f"{watched.trainings} trainings of {watched.seconds:.0f} s in all, where never took {never.trainings} of {never.seconds:.0f} s "
        f"and every month {always.trainings} of {always.seconds:.0f} s."
    )


def _word(gain: tuple[float, float, float]) -> str:
    mean, low, high = gain
    if low <= 0 <= high:
        return f"not shown to differ ({100 * mean:+.2f} points) from" if mean else "equal to"
    return f"{'better' if mean > 0 else 'worse'} by {100 * abs(mean):.2f} points than"


if __name__ == "__main__":
    main()
