"""From raw rows to a candidate: what stays, what goes, and why."""

import pandas as pd
import pytest
from pydantic import ValidationError

from configs.schema import Data
from tasks.data.preparation.load import loaded_source
from tasks.data.preparation.prepare import prepare_rows
from tasks.data.redaction.redact import Redactor

from .conftest import tickets

KEY = b"k" * 32


def candidate_of(home, problem="text-classification", quarantined=None, **given):
    """The kept rows as one frame, the reasons of those set aside, and the candidate's overlap."""
    data = Data(**given)
    redactor = Redactor(data.redact.entities, KEY) if data.redact.enabled else None
    with loaded_source(data, problem, home) as raw:
        made = prepare_rows(raw, data, redactor, quarantined)
        return pd.concat(made.frames(7), ignore_index=True), made.quarantined(), made


def test_rows_come_out_normalised_redacted_and_with_a_split(home, write):
    rows = [*tickets(40), {"n": "x", "text": "  mail\u00a0me:  a@b.com ", "label": " class 0 "}]
    kept, aside, made = candidate_of(home, source=write(rows), id="n")
    row = kept[kept["id"] == "x"].iloc[0]
    assert row["text"].startswith("mail me: <EMAIL_ADDRESS:") and row["target"] == "class 0"
    assert set(kept["split"]) == {"train", "validation", "test"} and not aside
    assert made.redacted == {"EMAIL_ADDRESS": 1}


@pytest.mark.parametrize("text", ["\u200d", "\ufe0f", "\u3164 \u2800", "\u034f\u200b"])
def test_a_row_whose_text_shows_nothing_is_set_aside(home, write, text):
    _, aside, _ = candidate_of(home, source=write([*tickets(20), {"n": "x", "text": text, "label": "a"}]), id="n")
    assert aside == {"x": "its text is empty"}


def test_rows_without_text_or_label_are_set_aside_with_the_reason(home, write):
    rows = [*tickets(20), {"n": "x", "text": " \u200b ", "label": "a"}, {"n": "y", "text": "hello", "label": None}]
    _, aside, _ = candidate_of(home, source=write(rows), id="n")
    assert aside == {"x": "its text is empty", "y": "its target is empty"}


def test_the_rows_a_contract_named_are_set_aside_with_its_reason(home, write):
    kept, aside, _ = candidate_of(home, source=write(tickets(20)), id="n", quarantined={"t00003": "too short", "nobody": "?"})
    assert aside == {"t00003": "too short"} and "t00003" not in set(kept["id"])


def test_equal_texts_with_different_labels_are_set_aside_naming_both(home, write):
    rows = [*tickets(20), {"n": "x", "text": "My card", "label": "lost"}, {"n": "y", "text": "my  CARD", "label": "blocked"}]
    _, aside, _ = candidate_of(home, source=write(rows), id="n")
    assert aside == dict.fromkeys("xy", "the same text is labelled `blocked`, `lost`")


def test_one_prompt_may_have_many_completions(home, write):
    rows = [{"prompt": "Name a colour.", "completion": c} for c in ("red", "blue", "blue")]
    kept, aside, _ = candidate_of(home, "text-generation", source=write(rows))
    assert sorted(kept["target"]) == ["blue", "red"] and not aside and kept["split"].nunique() == 1


def test_completions_are_redacted_and_keep_their_layout(home, write):
    rows = [{"prompt": "Who?", "completion": "a:\n    a@b.com"}]
    kept, _, _ = candidate_of(home, "text-generation", source=write(rows))
    assert kept["target"][0].startswith("a:\n    <EMAIL_ADDRESS:")


def test_the_better_redactor_moves_no_row(home, write):
    rows = [{**row, "text": f"{row['text']} +44 20 7946 {1000 + i}"} for i, row in enumerate(tickets(60))]
    source = write(rows)
    splits = [
        candidate_of(home, source=source, id="n", deduplicate={"enabled": False}, redact=redact)[0].set_index("id")["split"]
        for redact in ({"enabled": False}, {"entities": ["EMAIL_ADDRESS"]}, {})
    ]
    assert splits[0].equals(splits[1]) and splits[0].equals(splits[2])


def test_a_group_is_never_split_and_its_name_is_redacted(home, write):
    rows = [{**row, "who": f"c{i // 5}@example.com"} for i, row in enumerate(tickets(100))]
    kept, _, _ = candidate_of(home, source=write(rows), group="who")
    assert (kept.groupby("group")["split"].nunique() == 1).all()
    assert kept["group"].str.startswith("<EMAIL_ADDRESS:").all() and kept["group"].nunique() == 20


def test_by_time_the_newest_rows_are_test_and_rows_without_time_are_set_aside(home, write):
    rows = [*tickets(60), {"n": "x", "text": "no time at all", "label": "class 0", "when": None}]
    kept, aside, _ = candidate_of(home, source=write(rows), id="n", time="when", split={"by": "time"})
    ends = kept.groupby("split")["time"].agg(["min", "max"])
    assert ends["max"]["train"] < ends["min"]["validation"] <= ends["max"]["validation"] < ends["min"]["test"]
    assert aside == {"x": "it has no time"}


def test_a_given_test_set_is_used_as_given_and_validation_is_carved_from_the_rest(home, write):
    rows = tickets(80)
    test = [*rows[:5], *rows[:5]]
    kept, _, made = candidate_of(home, source=write(rows), test=write(test, "test.jsonl"))
    assert (kept["split"] == "test").sum() == 10 and (kept["split"] == "validation").sum() > 0
    assert made.overlap.test_rows_with_a_neighbour == 10 and (kept["split"] != "test").sum() == 80


def test_a_split_column_is_obeyed(home, write):
    rows = [{**row, "part": ("train", "validation", "test")[i % 3]} for i, row in enumerate(tickets(30))]
    kept, _, _ = candidate_of(home, source=write(rows), split={"by": "given", "column": "part"})
    assert kept["split"].value_counts().to_dict() == {"train": 10, "validation": 10, "test": 10}


def test_fractions_that_leave_nothing_are_refused(home, write):
    with pytest.raises(ValidationError, match="nothing is left to train on"):
        candidate_of(home, source=write(tickets(10)), split={"by": "hash", "test": 0.6, "validation": 0.45})


def test_a_row_over_the_budget_of_its_search_is_set_aside_for_that(home, write):
    from tasks.data.redaction.redact import OVER_BUDGET

    over = "030 1234567 ~02079460958 123-45-6789\u0663(x" * 100
    rows = [*tickets(30), {"n": "x", "text": over, "label": "class 0"}, {"n": "y", "text": "fine", "label": "class 0", "who": over}]
    kept, aside, _ = candidate_of(home, source=write(rows), id="n", group="who")
    assert aside == dict.fromkeys("xy", OVER_BUDGET) and not {"x", "y"} & set(kept["id"])
    rows = [{"prompt": f"say {i} of it", "completion": over if i == 3 else f"answer {i}"} for i in range(8)]
    _, aside, _ = candidate_of(home, "text-generation", source=write(rows, "pairs.jsonl"))
    assert list(aside.values()) == [OVER_BUDGET]
