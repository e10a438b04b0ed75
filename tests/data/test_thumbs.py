"""Thumbs: the column that says which answers are good, as it is read, prepared and refused."""

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
from tasks.data.thumbs import read_thumb

from .conftest import tickets
from .test_feedback import answers, said

NAMES = {"id": "n", "prompt": "text", "completion": "label", "thumb": "liked"}


def marked(n=90, **changed):
    rows = [{**row, "label": f"an answer to {row['n']}", "liked": "yes" if i % 3 else "no"} for i, row in enumerate(tickets(n))]
    for place, values in changed.items():
        rows[int(place.removeprefix("row"))] |= values
    return rows


@pytest.fixture
def build(home):
    def _build(source, answered=None, heard=None, **given):
        data = Data(source=source, **{**NAMES, **given})
        key = redaction_key(home, {})
        rows = None if answered is None else rows_of(answered, heard, "text-generation", data.max_characters)
        made = export_feedback(rows, home / "feedback") if rows is not None else None
        with loaded_source(data, "text-generation", home, made.path if made else None) as raw:
            return write_snapshot(prepare_rows(raw, data, Redactor(data.redact.entities, key)), home, {}, key_id(key))

    return _build


def kept(snapshot):
    return pd.concat([snapshot.frame(name) for name in SPLITS]).set_index("id")


@pytest.mark.parametrize("words", [("true", "false"), ("1", "0"), ("1.0", "0.0"), ("YES", "No "), ("up", "down")])
def test_a_thumb_has_one_spelling_whatever_the_file_writes(words):
    assert [read_thumb(word) for word in words] == ["up", "down"]


def test_thumbs_stay_beside_their_answers(build, write):
    rows = kept(build(write(marked(row4={"liked": "1"}, row5={"liked": "False"}))))
    assert len(rows) == 90 and set(rows["thumb"]) == {"up", "down"}
    assert rows["thumb"].value_counts().to_dict() == {"up": 59, "down": 31}


def test_an_answer_without_a_thumb_is_set_aside_with_the_reason(build, write):
    snapshot = build(write(marked(row4={"liked": None}, row5={"liked": "maybe"})))
    assert len(kept(snapshot)) == 88
    reasons = set(pd.read_parquet(snapshot.path / "quarantine.parquet")["reason"])
    assert any("`liked` is empty" in reason for reason in reasons) and any("is neither a thumb up" in reason for reason in reasons)


def test_answers_to_one_prompt_are_rows_of_their_own_and_stay_in_one_split(build, write):
    rows = marked()
    more = [{**row, "n": f"{row['n']}b", "label": f"another answer {i}", "liked": "no"} for i, row in enumerate(rows)]
    found = kept(build(write([*rows, *more])))
    assert len(found) == 180 and (found.groupby("text")["split"].nunique() == 1).all()


def test_an_answer_that_was_found_good_and_bad_is_set_aside(build, write):
    rows = marked()
    snapshot = build(write([*rows, {**rows[1], "n": "again", "liked": "no"}, {**rows[2], "n": "same"}]))
    assert len(kept(snapshot)) == 89, "both of the one, and a copy of the other"
    assert set(pd.read_parquet(snapshot.path / "quarantine.parquet")["reason"]) == {
        "the same answer to the same prompt has a thumb up and a thumb down"
    }


@pytest.mark.parametrize(("liked", "kind", "other"), [("yes", "up", "down"), ("no", "down", "up")])
def test_thumbs_of_one_kind_are_refused(build, write, liked, kind, other):
    rows = [{**row, "liked": liked} for row in marked()]
    with pytest.raises(InputError, match=rf"all \d+ train rows have a thumb {kind}.*add answers with a thumb {other}"):
        build(write(rows))


def test_what_was_written_in_the_place_of_an_answer_has_a_thumb_up(build, write):
    better = answers(*((f"a{i:03}", f"how is thing{i} done at place{i}", {"prediction": f"worse {i}"}) for i in range(20)))
    heard = said(*((f"a{i:03}", f"the better answer number{i}", {"kind": "correction"}) for i in range(20)))
    rows = kept(build(write(marked()), better, heard, feedback=True))
    assert rows.loc[f"{PREFIX}a007", ["target", "thumb"]].tolist() == ["the better answer number7", "up"]
