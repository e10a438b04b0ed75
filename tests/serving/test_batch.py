"""A batch is scored once, whoever is killed on the way: all columns kept, one answer a row, the same result."""

import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from batch_child import answers, job

from configs.errors import InfraError, InputError
from configs.schema import Data
from tasks.data.preparation.load import loaded_source
from tasks.serving.batch import part_files, partial_answers
from tasks.serving.batch.input_files import inspect_files
from tasks.serving.batch.output_file import place_of
from tasks.serving.batch.part_files import result_mark
from tasks.serving.batch.scoring import score_files
from tasks.serving.batch.scoring_job import ScoringJob
from tasks.serving.batcher import Prediction
from tasks.traffic import writer
from tasks.traffic.log import pending_audits, read_answers

CHILD = Path(__file__).parent / "batch_child.py"


def quiet(*_):
    pass


def write(folder, n, name="rows.csv"):
    frame = pd.DataFrame(tiny.rows(n))
    frame["text"] = [text[: 20 + place % 60] for place, text in enumerate(frame["text"])]
    if name.endswith("csv"):
        frame.to_csv(folder / name, index=False)
    else:
        frame.to_parquet(folder / name, index=False)
    return folder / name, frame


def run(home, source, output, **given):
    work = job(home, source, output, **given)
    done = score_files(work, quiet)
    if work.log:
        work.log.close()
    return done


def test_every_row_is_answered_in_its_place_and_keeps_its_columns(tmp_path):
    source, frame = write(tmp_path, 4500)
    moved = []
    work = job(tmp_path, source, tmp_path / "out.parquet", logged=False)
    done = score_files(work, lambda *given: moved.append(given))
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert (done.rows, done.answered, done.kept, done.skipped) == (4500, 4500, 0, False)
    pd.testing.assert_frame_equal(found[list(frame)], frame, check_dtype=False)
    assert found["prediction"].tolist() == [f"{len(text) % 3} first" for text in frame["text"]]
    assert set(found["model_version"]) == {"7"} and found["score"].between(0, 1).all()
    assert list(found) == [*frame, "prediction", "score", "model_version"]
    assert moved == [(2000, 4500), (4000, 4500), (4500, 4500)]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_texts_of_like_length_go_together_longest_first(tmp_path):
    source, frame = write(tmp_path, 500)
    asked = []
    work = job(tmp_path, source, tmp_path / "out.parquet", logged=False)

    def noting(texts):
        asked.append([len(text) for text in texts])
        return answers(texts)

    score_files(ScoringJob(**{**vars(work), "answers": noting}), quiet)
    lengths = [length for group in asked for length in group]
    assert lengths == sorted(frame["text"].map(len), reverse=True) and {len(group) for group in asked[:-1]} == {64}


