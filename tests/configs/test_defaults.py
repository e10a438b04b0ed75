"""Keys leave out what stands at its default, so a changed default must raise its section's number: a run would be found as done."""

import json
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined, to_jsonable_python

from configs import schema

RECORD = Path(__file__).with_name("defaults.json")  # section -> its number, and the default of each setting
SECTIONS = (
    schema.HashSplit, schema.TimeSplit, schema.GivenSplit, schema.Redact, schema.Deduplicate, schema.Window, schema.Data,
    schema.Languages, schema.Model, schema.Full, schema.Lora, schema.Supervised, schema.Training, schema.Decoding,
    schema.Evaluation, schema.Guards, schema.Gate, schema.Contract, schema.Pipeline,
)  # fmt: skip


def defaults_of(section):
    """Setting -> default, as JSON; those of a section within a section are its own affair."""
    found = {}
    for name, info in section.model_fields.items():
        default = info.get_default(call_default_factory=True)
        if isinstance(default, schema.Frozen):
            found[name] = type(default).__name__
        elif default is not PydanticUndefined:
            found[name] = to_jsonable_python(default)
    return found


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_a_default_changes_with_its_sections_number(section):
    earlier, now = json.loads(RECORD.read_text())[section.__name__], defaults_of(section)
    changed = [name for name, value in earlier["defaults"].items() if name in now and now[name] != value]
    number = section.DEFAULTS
    assert not changed or number > earlier["number"], f"raise DEFAULTS of {section.__name__}: {changed} changed"
    assert now == earlier["defaults"] and number == earlier["number"], (
        "write it down: PYTHONPATH=tests/configs python -c 'import test_defaults; test_defaults.write()'"
    )


def write():
    """Write the defaults down as they are now."""
    record = {section.__name__: {"number": section.DEFAULTS, "defaults": defaults_of(section)} for section in SECTIONS}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
