"""What the flow is held against: train and evaluate, with the same code on the same rows, and nothing else.

python -m benchmarks.bare CONFIG SNAPSHOT RUN [key=value ...]
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

BEGAN = time.perf_counter()


def main() -> None:
    """Read a snapshot's rows, fit, score the test rows, fit and score the baselines; print seconds by part."""
    import pandas as pd

    from configs.load import load_pipeline
    from configs.schema import Full
    from tasks.common.bases import find_base
    from tasks.learning.fit import Listener
    from tasks.learning.network import TRAINABLE, build_network, read_spec, spec_of
    from tasks.learning.objectives.run import TrainingMaterial, train_network
    from tasks.learning.scoring import fit_lexical, score_network, score_opponents, scoring_of
    from tasks.problems import problem_of

    config, snapshot, run, *overrides = sys.argv[1:]
    pipeline = load_pipeline(Path(config), overrides)
    rows, held_out, test = (pd.read_parquet(Path(snapshot) / f"{name}.parquet") for name in ("train", "validation", "test"))
    base = find_base(pipeline.model.base, pipeline.model.revision, pipeline.model.sha256)
    labels = tuple(sorted(set(rows["target"])))
    spec = spec_of(pipeline.problem, pipeline.adapter, labels, pipeline.model.max_length, pipeline.training.seed, base)
    times = [time.perf_counter()]
    listener = Listener(lambda *_: None, lambda *_: None, lambda _: None)
    trained = train_network(
        TrainingMaterial(spec, base.path, rows, held_out), pipeline.last_objective, pipeline.training, Path(run), listener
    )
    times.append(time.perf_counter())
    network = build_network(read_spec(trained.folder), base.path, trained.folder / TRAINABLE)
    measure, how = problem_of(pipeline.problem), scoring_of(pipeline.evaluation, pipeline.training.precision)
    scored = score_network(measure, network, test, how)
    times.append(time.perf_counter())
    cheap = fit_lexical(
        pipeline.last_objective, pipeline.problem, [Path(snapshot) / "train.parquet"], Path(snapshot) / "test.parquet"
    )
    untuned = build_network(replace(spec, adapter=Full().model_dump(mode="json")), base.path)
    score_opponents(measure, untuned, rows, test, cheap, how)
    times.append(time.perf_counter())
    names = ("before", "train", "evaluate", "baselines")
    parts = {name: end - begun for name, begun, end in zip(names, [BEGAN, *times], times, strict=False)}
    print(
        json.dumps({"seconds": parts, "fit": trained.seconds, "accuracy": scored.metrics["accuracy"], "weights": trained.weights})
    )


if __name__ == "__main__":
    main()
