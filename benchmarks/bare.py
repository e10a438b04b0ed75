"""What the flow is held against: train and evaluate, with the same training code on the same rows, and nothing else.

python -m benchmarks.bare CONFIG SNAPSHOT RUN [key=value ...]
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

BEGAN = time.perf_counter()


def main() -> None:
    """Read a snapshot's rows, fit, score the test rows; print seconds by part."""
    import pandas as pd

    from configs.load import load
    from tasks.learning.base import find_base
    from tasks.learning.fit import Listener
    from tasks.learning.network import TRAINABLE, build, read_spec, spec_of
    from tasks.learning.scoring import score
    from tasks.learning.supervised import train

    config, snapshot, run, *overrides = sys.argv[1:]
    pipeline = load(Path(config), overrides)
    rows, held_out, test = (pd.read_parquet(Path(snapshot) / f"{name}.parquet") for name in ("train", "validation", "test"))
    base = find_base(pipeline.model.base, pipeline.model.revision, pipeline.model.sha256)
    labels = tuple(sorted(set(rows["target"])))
    spec = spec_of(pipeline.problem, pipeline.adapter, labels, pipeline.model.max_length, pipeline.training.seed, base)
    times = [time.perf_counter()]
    listener = Listener(lambda *_: None, lambda *_: None, lambda _: None)
    trained = train(spec, base.path, rows, held_out, pipeline.objective, pipeline.training, Path(run), listener)
    times.append(time.perf_counter())
    network = build(read_spec(trained.folder), base.path, trained.folder / TRAINABLE)
    scored = score(network, test, pipeline.evaluation, pipeline.training.precision)
    times.append(time.perf_counter())
    parts = {"before": times[0] - BEGAN, "train": times[1] - times[0], "evaluate": times[2] - times[1]}
    print(
        json.dumps({"seconds": parts, "fit": trained.seconds, "accuracy": scored.metrics["accuracy"], "weights": trained.weights})
    )


if __name__ == "__main__":
    main()
