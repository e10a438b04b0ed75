"""One peer's verdicts on windows of embeddings, in the peer's own environment: `python drift_peers.py NAME IN.npz OUT.json SECONDS`.

IN holds `reference` (n, d) and `window_0`, `window_1`, ... Each peer decides as its own documentation has it, with its defaults. Written to OUT: one
[alarm, cpu seconds, what it said] per window, as many as the seconds allow.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

Verdict = tuple[bool, str]
Judge = Callable[[np.ndarray], Verdict]


def evidently(reference: np.ndarray) -> Judge:
    """The data drift preset: a test per column, drift where half of the columns drift."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    names = [f"e{i}" for i in range(reference.shape[1])]

    def frame(rows: np.ndarray) -> object:
        return Dataset.from_pandas(pd.DataFrame(rows, columns=names), data_definition=DataDefinition(numerical_columns=names))

    held = frame(reference)

    def judge(window: np.ndarray) -> Verdict:
        found = Report([DataDriftPreset()]).run(frame(window), held).dict()
        share = float(found["metrics"][0]["value"]["share"])
        return share >= 0.5, f"{share:.1%} of columns"

    return judge


def alibi_detect(reference: np.ndarray) -> Judge:
    """MMD with 100 permutations, at 0.05."""
    from alibi_detect.cd import MMDDrift

    detector = MMDDrift(reference, backend="pytorch", p_val=0.05, n_permutations=100)

    def judge(window: np.ndarray) -> Verdict:
        found = detector.predict(window)["data"]
        return bool(found["is_drift"]), f"p = {float(found['p_val']):.2f}"

    return judge


def nannyml(reference: np.ndarray) -> Judge:
    """The domain classifier: drift where its AUROC lies outside 0.45 to 0.65."""
    import pandas as pd
    from nannyml.drift.multivariate.domain_classifier import DomainClassifierCalculator

    names = [f"e{i}" for i in range(reference.shape[1])]
    calculator = DomainClassifierCalculator(feature_column_names=names, chunk_size=len(reference))
    calculator.fit(pd.DataFrame(reference, columns=names))

    def judge(window: np.ndarray) -> Verdict:
        found = calculator.calculate(pd.DataFrame(window, columns=names)).filter(period="analysis").to_df()
        row = found["domain_classifier_auroc"].iloc[0]
        return bool(row["alert"]), f"AUROC {float(row['value']):.2f}"

    return judge


def frouros(reference: np.ndarray) -> Judge:
    """MMD with 100 permutations, at 0.05."""
    from frouros.callbacks import PermutationTestDistanceBased
    from frouros.detectors.data_drift import MMD

    detector = MMD(callbacks=[PermutationTestDistanceBased(num_permutations=100, num_jobs=1, random_state=0, name="permutation")])
    detector.fit(X=reference)

    def judge(window: np.ndarray) -> Verdict:
        p = float(detector.compare(X=window)[1]["permutation"]["p_value"])
        return p <= 0.05, f"p = {p:.2f}"

    return judge


PEERS: dict[str, Callable[[np.ndarray], Judge]] = {
    "evidently": evidently,
    "alibi-detect": alibi_detect,
    "nannyml": nannyml,
    "frouros": frouros,
}


def processor() -> float:
    """Seconds of processor time of this process and of the children it has waited for: Frouros permutes in those."""
    return sum(os.times()[:4])


def main() -> None:
    name, source, target, seconds = sys.argv[1:]
    warnings.simplefilter("ignore")
    with np.load(source) as held:
        reference, windows = held["reference"], [held[f"window_{i}"] for i in range(len(held.files) - 1)]
    began, found = processor(), []
    judge = PEERS[name](reference)
    judge(windows[0][:64])  # what is loaded or compiled at the first call is no part of the second's time
    for window in windows:
        if found and processor() - began > float(seconds):
            break
        start = processor()
        alarm, said = judge(window)
        found.append([alarm, processor() - start, said])
        Path(target).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
