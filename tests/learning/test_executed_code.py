"""What a training's key is made of, held against what a training runs."""

import sys

from configs.schema import Lora, Pipeline
from tasks import executed_code, identity

PIPELINE = Pipeline(name="a", problem="text-classification", data={"source": "a.csv"}, model={"base": "b"})
# called by a test to begin a training, not by the training
FIXTURES = frozenset({"tasks.learning.base.find_base", "tasks.learning.network.spec_of"})  # called to begin a training in a test


def test_all_that_a_training_executes_is_in_its_key(train):
    """Watched while it runs: every function of the sciences that a training enters is among what its key was made of."""
    entered = set()

    def watch(frame, event, _):
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.startswith(executed_code.SCIENCES) and not frame.f_code.co_qualname.startswith("<"):
            entered.add(f"{module}.{frame.f_code.co_qualname.partition('.')[0]}")

    sys.setprofile(watch)
    try:
        train(epochs=1, adapter=Lora(r=4))
    finally:
        sys.setprofile(None)
    told = executed_code.executed_code((("tasks.learning.supervised", "train"),), executed_code.choice_of(PIPELINE), identity.ROOT)
    assert "tasks.learning.fit.fit" in entered and not entered - told.keys() - FIXTURES
