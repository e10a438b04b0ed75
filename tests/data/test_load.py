"""Any source as canonical rows, or an error that names the place."""

import json
import tracemalloc

import pandas as pd
import pytest

from configs.errors import InputError
from configs.schema import Data
from tasks.data.preparation.load import loaded_source

ROWS = [{"text": f"ticket {i}", "label": "a" if i % 2 else "b"} for i in range(6)]


def csv(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def frame(home, problem="text-classification", **data):
    with loaded_source(Data(**data), problem, home) as raw:
        return pd.concat(raw.frames(4), ignore_index=True)


def test_csv_jsonl_and_parquet_give_the_same_rows(tmp_path):
    table = pd.DataFrame(ROWS)
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    table.to_parquet(tmp_path / "a.parquet")
    frames = [frame(tmp_path, source=str(tmp_path / f"a.{end}")) for end in ("csv", "jsonl", "parquet")]
    assert frames[0]["text"].tolist() == [row["text"] for row in ROWS]
    for end, other in zip(("jsonl", "parquet"), frames[1:], strict=True):
        assert other.drop(columns="id").equals(frames[0].drop(columns="id"))
        assert other["id"].tolist() == [f"a.{end}#{i}" for i in range(1, 7)]


def test_a_local_hub_data_set_is_a_source(tmp_path):
    (tmp_path / "set").mkdir()
    pd.DataFrame(ROWS).to_csv(tmp_path / "set" / "train.csv", index=False)
    assert len(frame(tmp_path, source=f"hf://{tmp_path}/set/train")) == 6


def test_columns_are_found_by_the_names_the_config_gives(tmp_path):
    csv(tmp_path / "a.csv", "n,q,kind,when,who,region\n7,hello,x,2026-01-31T08:15:00+01:00,anna,\n")
    row = frame(
        tmp_path, source=str(tmp_path / "a.csv"), id="n", text="q", label="kind", time="when", group="who", slices=("region",)
    ).iloc[0]
    assert row["id"] == "7" and row["group"] == "anna" and pd.isna(row["slice_region"])
    assert row["time"] == pd.Timestamp("2026-01-31T07:15:00Z")


def test_prompts_and_completions_are_text_and_target(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"prompt": ["One.", "Two."], "completion": 4}) + "\n\n")
    row = frame(tmp_path, "text-generation", source=str(tmp_path / "a.jsonl")).iloc[0]
    assert (row["text"], row["target"]) == ("One. Two.", "4")


def test_words_that_look_like_nothing_or_like_numbers_stay_as_they_are(tmp_path):
    source = csv(tmp_path / "a.csv", 'text,label\nNA,null\n"a\nb",007\n')
    found = frame(tmp_path, source=source)
    assert found["text"].tolist() == ["NA", "a\nb"] and found["target"].tolist() == ["null", "007"]


def test_an_empty_cell_is_null_and_no_crash(tmp_path):
    found = frame(tmp_path, source=csv(tmp_path / "a.csv", "text,label\n,x\nhello,\n"))
    assert found["text"].isna().tolist() == [True, False] and found["target"].isna().tolist() == [False, True]


def test_a_label_that_is_a_persons_address_is_refused_unless_it_is_to_be_kept(tmp_path):
    source = csv(tmp_path / "a.csv", "text,label\none,billing\ntwo,anna.b@example.com\nthree,jo@example.com\n")
    with pytest.raises(InputError, match=r"data.label: 2 of 3 labels hold personal data \(EMAIL_ADDRESS\)") as refused:
        frame(tmp_path, source=source)
    assert "example.com" not in str(refused.value)
    assert frame(tmp_path, source=source, redact={"labels": "keep"})["target"].tolist()[1] == "anna.b@example.com"
    assert len(frame(tmp_path, source=source, redact={"enabled": False})) == 3


def test_data_test_gives_its_rows_their_split(tmp_path):
    csv(tmp_path / "test.csv", "text,label\nhello,x\n")
    found = frame(tmp_path, source=csv(tmp_path / "a.csv", "text,label\nhi,x\n"), test=str(tmp_path / "test.csv"))
    assert found["split"].tolist() == ["train", "test"]


def test_only_rows_in_the_window_take_part(tmp_path):
    source = csv(tmp_path / "a.csv", "text,label,t\na,x,2026-01-01\nb,x,2026-02-01\nc,x,2026-03-01\n")
    found = frame(tmp_path, source=source, time="t", window={"start": "2026-01-15", "end": "2026-03-01"})
    assert found["text"].tolist() == ["b"]
    with pytest.raises(InputError, match="none of the 3 rows"):
        frame(tmp_path, source=source, time="t", window={"start": "2027-01-01"})


def test_nothing_is_left_in_the_home(tmp_path):
    frame(tmp_path / "home", source=csv(tmp_path / "a.csv", "text,label\na,x\n"))
    assert not list((tmp_path / "home" / "work").iterdir())