def test_kill_9_twice_and_again_gives_what_one_run_gives(tmp_path):
    source, _ = write(tmp_path, 12_000)
    whole = tmp_path / "whole.parquet"
    run(tmp_path / "one", source, whole)
    broken = tmp_path / "broken.parquet"
    for _ in range(2):
        child = subprocess.Popen(
            [sys.executable, CHILD, tmp_path / "two", source, broken, "0.004"], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout.readline() == "part\n"
        child.stdout.readline()
        child.kill()
        child.wait()
        assert not broken.exists()
    done = run(tmp_path / "two", source, broken)
    assert 2000 <= done.kept < 12_000 and done.rows == 12_000
    assert pq.read_table(broken).equals(pq.read_table(whole))
    assert broken.read_bytes() == whole.read_bytes()
    one, two = (read_answers(tmp_path / home, "tiny").sort_values("id", ignore_index=True) for home in ("one", "two"))
    kept = ["id", "text", "prediction", "score", "audit", "audit_probability", "origin", "version"]
    pd.testing.assert_frame_equal(one[kept], two[kept])
    assert len(two) == 12_000 and set(two["id"]) == set(pd.read_parquet(broken)["answer_id"])


def test_kill_9_within_a_part_loses_only_what_was_answered_since_the_last_writing(tmp_path):
    source, _ = write(tmp_path, 1900)  # one part, 30 groups
    whole, broken = tmp_path / "whole.parquet", tmp_path / "broken.parquet"
    run(tmp_path / "one", source, whole)
    before = 0
    for _ in range(2):
        child = subprocess.Popen(
            [sys.executable, CHILD, tmp_path / "two", source, broken, "0.01", "0"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(5):
            assert child.stdout.readline() == "kept\n"
        child.kill()
        child.wait()
        (file,) = tmp_path.glob(".broken*/part-0000000.answers")
        groups = len(partial_answers.PartialAnswers(file).groups)
        assert groups >= before + 5 and not broken.exists()
        before = groups
    asked = []
    work = job(tmp_path / "two", source, broken)
    done = score_files(ScoringJob(**{**vars(work), "answers": lambda texts: asked.append(len(texts)) or answers(texts)}), quiet)
    work.log.close()
    assert done.kept == 64 * before and sum(asked) == 1900 - done.kept and done.rows == 1900
    assert broken.read_bytes() == whole.read_bytes() and not list(tmp_path.glob(".broken*"))


def test_answers_are_written_every_few_seconds_and_a_slow_group_when_it_is_answered(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(partial_answers.time, "monotonic", lambda: now[0])
    file = tmp_path / "part.answers"
    kept = partial_answers.PartialAnswers(file)

    def taking(seconds):
        def slowly(texts):
            now[0] += seconds
            return answers(texts)

        return slowly

    lost = []
    for group, seconds in enumerate([0.1] * 60 + [7.0] + [0.1] * 60 + [2.0] * 5):
        kept.ask(group, ["a", "bb"], taking(seconds))
        lost.append(now[0] - kept._written)
    assert max(lost) < partial_answers.KEEP_SECONDS
    assert len(partial_answers.PartialAnswers(file).groups) == 126 - len(kept._waiting)


def test_a_line_that_a_kill_cut_short_is_asked_again_and_every_text_comes_back_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(partial_answers, "KEEP_SECONDS", 0.0)
    file = tmp_path / "part.answers"
    odd = [Prediction("\ud800 a\u2028b\x85\r\n", "é\n", 1 / 3), Prediction("", "", None)]
    first = partial_answers.PartialAnswers(file)
    first.ask(0, ["x", "y"], lambda _: odd)
    first.ask(64, ["z"], lambda _: odd[:1])
    file.write_bytes(file.read_bytes()[:-5])
    again = partial_answers.PartialAnswers(file)
    assert again.groups == {0: odd} and again.kept == 2
    again.ask(64, ["z"], lambda _: odd[:1])
    assert partial_answers.PartialAnswers(file).groups == {0: odd, 64: odd[:1]}


def test_a_result_that_is_there_is_not_made_again_and_another_question_makes_another(tmp_path):
    source, _ = write(tmp_path, 100)
    first = run(tmp_path, source, tmp_path / "out.parquet")
    stamp = (tmp_path / "out.parquet").stat().st_mtime_ns
    again = run(tmp_path, source, tmp_path / "out.parquet", pause=1e6)
    assert again.skipped and (again.rows, again.answered) == (first.rows, first.answered)
    assert (tmp_path / "out.parquet").stat().st_mtime_ns == stamp
    other = run(tmp_path, source, tmp_path / "out.parquet", key="b" * 64)
    assert not other.skipped and result_mark(tmp_path / "out.parquet")["key"] == "b" * 64
    assert len(read_answers(tmp_path, "tiny")) == 200


def test_parts_and_rows_of_another_job_for_the_same_result_are_put_away(tmp_path):
    source, _ = write(tmp_path, 100)
    for name, file in {"0123456789abcdef.parts": "part-0000000.parquet", "table-k1ll3d": "table.parquet"}.items():
        stale = tmp_path / f".out.parquet.{name}"
        stale.mkdir()
        (stale / ".lock").touch()
        (stale / file).touch()
    run(tmp_path, source, tmp_path / "out.parquet")
    assert not list(tmp_path.glob(".out*"))


def test_two_at_once_do_not_write_one_result(tmp_path):
    source, _ = write(tmp_path, 3000)
    began, go = threading.Event(), threading.Event()
    work = job(tmp_path, source, tmp_path / "out.parquet", logged=False)

    def waiting(texts):
        began.set()
        go.wait(10)
        return answers(texts)

    first = threading.Thread(target=score_files, args=(ScoringJob(**{**vars(work), "answers": waiting}), quiet))
    first.start()
    began.wait(10)
    with pytest.raises(InfraError, match="is being scored by another process"):
        score_files(work, quiet)
    go.set()
    first.join()
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == 3000


def test_a_row_without_text_is_asked_nothing_and_stays(tmp_path):
    pd.DataFrame({"ticket": ["a", "b", "c"], "text": ["words", "  ", None]}).to_csv(tmp_path / "rows.csv", index=False)
    done = run(tmp_path, tmp_path / "rows.csv", tmp_path / "out.parquet")
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert (done.rows, done.answered) == (3, 1) and found["ticket"].tolist() == ["a", "b", "c"]
    for column in ("prediction", "score", "model_version", "answer_id"):
        assert found[column].isna().tolist() == [False, True, True], column
    assert read_answers(tmp_path, "tiny")["text"].tolist() == ["words"]


def test_a_text_that_is_longer_than_one_may_be_has_no_answer(tmp_path):
    batch = job(tmp_path, write(tmp_path, 3)[0], tmp_path / "out.parquet").batch
    longest = max(len(text) for chunk in batch.chunks() for text in batch.texts(chunk))
    short = replace(
        job(tmp_path, tmp_path / "rows.csv", tmp_path / "out.parquet"), batch=replace(batch, max_characters=longest - 1)
    )
    assert score_files(short, quiet).answered == 2 and pd.read_parquet(tmp_path / "out.parquet")["prediction"].isna().sum() == 1


def test_a_file_of_any_kind_keeps_the_types_it_has(tmp_path):
    lines = [{"text": "one", "n": 1, "x": 0.5, "ok": True, "mixed": 1, "deep": {"a": [1]}}]
    lines += [{"text": "two", "n": 2, "x": 2, "mixed": "b"}, {"text": "three", "late": "é"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    batch = inspect_files(str(tmp_path / "a.jsonl"), ("text",), "auto", 1000)
    kinds = {name: str(kind) for name, kind in batch.columns.items()}
    assert kinds == {
        "text": "string",
        "n": "int64",
        "x": "double",
        "ok": "bool",
        "mixed": "string",
        "deep": "string",
        "late": "string",
    }
    run(tmp_path, tmp_path / "a.jsonl", tmp_path / "out.parquet", id=None)
    found = pq.read_table(tmp_path / "out.parquet").drop_columns(["prediction", "score", "model_version", "answer_id"]).to_pylist()
    assert found[0] == {
        "id": "a.jsonl#1",
        "text": "one",
        "n": 1,
        "x": 0.5,
        "ok": True,
        "mixed": "1",
        "deep": '{"a": [1]}',
        "late": None,
    }
    assert found[1]["mixed"] == "b" and found[1]["x"] == 2.0 and found[2]["late"] == "é"

    times = pa.array([1, 2, None], type=pa.timestamp("ns", tz="Europe/Berlin"))
    table = pa.table({"text": pa.array(["a", "b", "c"]).dictionary_encode(), "at": times, "list": pa.array([[1], [], None])})
    pq.write_table(table, tmp_path / "b.parquet")
    run(tmp_path, tmp_path / "b.parquet", tmp_path / "out2.parquet")
    assert pq.read_table(tmp_path / "out2.parquet").column("at").equals(table.column("at"))
    assert pq.read_table(tmp_path / "out2.parquet").column("list").to_pylist() == [[1], [], None]


def test_a_column_that_python_has_no_type_for_loses_nothing(tmp_path):
    times = pa.array([1, 3_661_000_000_002, None], type=pa.time64("ns"))
    table = pa.table({"text": ["a", "b", "c"], "at": times, "ok": pa.array([True, False, None]).cast(pa.bool8())})
    pq.write_table(table, tmp_path / "a.parquet")
    run(tmp_path, tmp_path / "a.parquet", tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.column("at").to_pylist() == ["00:00:00.000000001", "01:01:01.000000002", None]
    assert found.schema.field("ok").type == pa.bool_() and found.column("ok").to_pylist() == [True, False, None]


def test_lists_that_the_library_cannot_read_back_are_said_to_be_so(tmp_path):
    table = pa.table({"text": ["a", "b"], "x": pa.array([[1.0, 2.0], None], type=pa.list_(pa.float32(), 2))})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: has a column of lists of one fixed size .*: write .* plain lists"):
        run(tmp_path, tmp_path / "a.parquet", tmp_path / "out.parquet")


def test_a_folder_is_one_batch_of_all_columns(tmp_path):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in", 30, "a.csv")
    pd.DataFrame({"text": ["x"], "n": [5]}).to_parquet(tmp_path / "in" / "b.parquet")
    done = run(tmp_path, tmp_path / "in", tmp_path / "out.parquet", id=None)
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert done.rows == 31 and found["id"].tolist() == [*(f"a.csv#{n}" for n in range(1, 31)), "b.parquet#1"]
    assert found["n"].isna().sum() == 30 and found["ticket"].isna().sum() == 1


def test_the_draw_for_audit_is_made_for_scored_rows_too(tmp_path):
    source, _ = write(tmp_path, 2000)
    run(tmp_path, source, tmp_path / "out.parquet")
    assert 120 < len(pending_audits(tmp_path, "tiny")) < 280  # 200 expected, six standard errors of 13.4
    assert set(read_answers(tmp_path, "tiny")["origin"]) == {"score"}


def test_a_log_that_takes_no_answers_stops_the_scoring_which_then_goes_on(tmp_path):
    source, _ = write(tmp_path, 300)
    place = tmp_path / "traffic" / "tiny"
    place.parent.mkdir()
    place.write_text("")  # a file where the log's folder should be
    with pytest.raises(InfraError, match=r"traffic/tiny cannot be written \(.*\): move away .*, then run the same command again"):
        run(tmp_path, source, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    place.unlink()
    assert not run(tmp_path, source, tmp_path / "out.parquet").skipped
    result = pd.read_parquet(tmp_path / "out.parquet")
    assert set(result["answer_id"]) == set(read_answers(tmp_path, "tiny")["id"])


def test_answers_that_are_longer_together_than_the_logs_queue_are_all_logged(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "MOST_WAITING", 250)
    source, _ = write(tmp_path, 600)
    assert run(tmp_path, source, tmp_path / "out.parquet").answered == len(read_answers(tmp_path, "tiny")) == 600


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ticket,words\n1,a\n", "has no column `text`"),
        ("ticket,text\n", "has a header but no rows"),
        ("", "is empty: it needs a header line"),
        ("text,prediction\na,b\n", "has a column `prediction`"),
        ("text\n" + "a\n" * 5000 + "a,b\n", "line 5002: has 2 fields"),
    ],
)
def test_what_is_wrong_with_the_input_is_said_before_anything_is_scored(tmp_path, content, message):
    (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        run(tmp_path, tmp_path / "rows.csv", tmp_path / "out.parquet", pause=1e6)
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize("source", ["", "absent.csv", "absent/*.csv", "~nobody-of-this-name/rows.csv", "s3x://bucket/rows.csv"])
def test_an_input_that_is_none_is_named_by_the_option_that_gave_it(source):
    with pytest.raises(InputError, match=f"^--input ({re.escape(source)}:|is an empty text: name a file)"):
        inspect_files(source, ("text",), "auto", 1000)


def test_of_a_first_row_that_is_no_header_nothing_personal_is_told(tmp_path):
    (tmp_path / "rows.csv").write_text("ann@example.org,call me at 030 9018200\nx,y\n")
    with pytest.raises(InputError, match=r"has no column `text`.*xxx@xxxxxxx\.xxx") as refused:
        run(tmp_path, tmp_path / "rows.csv", tmp_path / "out.parquet")
    assert "ann@" not in str(refused.value) and "9018200" not in str(refused.value)


def test_two_columns_of_one_name_are_refused_in_parquet_too(tmp_path):
    pq.write_table(pa.table([["a"], ["b"], ["c"]], names=["text", "note", "note"]), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match=r"rows\.parquet: has more than one column `note`"):
        run(tmp_path, tmp_path / "rows.parquet", tmp_path / "out.parquet")


def test_a_columns_name_that_no_file_can_hold_is_refused_by_its_place(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "no\\ud800te": 1}\n')
    with pytest.raises(InputError, match=r"rows\.jsonl: the name of column 2, `no\ufffdte`, holds half of a surrogate pair"):
        run(tmp_path, tmp_path / "rows.jsonl", tmp_path / "out.parquet")


def test_the_names_of_a_parts_columns_are_listed_once_however_many_it_has():
    class Table:
        listed = 0
        table = pa.table({f"c{place}": [place] for place in range(50)})
        columns = table.columns

        @property
        def column_names(self):
            self.listed += 1
            return self.table.column_names

        def column(self, name):
            return self.table.column(name)

    part = Table()
    assert part_files._fit_to_schema(part, part.table.schema) == part.table and part.listed == 1


@pytest.mark.parametrize("output", ["a" * 300 + ".parquet", "~nobody-of-this-name/out.parquet"])
def test_a_result_whose_place_cannot_be_looked_at_is_refused(output):
    with pytest.raises(InputError, match=r"--output .*name another"):
        place_of(output, "rows.csv")


def test_a_result_goes_where_it_is_not_read_as_input(tmp_path):
    (tmp_path / "in").mkdir()
    assert place_of(str(tmp_path / "out.parquet"), str(tmp_path / "in")) == tmp_path / "out.parquet"
    for output, source in (("in/out.parquet", "in"), ("in", "rows.csv"), ("out.csv", "in"), ("a.parquet", "a.parquet")):
        with pytest.raises(InputError, match="--output"):
            place_of(str(tmp_path / output), str(tmp_path / source))


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("in/*.parquet", "in/a.parquet"),
        ("in/*.parquet", "in/new.parquet"),
        ("in/**/*.parquet", "in/new.parquet"),
        ("in/**/*.parquet", "in/deep/er/new.parquet"),
        ("*/[a-c].parquet", "in/b.parquet"),
        ("in/link.parquet", "elsewhere.parquet"),
        ("in/*.parquet", "elsewhere.parquet"),
        ("in", "elsewhere.parquet"),
        ("linked/*.parquet", "in/new.parquet"),
    ],
)
@pytest.mark.parametrize("setting", ["--input", "data.source", "data.test"])
def test_a_result_is_no_file_of_the_rows_that_are_scored_or_learned(tmp_path, source, output, setting):
    (tmp_path / "in").mkdir()
    for name in ("in/a.parquet", "elsewhere.parquet"):
        (tmp_path / name).write_bytes(b"rows")
    (tmp_path / "in" / "link.parquet").symlink_to(tmp_path / "elsewhere.parquet")
    (tmp_path / "linked").symlink_to(tmp_path / "in")
    named = {"--input": "rows.csv", "data.source": ("rows.csv", "s3://bucket/rows.parquet"), "data.test": None}
    named[setting] = f"{tmp_path}/{source}" if setting == "--input" else ("absent.csv", f"{tmp_path}/{source}")
    data = Data(source=named["data.source"], test=named["data.test"])
    with pytest.raises(InputError, match=f"--output .*: lies in {setting} .*{re.escape(source)}.*: name another place"):
        place_of(str(tmp_path / output), named["--input"], data)


def test_a_place_that_no_pattern_of_rows_finds_is_free(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "2025.csv").touch()
    for source in ("in/*.csv", "in/20*", "*.parquet", "in/2025.csv", "in/?/*.parquet", "sqlite:///in/out.db/rows"):
        data = Data(source=f"{tmp_path}/{source}") if "://" not in source else Data(source=source)
        assert place_of(str(tmp_path / "in" / "out.parquet"), data.source, data) == tmp_path / "in" / "out.parquet"


def test_a_file_that_holds_no_result_is_not_replaced_and_a_result_or_an_empty_file_is(tmp_path):
    source, frame = write(tmp_path, 10)
    place = tmp_path / "out.parquet"
    place.touch()
    assert place_of(str(place), str(source)) == place
    run(tmp_path, source, place)
    assert place_of(str(place), str(source)) == place
    whole = place.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little")
    for content in (b"no Parquet", whole[: -8 - footer] + b"\xff" * footer + whole[-8:]):
        place.write_bytes(content)
        with pytest.raises(InputError, match=r"holds no result of a scoring: name another file, or move it away"):
            place_of(str(place), str(source))
    frame.to_parquet(place)
    with pytest.raises(InputError, match=r"holds no result of a scoring"):
        place_of(str(place), str(source))


def test_a_result_below_a_file_or_in_the_place_of_a_pipe_is_refused_before_anything_is_opened(tmp_path):
    (tmp_path / "a.parquet").touch()
    for below in (tmp_path / "a.parquet", Path("/dev/null")):
        with pytest.raises(InputError, match=rf"--output {below}/x/y\.parquet: its folder is a file, {below}: name another place"):
            place_of(f"{below}/x/y.parquet", "rows.csv")
    os.mkfifo(tmp_path / "pipe.parquet")
    with pytest.raises(InputError, match="is a pipe or a device: name a file"):
        place_of(str(tmp_path / "pipe.parquet"), "rows.csv")


def test_ids_in_a_result_are_the_users_own_and_a_text_that_says_nothing_is_asked_nothing(tmp_path):
    rows = [
        {"ticket": "ann@example.org", "text": "hello", "note": "half \ud800"},
        {"ticket": "+49 30 1234567", "text": "\u200d\ufe0f", "note": "fine"},
        {"ticket": "4155552671", "text": "half \udc00", "note": None},
    ]
    source = tmp_path / "rows.json"
    source.write_text(json.dumps(rows))
    done = run(tmp_path / "home", source, tmp_path / "out.parquet")
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert (done.rows, done.answered) == (3, 1) and found["ticket"].tolist() == [row["ticket"] for row in rows]
    assert found["prediction"].notna().tolist() == [True, False, False] and found["note"].tolist()[0] == "half \ufffd"


@pytest.mark.parametrize("name", ["rows.tsv", "rows.csv.gz", "rows.xlsx", "semicolons.csv"])
def test_what_training_reads_scoring_reads(tmp_path, name):
    _, frame = write(tmp_path, 30)
    place = tmp_path / name
    if name.endswith("xlsx"):
        frame.to_excel(place, index=False)
    else:
        frame.to_csv(place, index=False, sep={"rows.tsv": "\t", "semicolons.csv": ";"}.get(name, ","))
    done = run(tmp_path / "home", place, tmp_path / "out.parquet", logged=False)
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert done.answered == 30 and found["text"].tolist() == frame["text"].tolist()


CELLS = {
    "sentences": [["one", "two"], [], ["three"]],
    "truths": [True, False, None],
    "numbers": [5, 1.5, 2**53 + 1],
    "texts": ["one", 7, True],
}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("end", ["jsonl", "parquet"])
def test_a_cell_of_any_kind_is_asked_as_training_reads_it(tmp_path, name, end):
    cells = CELLS[name] if end == "jsonl" or name in ("sentences", "truths") else [5.0, 1.5, None]
    source = tmp_path / f"rows.{end}"
    if end == "jsonl":
        source.write_text("\n".join(json.dumps({"text": cell, "label": "x"}) for cell in cells))
    else:
        pq.write_table(pa.table({"text": cells, "label": ["x"] * len(cells)}), source)
    with loaded_source(Data(source=str(source)), "text-classification", tmp_path / "home") as raw:
        trained = [text for text in raw.rows["text"] if text]
    asked = []

    def noting(texts):
        asked.extend(texts)
        return answers(texts)

    work = job(tmp_path, source, tmp_path / "out.parquet", logged=False, id=None)
    score_files(ScoringJob(**{**vars(work), "answers": noting}), quiet)
    assert sorted(asked) == sorted(trained) and len(asked) >= 2


@pytest.mark.parametrize("cell", [{"a": 1}, ["a", 1], b"bytes"], ids=["an object", "a mixed list", "bytes"])
def test_what_training_refuses_as_no_text_scoring_refuses_before_it_scores(tmp_path, cell):
    source = tmp_path / f"rows.{'parquet' if isinstance(cell, bytes | dict) else 'jsonl'}"
    if source.suffix == ".parquet":
        pq.write_table(pa.table({"text": [cell], "label": ["x"]}), source)
    else:
        source.write_text(json.dumps({"text": cell, "label": "x"}))
    says = "`text` holds .*: it must be text, a number or a date"
    with (
        pytest.raises(InputError, match=says),
        loaded_source(Data(source=str(source)), "text-classification", tmp_path / "home"),
    ):
        pass
    with pytest.raises(InputError, match=says):
        inspect_files(str(source), ("text",), "auto", 1000)


def test_a_row_that_says_nothing_or_is_over_its_budget_has_no_answer(tmp_path):
    source, frame = write(tmp_path, 6)
    frame.loc[[1, 2], "text"] = ["\u200d", "over"]
    frame.to_csv(source, index=False)
    work = job(tmp_path, source, tmp_path / "out.parquet", logged=True)

    def some(texts):
        return [None if text == "over" else one for text, one in zip(texts, answers(texts), strict=True)]

    done = score_files(ScoringJob(**{**vars(work), "answers": some}), quiet)
    work.log.close()
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert found["prediction"].isna().tolist() == [False, True, True, False, False, False] and done.answered == 4
    assert len(read_answers(tmp_path, "tiny")) == 4
