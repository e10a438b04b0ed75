"""Pairs of answers: from a column of the source, and from what people wrote in the place of an answer."""

import pandas as pd
import pytest

from configs.errors import InputError
from configs.schema import Data
from tasks.data.feedback import PREFIX, export_feedback, rows_of
from tasks.data.preparation.load import loaded_source
from tasks.data.preparation.prepare import prepare_rows
from tasks.data.preparation.split import SPLITS
from tasks.data.redaction.key import key_id, redaction_key
from tasks.data.redaction.redact import Redactor
from tasks.data.snapshot.snapshot import write_snapshot

from .conftest import tickets
from .test_feedback import answers, said

NAMES = {"id": "n", "prompt": "text", "completion": "label"}


def pairs(n=90, **changed):
    rows = [{**row, "label": f"a better answer to {row['n']}", "worse": f"a worse answer {i}"} for i, row in enumerate(tickets(n))]
    for place, values in changed.items():
        rows[int(place.removeprefix("row"))] |= values
    return rows


@pytest.fixture
def build(home):
    def _build(source, answered=None, heard=None, **given):
        data = Data(source=source, **NAMES, **given)
        key = redaction_key(home, {})
        rows = None if answered is None else rows_of(answered, heard, "text-generation", data.max_characters)
        made = export_feedback(rows, home / "feedback") if rows is not None else None
        with loaded_source(data, "text-generation", home, made.path if made else None, pairs=True) as raw:
            return write_snapshot(prepare_rows(raw, data, Redactor(data.redact.entities, key)), home, {}, key_id(key))

    return _build


def kept(snapshot):
    return pd.concat([snapshot.frame(name) for name in SPLITS]).set_index("id")


def dropped(snapshot):
    return {reason: found["rows"] for reason, found in snapshot.manifest["dropped"].items()}


def test_both_answers_are_redacted_and_stay_beside_each_other(build, write):
    snapshot = build(write(pairs(row7={"worse": "ask anna@example.org"})), rejected="worse")
    rows = kept(snapshot)
    assert len(rows) == 90 and (rows["rejected"] != rows["target"]).all()
    assert sum("<EMAIL_ADDRESS:" in text for text in rows["rejected"]) == 1 and not rows["rejected"].str.contains("anna").any()


def test_a_record_separator_in_an_answer_is_a_space_and_hides_no_number(build, write):
    marked = {"label": "call 030\x1e9018 2000", "worse": "call\x1enobody"}
    found = kept(build(write(pairs(row7=marked)), rejected="worse"))
    assert not found[["target", "rejected"]].map(lambda text: "\x1e" in text).to_numpy().any()
    assert found["target"].str.startswith("call <PHONE_NUMBER:").sum() == 1


def test_a_row_that_prefers_nothing_takes_no_part(build, write):
    nothing = pairs(row3={"worse": None}, row4={"worse": "  "}, row5={"label": "The Same", "worse": "the  same"})
    snapshot = build(write(nothing), rejected="worse")
    assert len(kept(snapshot)) == 87 and dropped(snapshot) == {"no other answer was rejected for its own": 3}


def test_other_rejected_answers_to_one_prompt_are_other_pairs_and_stay_in_one_split(build, write):
    rows = pairs()
    more = [{**row, "n": f"{row['n']}b", "worse": f"another {i}"} for i, row in enumerate(rows)]
    again = [{**row, "n": f"{row['n']}c"} for row in rows[:10]]
    snapshot = build(write([*rows, *more, *again]), rejected="worse")
    assert len(kept(snapshot)) == 180 and dropped(snapshot) == {"exact duplicate": 10}
    splits = kept(snapshot).groupby("text")["split"].nunique()
    assert (splits == 1).all()


def test_a_correction_was_preferred_to_the_answer_that_it_replaced(build, write):
    better = answers(*((f"a{i:03}", f"how is thing{i} done at place{i}", {"prediction": f"worse {i}"}) for i in range(60)))
    better.loc[1, "prediction"] = "ask anna@example.org"
    better.loc[20:, "audit"] = True
    heard = said(*((f"a{i:03}", f"the better answer number{i}", {"kind": "correction"}) for i in range(60)))
    heard.loc[2, "value"] = "WORSE 2"
    heard.loc[20:, "source"] = "audit"
    snapshot = build(write(pairs()), better, heard, feedback=True)
    rows = kept(snapshot)
    assert set(rows.index) == {f"{PREFIX}a{i:03}" for i in range(60) if i != 2}, "rows of the source have no rejected answer"
    assert rows.loc[f"{PREFIX}a007", ["target", "rejected"]].tolist() == ["the better answer number7", "worse 7"]
    assert "anna" not in rows.loc[f"{PREFIX}a001", "rejected"]
    assert set(rows.loc[rows["origin"] == "feedback", "split"]) == {"train"}, "users do not choose what is judged on"
    assert "test" in set(rows["split"]) and dropped(snapshot) == {"no other answer was rejected for its own": 91}


def test_without_any_pair_it_is_said_what_is_missing(build, write):
    with pytest.raises(InputError, match=r"data\.rejected: none of the 90 rows has another answer"):
        build(write(pairs()))


def test_rows_of_other_objectives_have_no_such_column(make, write):
    snapshot = make("text-generation", source=write(pairs()), **NAMES)
    assert "rejected" not in snapshot.frame("train").columns


@pytest.mark.parametrize("other", ["completion", "prompt"])
def test_answers_are_columns_of_their_own(other):
    with pytest.raises(ValueError, match=f"{other} and rejected are one column"):
        Data(source="a.csv", **NAMES, rejected=NAMES[other])


def test_both_answers_may_be_conversations_that_differ_in_their_last_turn_alone(home, write):
    def talk(number, said, word="thing"):
        return [{"role": "user", "content": f"how is {word} {number}?"}, {"role": "assistant", "content": f"{said} {number}"}]

    rows = [{"chosen": talk(n, "well"), "rejected": talk(n, "badly")} for n in range(40)]
    rows[3]["rejected"], rows[4]["rejected"], rows[5]["rejected"] = talk(3, "badly", "that"), talk(4, "so")[:1], "a plain text"
    data = Data(source=write(rows), messages="chosen", rejected="rejected")
    with loaded_source(data, "text-generation", home, pairs=True) as raw:
        found = kept(write_snapshot(prepare_rows(raw, data, None), home, {}, None))
        aside = sorted(raw.unusable.values())
    assert len(found) == 38 and found.loc["rows.jsonl#1", ["target", "rejected"]].tolist() == ["well 0", "badly 0"]
    assert found.loc["rows.jsonl#6", "rejected"] == "a plain text"
    assert "answers another conversation" in aside[0] and "has no turn of the assistant" in aside[1]
