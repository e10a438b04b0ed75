"""One spelling of a label whatever the file, and which labels differ in spelling alone."""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from itertools import combinations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as some

from configs.errors import InputError
from configs.schema import Data
from tasks.data.labels import by_fold, canonical_label, fold_label, respell_label
from tasks.data.preparation.load import load_source

SPELLINGS = {
    "2": [2, 2.0, "2", "2.0", "2.00", Decimal("2.00"), np.float64(2), np.int64(2), " 2 ", "2e+00", "2.0E0"],
    "-2": [-2.0, "-2.0"],
    "0": [0, 0.0, -0.0, "-0.0", "0.0"],
    "1000": [1e3, "1e+03", "1000.0"],
    "1.5": [1.5, "1.5", Decimal("1.50"), np.float32(1.5)],
    "0.1": [0.1, np.float32(0.1)],
    "true": [True, np.bool_(True), "true", "True", "TRUE"],
    "false": [False, "false", "False", "FALSE"],
    "9007199254740992": [2**53, float(2**53)],
    "9007199254740993": [2**53 + 1],
    "1e+16": [1e16, "1e+16", "10000000000000000.0"],
    "1e+300": [1e300, "1e+300"],
    "caf\u00e9 au lait": ["cafe\u0301 au  lait", " caf\u00e9\u00a0au lait"],
}
AS_THEY_ARE = ["007", "007.0", "1.50", "1.0.0", "1e3", "2.", "+2.0", "tRUE", "nan", "1e+999", "9" * 400 + ".0", "Yes", "C++"]
EMPTY = [None, "", "  ", float("nan"), np.float64("nan"), Decimal("NaN"), Decimal("sNaN")]


@pytest.mark.parametrize("label", SPELLINGS)
def test_a_label_is_spelled_alike_whatever_writes_it(label):
    assert {canonical_label(value) for value in SPELLINGS[label]} == {label}


@pytest.mark.parametrize("text", AS_THEY_ARE)
def test_a_text_that_may_be_a_code_stays_what_it_is(text):
    assert canonical_label(text) == text


def test_an_empty_cell_is_no_label():
    assert {canonical_label(value) for value in EMPTY} == {None}


def test_a_label_is_one_text():
    assert (canonical_label("red\x1eblue"), canonical_label("\x1e")) == ("red blue", None)


@given(some.one_of(some.text(max_size=12), some.floats(), some.integers(), some.booleans(), some.decimals(allow_nan=False)))
def test_a_canonical_label_is_its_own_spelling(value):
    label = canonical_label(value)
    assert label is None or canonical_label(label) == label


@given(some.floats(min_value=-(2.0**53), max_value=2.0**53).map(round))
def test_an_integral_float_is_the_integer(number):
    assert canonical_label(float(number)) == canonical_label(number) == str(number)


def table(path, column, kind):
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"create table t (text text, label {kind})")
        database.executemany("insert into t values (?, ?)", [(f"text {n}", value) for n, value in enumerate(column)])
        database.commit()
    return f"sqlite:///{path}/t"


def write(tmp_path, how, column):
    """One column of labels as that format holds it: the address of the source."""
    texts = [f"text {n}" for n in range(len(column))]
    place = tmp_path / f"rows.{'parquet' if how.startswith('parquet') else how}"
    if how == "csv":
        pd.DataFrame({"text": texts, "label": column}).to_csv(place, index=False)
    elif how == "jsonl":
        place.write_text("".join(json.dumps({"text": t, "label": v}) + "\n" for t, v in zip(texts, column, strict=True)))
    else:
        kind = how.partition(" ")[2]
        pq.write_table(pa.table({"text": texts, "label": pa.array(column, type=pa.type_for_alias(kind) if kind else None)}), place)
    return str(place)


@pytest.mark.parametrize("how", ["csv", "jsonl", "parquet", "parquet float", "parquet double", "parquet int8"])
def test_whole_numbers_are_the_same_classes_in_every_format(tmp_path, how):
    column = [0, 1, 2, 2] if "int" in how else [0.0, 1.0, 2.0, 2.0]
    raw = load_source(Data(source=write(tmp_path, how, column)), "text-classification", tmp_path)
    assert list(raw.rows["target"]) == ["0", "1", "2", "2"]


