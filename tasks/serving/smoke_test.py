"""What a released model answered to a few texts, stored with it: a later load checks that it still answers so."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from configs.errors import InfraError
from configs.schema import facts_of
from tasks.common.files import MANIFEST, atomic_folder
from tasks.learning.device import Numerics
from tasks.learning.network import read_spec
from tasks.problems.types import NetworkAnswer
from tasks.serving.batcher import AnsweringModel, Prediction

CHECK = "check.json"
ROWS = 16
EXACT = 1e-4  # of a probability in fp32, whatever else is in the batch
ROUGH = 0.05  # in bf16, or on another device than the release's
STRAYS = 8  # where rounding decides, one row in so many may tip to another answer


def write_check(folder: Path, texts: Sequence[str], answers: Sequence[NetworkAnswer], how: Numerics) -> None:
    """Put the first answers into a sealed artifact folder; the same again changes nothing."""
    check = {
        "texts": list(texts[:ROWS]),
        "predictions": [answer.prediction for answer in answers[:ROWS]],
        "scores": [answer.score for answer in answers[:ROWS]],
        "numerics": asdict(how),
    }
    with atomic_folder(folder) as aside:
        for file in folder.iterdir():
            if file.name != MANIFEST:
                os.link(file, aside / file.name)
        (aside / CHECK).unlink(missing_ok=True)  # or what was linked would be written
        (aside / CHECK).write_text(json.dumps(check, ensure_ascii=False, indent=1))


def check_answers(model: AnsweringModel, folder: Path, how: Numerics) -> str:
    """Ask the texts of the release again; a sentence on how it went, or InfraError where the answers differ."""
    file = folder / CHECK
    if not file.is_file():
        return "not checked: it was released without answers to compare"
    check, spec = json.loads(file.read_text()), read_spec(folder)
    then, texts = Numerics(**check["numerics"]), check["texts"]
    rough = how.dtype != "fp32" or (how.device, how.dtype) != (then.device, then.dtype)
    allowed = len(texts) // STRAYS if rough else 0
    tolerance, unit = ROUGH if rough else EXACT, spec.spread if facts_of(spec.problem).is_number else None
    strays, gap = _count_differences(model.answers(texts), check, tolerance, unit)
    if strays > allowed:
        raise InfraError(
            f"it answers {strays} of {len(texts)} texts otherwise than at its release (scores differ by up to {gap:.2g}): "
            "its files are not what was released; roll back, or release it anew"
        )
    return f"checked: {len(texts) - strays} of {len(texts)} answers as at release" + (f", scores within {gap:.1g}" if gap else "")


def _count_differences(
    predictions: Sequence[Prediction | None], check: dict[str, Any], tolerance: float, unit: float | None
) -> tuple[int, float]:
    """How many answers differ, and the largest gap between scores of equal answers; `unit`: answers are numbers, compared in it."""
    scores = check["scores"] or [None] * len(predictions)
    strays, gap = abs(len(predictions) - len(check["texts"])), 0.0
    for now, prediction, score in zip(predictions, check["predictions"], scores, strict=False):
        if now is None:
            strays += 1
            continue
        apart = 0.0 if score is None or now.score is None else abs(now.score - score)
        if unit is not None:
            apart = abs(float(now.prediction) - float(prediction)) / unit
        if (unit is None and now.prediction != prediction) or not apart <= tolerance:
            strays += 1
        else:
            gap = max(gap, apart)
    return strays, gap
