"""Batch scoring with answers that take their time, to be killed: `python batch_child.py HOME INPUT OUTPUT SECONDS [KEEP]`."""

import sys
import time
from pathlib import Path

from tasks.serving.batch import partial_answers
from tasks.serving.batch.input_files import inspect_files
from tasks.serving.batch.scoring import score_files
from tasks.serving.batch.scoring_job import ScoringJob
from tasks.serving.batcher import Prediction
from tasks.traffic.log import open_traffic


def answers(texts):
    """What a text says depends on what it was asked together with, as the last digit of a real model's score does."""
    longest = max(map(len, texts))
    return [Prediction(text.lower(), f"{len(text) % 3} first", len(text) / longest) for text in texts]


def job(home, source, output, key="a" * 64, pause=0.0, **given):
    def slowly(texts):
        time.sleep(pause)
        return answers(texts)

    batch = given.pop("batch", None) or inspect_files(str(source), ("text",), "auto", 1000)
    traffic = open_traffic(Path(home), "tiny") if given.pop("logged", True) else None
    return ScoringJob(batch, key, "7", slowly, 64, given.pop("id", "ticket"), Path(output), traffic, 0.1)


if __name__ == "__main__":
    home, source, output, pause, *keep = sys.argv[1:]
    if keep:  # seconds from one writing of answers to the next; each group that is answered is told then
        partial_answers.KEEP_SECONDS = float(keep[0])
        whole = partial_answers.PartialAnswers._write
        partial_answers.PartialAnswers._write = lambda self: (whole(self), print("kept", flush=True))[0]
    work = job(home, source, output, pause=float(pause))
    done = score_files(work, lambda *_: print("part", flush=True))
    work.log.close()
    print(done)
