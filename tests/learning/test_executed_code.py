"""What a training's key is made of, held against what a training runs."""

import sys

from configs.schema import Lora, Pipeline
from tasks.identity import executed_code, keys

PIPELINE = Pipeline(name="a", problem="text-classification", data={"source": "a.csv"}, model={"base": "b"})
ENTRIES = (
    ("tasks.learning.objectives.supervised", "train_supervised"),
    ("tasks.common.bases", "find_base"),  # this and the next are called by the fixture
    ("tasks.learning.network", "spec_of"),
)


def test_all_that_a_training_executes_is_in_its_key(train):
    """Watched while it runs: every function of the sciences that a training enters is among what its key was made of."""
    entered = set()

    def watch(frame, event, _):
        module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_qualname.partition(".")[0]
        if event == "call" and module.startswith(executed_code.SCIENCES) and not name.startswith(("<", "__")):
            entered.add(f"{module}.{name}")

    sys.setprofile(watch)
    try:
        train(epochs=1, adapter=Lora(r=4))
    finally:
        sys.setprofile(None)
    hashed = executed_code.executed_code(ENTRIES, executed_code.choice_of(PIPELINE), keys.ROOT)
    assert "tasks.learning.fit.fit_network" in entered
    assert sorted(entered - hashed.keys()) == []