BAD = {
    "empty file": (b"", "is empty"),
    "header alone": (b"text,label\n", "no rows"),
    "missing column": (b"text,kind\na,b\n", "no column `label`"),
    "wrong encoding": ("text,label\na,b\ncaf\xe9,x\n".encode("latin-1"), "line 3: byte 0xe9 is not UTF-8"),
    "too many fields": (b'text,label\n"a\nb",x\nc,d,e\n', "line 4: has 3 fields where the header has 2"),
    "open quote": (b'text,label\n"a,b\nc,d\n', r"line 2 \(read on to line 3\): unexpected end"),
    "stray quote": (b'text,label\n"a"b,c\n', "line 2"),
    "long text": (b"text,label\n" + b"x" * 100_001 + b",a\n", "row 1: `text` has 100,001 characters"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_csv_is_an_error_that_names_the_place(tmp_path, name):
    content, problem = BAD[name]
    with pytest.raises(InputError, match=problem) as caught:
        frame(tmp_path, source=csv(tmp_path / "a.csv", content))
    assert "a.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": "a"', "line 2: is not JSON"),
        ('["a"]', "line 2: is a list, not an object"),
        ('{"text": {"a": 1}, "label": "x"}', "row 2: `text` holds a dict"),
    ],
)
def test_a_bad_jsonl_line_is_named(tmp_path, line, problem):
    (tmp_path / "a.jsonl").write_text(f'{{"text": "a", "label": "x"}}\n{line}\n')
    with pytest.raises(InputError, match=problem):
        frame(tmp_path, source=str(tmp_path / "a.jsonl"))


def test_a_truncated_parquet_is_an_input_error(tmp_path):
    pd.DataFrame(ROWS * 1000).to_parquet(tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    for part in (whole[: len(whole) // 2], whole[:3], b"PAR1" + whole[200:]):
        (tmp_path / "a.parquet").write_bytes(part)
        with pytest.raises(InputError, match=r"a\.parquet.*Parquet"):
            frame(tmp_path, source=str(tmp_path / "a.parquet"))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"id": "n"}, r"`n` is the same in \S+a\.csv row 1, \S+a\.csv row 2; 1 repeats in all"),
        ({"time": "t"}, "row 2: `t` is no time.* the form 'xxxx'"),
        ({"split": {"by": "given", "column": "n"}}, "`n` names no split: it is one of train, validation, test, .* '9'"),
    ],
)
def test_ids_times_and_splits_are_checked(tmp_path, data, problem):
    source = csv(tmp_path / "a.csv", "n,text,label,t\n1,a,x,2026-01-01\n1,b,x,soon\n")
    with pytest.raises(InputError, match=problem):
        frame(tmp_path, source=source, **data)


def test_a_first_row_where_no_header_is_is_not_printed(tmp_path):
    source = csv(tmp_path / "a.csv", "anna@example.org,030 1234567,order 12,label\n")
    with pytest.raises(InputError) as raised:
        frame(tmp_path, source=source)
    assert "its columns are `xxxx@xxxxxxx.xxx`, `999 9999999`, `order 12`, `label`: " in str(raised.value)


@pytest.mark.parametrize("end", ["csv", "jsonl"])
def test_a_single_text_of_100_megabytes_is_refused_in_little_memory(tmp_path, end):
    path = tmp_path / f"a.{end}"
    with path.open("wb") as out:
        out.write(b"text,label\nfine,x\n" if end == "csv" else b'{"text": "')
        for _ in range(100):
            out.write(b"y" * 1_000_000)
        out.write(b",x\n" if end == "csv" else b'", "label": "x"}\n')
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"line [13]: is longer than 17,825,792 bytes"):
            frame(tmp_path, source=str(path))
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


def test_a_huge_text_in_parquet_is_refused_before_it_is_decoded(tmp_path):
    pd.DataFrame({"text": ["z" * 30_000_000], "label": ["x"]}).to_parquet(tmp_path / "a.parquet", compression=None)
    with pytest.raises(InputError, match=r"max_characters"):
        frame(tmp_path, source=str(tmp_path / "a.parquet"))


@pytest.mark.parametrize("named", ["review_text", "ReviewText", "reviewtext", "reviewTxt", "REVIEW TEXT"])
def test_a_column_that_is_named_in_another_way_is_told_by_its_name(tmp_path, named):
    source = csv(tmp_path / "a.csv", "reviewText,stars\ngood,5\n")
    with pytest.raises(InputError, match=rf"has no column `{named}`; .*: did you mean `reviewText`\? correct the names under data"):
        frame(tmp_path, source=source, text=named, label="stars")


def test_of_columns_that_are_nothing_like_it_none_is_named(tmp_path):
    source = csv(tmp_path / "a.csv", "reviewText,stars\ngood,5\n")
    with pytest.raises(InputError) as refused:
        frame(tmp_path, source=source, text="body", label="stars")
    assert "did you mean" not in str(refused.value)