@pytest.mark.parametrize("how", ["csv", "jsonl", "parquet"])
def test_truth_is_spelled_alike_in_every_format(tmp_path, how):
    raw = load_source(Data(source=write(tmp_path, how, [True, False])), "text-classification", tmp_path)
    assert list(raw.rows["target"]) == ["true", "false"]


def test_floats_of_few_bits_and_numbers_of_a_table_are_written_as_they_were_meant(tmp_path):
    single = load_source(Data(source=write(tmp_path, "parquet float", [0.1, 2.5])), "text-classification", tmp_path)
    assert list(single.rows["target"]) == ["0.1", "2.5"]
    address = table(tmp_path / "t.db", [2, 1.5], "numeric(3, 2)")
    assert sorted(load_source(Data(source=address), "text-classification", tmp_path).rows["target"]) == ["1.5", "2"]


def test_test_rows_in_a_file_of_their_own_have_the_same_classes(tmp_path):
    (tmp_path / "test").mkdir()
    source, test = write(tmp_path, "csv", [0, 1]), write(tmp_path / "test", "parquet double", [0.0, 1.0])
    raw = load_source(Data(source=source, test=test), "text-classification", tmp_path)
    assert sorted(raw.rows["target"]) == ["0", "0", "1", "1"]


def test_a_completion_is_no_label(tmp_path):
    data = Data(source=write(tmp_path, "csv", ["2.0", "True"]), prompt="text", completion="label")
    assert list(load_source(data, "text-generation", tmp_path).rows["target"]) == ["2.0", "True"]


def test_a_label_that_is_no_label_is_an_error_with_its_row(tmp_path):
    with pytest.raises(InputError, match="row 2: `label` holds a dict"):
        load_source(Data(source=write(tmp_path, "jsonl", [1, {"a": 1}])), "text-classification", tmp_path)


# --- spelling alone ---------------------------------------------------------------------------------------------------------

ALIKE = [
    ("Billing", "billing", "BILLING "),
    ("log in", "Log-in", "login", "LOG_IN", "log\u2011in", "log\u200bin"),
    ("N/A", "na", "n.a."),
    ("Q&A", "QA"),
    ("\ufb01x", "fix", "\uff46\uff49\uff58"),
    ("cafe\u0301", "caf\u00e9"),
    ("stra\u00dfe", "STRASSE"),
    ("\u22121", "-1", "(-1)"),
    ("1 2", "1-2", "1_2"),
    ("level 1", "level-1", "Level1"),
    ("billing - refund", "billing/refund", "billing|refund"),
    ("Where is it?", "where is it"),
    ("spam!", "spam", "\u201cspam\u201d"),
]
OTHERS = [
    "1", "-1", "+1", "10", "1.5", "15", "1-5", "1,5", "1:5", "1/5", ".5", "5", "-.5", "5%", "$5", "<5", ">5", "C", "C++", "C#",
    "C--", "A",
    "A-", "A+", "A*", "!spam", "spam", "not spam", "score -1", "score 1", "LRB", "-LRB-", "PRP", "PRP$", "+", "-", "?", "!",
    ".", ",", ":)", ":(", "\u00e9", "e", "\U0001f600", "\U0001f622",
]  # fmt: skip


@pytest.mark.parametrize("labels", ALIKE)
def test_case_spacing_punctuation_and_unicode_form_are_spelling(labels):
    assert len({fold_label(label) for label in labels}) == 1


def test_signs_symbols_and_points_within_numbers_are_meaning():
    for one, other in combinations(OTHERS, 2):
        assert fold_label(one) != fold_label(other), (one, other)


def test_a_label_is_respelled_only_where_one_label_can_be_meant():
    folds = by_fold(["billing", "log in", "Log-in", "C", "C++"])
    assert respell_label("Billing!", folds) == "billing" and respell_label("c++", folds) == "C++"
    assert respell_label("LOGIN", folds) == "LOGIN" and respell_label("shipping", folds) == "shipping"
