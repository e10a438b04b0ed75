"""What a training's key is made of, held against what a training runs."""

import inspect
import sys

from configs.schema import Lora, Pipeline
from tasks.identity import executed_code, keys
from tasks.identity.choice import choice_of

PIPELINE = Pipeline(name="a", problem="text-classification", data={"source": "a.csv"}, model={"base": "b"})
ENTRIES = (
    ("tasks.learning.objectives.run", "train_network"),
    ("tasks.common.bases", "find_base"),  # this and the next are called by the fixture
    ("tasks.learning.network", "spec_of"),
)


def definition_of(qualified: str) -> str:
    """The definition that a function belongs to: its class, or itself where it is a method of a contract."""
    outer, _, rest = qualified.partition(".")
    parted = {"Measure", "Problem", "EncoderHead", "TextClassification", "Objective", "SupervisedObjective"}
    return f"{outer}.{rest.partition('.')[0]}" if outer in parted and not rest.startswith("__") else outer


def test_all_that_a_training_executes_is_in_its_key(train):
    """Watched while it runs: every function of the sciences that a training enters is among what its key was made of."""
    entered = set()

    def watch(frame, event, _):
        module, name = frame.f_globals.get("__name__", ""), definition_of(frame.f_code.co_qualname)
        function = frame.f_code.co_flags & inspect.CO_OPTIMIZED  # the body of a class is none: it runs as a module is imported
        if event == "call" and function and module.startswith(executed_code.SCIENCES) and not name.startswith(("<", "__")):
            entered.add(f"{module}.{name}")

    sys.setprofile(watch)
    try:
        train(epochs=1, adapter=Lora(r=4))
    finally:
        sys.setprofile(None)
    hashed = executed_code.executed_code(ENTRIES, choice_of(PIPELINE), keys.ROOT)
    assert "tasks.learning.fit.fit_network" in entered
    assert sorted(entered - hashed.keys()) == []
