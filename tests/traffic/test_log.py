"""What was answered is kept: through kill -9, SIGTERM, a full disk, a full queue; and nobody waits for it."""

import errno
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from counting import calls
from traffic_child import NAME, answer

from configs.errors import InputError
from tasks.traffic import writer
from tasks.traffic.journal import Journal, list_journals
from tasks.traffic.log import Answer, Feedback, Query, draw_audit, new_id, open_traffic, pending_audits, read_answers, read_feedback
from tasks.traffic.records import answer_schema, decode_records, encode_record, feedback_schema
from tasks.traffic.store import ParquetStore

CHILD = Path(__file__).parent / "traffic_child.py"
T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


def run_child(mode, home, *given):
    return subprocess.Popen([sys.executable, str(CHILD), mode, str(home), *given], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def traffic(tmp_path):
    opened = open_traffic(tmp_path, NAME)
    yield opened
    opened.close()


def places(home, url=None, **given):
    return [int(name, 16) for name in read_answers(home, NAME, url, Query(**given))["id"]]


def label(place, value, source="user", kind="label", when=T0):
    return Feedback(new_id(), f"{place:032x}", when, kind, value, source)


# --- values ---------------------------------------------------------------------------------------------------------------


def test_what_goes_in_comes_out(traffic, tmp_path):
    whole = answer(1, 'Ünï "quoted"\nsecond line \\u0000 日本', time=T0, audit=True, audit_probability=0.02, origin="score")
    plain = answer(2, "", time=T0 + timedelta(microseconds=1), score=None)
    said = label(1, "blue first", "audit", when=T0 + timedelta(days=20))
    traffic.answered([whole, plain])
    traffic.feedback([said])
    assert traffic.flush()
    found, heard = read_answers(tmp_path, NAME), read_feedback(tmp_path, NAME)
    for name in (field.name for field in fields(Answer)):
        assert found[name][0] == getattr(whole, name), name
    assert found["id"][1] == plain.id and found["score"].isna().tolist() == [False, True]
    assert heard.to_dict("records") == [{name: getattr(said, name) for name in Feedback.__slots__}]
    traffic.close()
    assert read_answers(tmp_path, NAME).equals(found) and read_feedback(tmp_path, NAME).equals(heard)
    assert list(found) == answer_schema().names and list(heard) == feedback_schema().names


def test_nothing_kept_reads_as_nothing_with_all_columns(tmp_path):
    assert list(read_answers(tmp_path, NAME)) == answer_schema().names and read_answers(tmp_path, NAME).empty
    assert list(read_feedback(tmp_path, NAME)) == feedback_schema().names
    assert pending_audits(tmp_path, NAME).empty
    assert not list(tmp_path.rglob("*.parquet"))


def test_what_no_store_takes_is_taken_out(traffic, tmp_path):
    traffic.answered([answer(1, "half \ud800 a pair, and \0 nothing", score=float("nan"), prediction="\0")])
    traffic.close()
    found = read_answers(tmp_path, NAME)
    assert found["text"][0] == "half ? a pair, and  nothing" and found["prediction"][0] == "" and found["score"].isna().all()


def test_a_record_that_cannot_be_written_costs_itself_alone(traffic, tmp_path, caplog):
    traffic.answered([answer(1), answer(2, time="yesterday"), answer(3)])
    assert traffic.flush() and places(tmp_path) == [1, 3]
    assert traffic.counts.lost == 1 and "cannot be written" in caplog.text


def test_damaged_and_unfinished_lines_are_left_out_counted_and_cost_no_other():
    good, better = encode_record(answer(1)), encode_record(label(2, "x"))
    found = decode_records(
        good + b'{"id": tru\n' + better + b"\x00\x00\xff\n" + good.replace(b"1", b"7") + encode_record(answer(5))[:-9]
    )
    assert found.tables["answers"].num_rows == 2 and found.tables["feedback"].num_rows == 1 and found.damaged == 2


BEYOND = (-1, 1_796_000_000_000_000_000, -1_796_000_000_000_000_000)  # microseconds since 1970, of which no date can be told


def timed(line, microseconds):
    return re.sub(rb'"time":\d+', b'"time":%d' % microseconds, line)


@pytest.mark.parametrize(
    "damage",
    [
        *(lambda line, time=time: timed(line, time) for time in BEYOND),
        lambda _: b"null\n",
        lambda _: b"[]\n",
        lambda _: b"\n",
        lambda line: line.replace(b"a text", b"a \xff text"),
        lambda line: line.replace(b'"text":"a text",', b""),
        lambda line: line.replace(b'"a text"', b"7"),
        lambda line: line[: len(line) // 2] + line[len(line) // 2 :].replace(b"\n", b"") + b"x\n",
    ],
)
def test_any_damage_to_a_line_costs_that_line_alone_and_keeps_the_file(tmp_path, caplog, damage):
    folder = tmp_path / "traffic" / NAME
    folder.mkdir(parents=True)
    lines = [encode_record(answer(place)) for place in range(9)]
    content = b"".join([*lines[:4], damage(lines[4]), *lines[5:]])
    (folder / "dead.jsonl").write_bytes(content)
    assert sorted(places(tmp_path)) == [0, 1, 2, 3, 5, 6, 7, 8]
    assert "1 lines of the journal" in caplog.text and "dead.jsonl.damaged" in caplog.text
    assert sorted(places(tmp_path)) == [0, 1, 2, 3, 5, 6, 7, 8] and pending_audits(tmp_path, NAME).empty
    assert not list_journals(folder) and (folder / "dead.jsonl.damaged").read_bytes() == content
    assert caplog.text.count("cannot be read") == 1, "what is set aside is not read again"


def test_a_journal_of_which_nothing_can_be_read_is_kept_and_one_that_was_cut_off_is_moved(tmp_path):
    folder = tmp_path / "traffic" / NAME
    folder.mkdir(parents=True)
    (folder / "zeros.jsonl").write_bytes(bytes(500))
    (folder / "cut.jsonl").write_bytes(encode_record(answer(1)) + encode_record(answer(2))[:60])
    assert places(tmp_path) == [1]
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["zeros.jsonl.damaged"]


def test_what_is_damaged_in_a_journal_in_use_is_said_and_the_rest_is_read(traffic, tmp_path, caplog):
    traffic.answered([answer(1)])
    traffic.flush()
    (journal,) = list_journals(tmp_path / "traffic" / NAME)
    with journal.open("ab") as file:
        file.write(b"\xff\n")
    assert places(tmp_path) == [1] and f"1 lines of the journal {journal} cannot be read" in caplog.text


def test_a_record_of_no_time_that_can_be_is_not_taken():
    for when in (datetime(1969, 12, 31, tzinfo=UTC), datetime(2300, 1, 1, tzinfo=UTC)):
        with pytest.raises(ValueError, match="its time is"):
            encode_record(answer(1, time=when))


def test_whatever_goes_wrong_in_one_round_the_next_one_is_made(traffic, caplog):
    def broken():
        raise ValueError("no such thing was thought of")

    assert not traffic._try_store(broken) and not traffic._try_store(broken)
    assert caplog.text.count("wait: no such thing") == 1 and "Traceback" in caplog.text, "said once, with its place in the code"
    assert traffic._try_store(lambda: None) and "are moved again" in caplog.text


# --- without slowing anybody ----------------------------------------------------------------------------------------------


def test_keeping_an_answer_is_a_few_calls_however_many_wait_and_waits_for_no_disk(traffic):
    batches = [[answer(place) for place in range(start, start + 8)] for start in range(0, 8000, 8)]
    with traffic._turn:  # as while the journal is written
        counted = [calls(traffic.answered, batch) for batch in batches]
    assert set(counted) == {counted[0]} and counted[0] < 100


def test_many_threads_keep_all_they_answered(traffic, tmp_path):
    def work(start):
        for place in range(start, start + 500):
            traffic.answered([answer(place)])

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 4000, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    traffic.close()
    assert sorted(places(tmp_path)) == list(range(4000))
    assert (traffic.counts.accepted, traffic.counts.written, traffic.counts.lost) == (4000, 4000, 0)


def test_a_full_queue_costs_records_not_memory_nor_answers(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(writer, "MOST_WAITING", 100)
    slow = writer.Traffic(tmp_path, ParquetStore(tmp_path), tick=60)
    for place in range(300):
        slow.answered([answer(place)])
    assert (slow.counts.waiting, slow.counts.lost) == (100, 200)
    monkeypatch.setattr(writer, "MOST_CHARACTERS", 1 << 20)
    slow.answered([answer(0, "long" * (1 << 20))])
    assert slow.counts.lost == 201 and caplog.text.count("the queue is full") == 1
    slow.close()


def test_a_log_that_is_closed_takes_nothing_and_says_so(tmp_path, caplog):
    traffic = open_traffic(tmp_path, NAME)
    traffic.close()
    traffic.answered([answer(1)])
    traffic.close()
    assert traffic.counts.lost == 1 and "closed" in caplog.text and places(tmp_path) == []


# --- killed, ended, full ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [0.2, 1.3])
def test_kill_9_costs_no_answer_that_was_written_which_it_is_within_a_tick(tmp_path, wait):
    child = run_child("answering", tmp_path)
    said = [child.stdout.readline()]
    while int(said[-1].split()[1]) == 0:  # nothing is written yet
        said.append(child.stdout.readline())
    time.sleep(wait)
    child.kill()
    said += child.stdout.readlines()
    child.wait()
    written = max(int(line.split()[1]) for line in said if line.endswith("\n"))
    found = sorted(places(tmp_path))
    assert writer.TICK_SECONDS < 1 and found == list(range(len(found))) and len(found) >= written > 0
    assert not list_journals(tmp_path / "traffic" / NAME), "the reader moved what the dead process left"
    assert sorted(places(tmp_path)) == found


def test_sigterm_costs_nothing(tmp_path):
    child = run_child("terminated", tmp_path)
    said = [child.stdout.readline()]
    time.sleep(0.5)
    child.terminate()
    said += child.stdout.readlines()
    assert child.wait() == 0
    assert sorted(places(tmp_path))[: int(said[-1].split()[0])] == list(range(int(said[-1].split()[0])))
    assert len(places(tmp_path)) >= int(said[-1].split()[0])


def test_a_full_disk_costs_records_is_said_once_and_is_over_when_it_is_over(tmp_path):
    said = run_child("full", tmp_path).communicate()[0]
    assert said.count("cannot be written (File too large)") == 1 and said.count("has lost") == 1
    assert said.count("is written again") == 1
    assert "took True WriterCounts(accepted=" in said and "again True" in said
    counts = {name: int(value) for name, value in (part.split("=") for part in said.split("end WriterCounts(")[1][:-2].split(", "))}
    found = places(tmp_path)
    assert counts["accepted"] == counts["written"] == len(found) == len(set(found)) and 9999 in found
    assert counts["lost"] == 3001 - counts["accepted"] > 0 and counts["waiting"] == 0


@pytest.mark.parametrize("strike", [1, 6, 7, 8, 10, 11])
def test_a_process_killed_while_it_moves_its_journal_loses_and_doubles_nothing(tmp_path, strike):
    child = run_child("moving", tmp_path, str(tmp_path), str(strike))
    assert child.wait() == (-signal.SIGKILL if strike < 11 else 0)
    assert sorted(places(tmp_path)) == list(range(100))
    again = open_traffic(tmp_path, NAME)
    again.answered([answer(100)])
    again.close()
    assert sorted(places(tmp_path)) == list(range(101))
    assert len(list(tmp_path.rglob("[!.]*.parquet"))) == 2 and not list_journals(tmp_path / "traffic" / NAME)


def test_a_forked_child_keeps_no_journal_in_use_and_logs_nothing_of_its_own(traffic, tmp_path):
    traffic.answered([answer(1)])
    traffic.flush()
    child = os.fork()
    if child == 0:
        traffic.answered([answer(2)])
        traffic.close()
        os._exit(traffic.counts.lost)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    traffic.answered([answer(3)])
    traffic.flush()
    assert places(tmp_path) == [1, 3] and len(list_journals(tmp_path / "traffic" / NAME)) == 1


def test_a_disk_that_is_not_there_yet_is_no_reason_not_to_answer(tmp_path, caplog):
    (tmp_path / "traffic").write_text("in the way")
    traffic = open_traffic(tmp_path, NAME)
    traffic.answered([answer(1)])
    assert not traffic.flush() and "cannot be written" in caplog.text
    (tmp_path / "traffic").unlink()
    assert traffic.flush()
    traffic.close()
    assert places(tmp_path) == [1]


@pytest.fixture
def by_hand(tmp_path):
    """A log that writes when it is told to alone."""
    opened = writer.Traffic(tmp_path / "traffic" / NAME, ParquetStore(tmp_path / "traffic" / NAME), tick=60)
    yield opened
    opened.close()


def disk_that_takes(monkeypatch, left):
    """From here on so many bytes are taken, and none beyond."""

    def append(self, content, append=Journal.append):
        nonlocal left
        left -= (part := min(left, len(content)))
        if part == 0:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return append(self, content[:part])

    monkeypatch.setattr(Journal, "append", append)


@pytest.mark.parametrize(
    "gone",
    [
        lambda folder: next(folder.glob("*.jsonl")).unlink(),
        lambda folder: next(folder.glob("*.jsonl")).rename(folder / "elsewhere"),
        shutil.rmtree,
        lambda folder: folder.rename(folder.with_name("elsewhere")),
    ],
)
def test_a_journal_that_is_removed_while_it_is_written_is_missed_and_costs_no_later_answer(by_hand, tmp_path, caplog, gone):
    by_hand.answered([answer(1), answer(2)])
    by_hand.flush()
    gone(tmp_path / "traffic" / NAME)
    by_hand.answered([answer(3)])
    by_hand.flush()
    by_hand.answered([answer(4)])
    by_hand.close()
    assert by_hand.counts.lost == 2 and "has lost 2 records so far: " in caplog.text
    assert "was removed while it was written" in caplog.text and places(tmp_path) == [3, 4]


def test_a_journal_that_is_removed_within_a_record_is_followed_by_whole_ones(by_hand, tmp_path, monkeypatch, caplog):
    by_hand.answered([answer(1)])
    by_hand.flush()
    with monkeypatch.context() as patch:
        disk_that_takes(patch, 50)
        by_hand.answered([answer(2), answer(3)])
        assert not by_hand.flush()
    list_journals(tmp_path / "traffic" / NAME)[0].unlink()
    by_hand.close()
    assert by_hand.counts.lost == 1 and places(tmp_path) == [2, 3] and "cannot be read" not in caplog.text


def test_a_folder_that_is_a_file_for_a_while_costs_what_was_in_it_alone(by_hand, tmp_path):
    folder = tmp_path / "traffic" / NAME
    by_hand.answered([answer(1)])
    by_hand.flush()
    shutil.rmtree(folder)
    folder.write_text("in the way")
    by_hand.answered([answer(2)])
    assert not by_hand.flush() and (by_hand.counts.lost, by_hand.counts.waiting) == (1, 1)
    folder.unlink()
    by_hand.close()
    assert by_hand.counts.lost == 1 and places(tmp_path) == [2]


@pytest.mark.parametrize("taken", [0, 1, 7])
def test_what_the_disk_never_took_is_counted_at_the_end_to_the_last_record(tmp_path, monkeypatch, caplog, taken):
    traffic = writer.Traffic(tmp_path, ParquetStore(tmp_path), tick=60)
    traffic._count_lost(5, "the queue is full")  # said just now
    traffic.answered([answer(place) for place in range(10)])
    whole = sum(len(encode_record(answer(place))) for place in range(taken))
    disk_that_takes(monkeypatch, whole + 9 * (taken > 0))
    assert not traffic.flush()
    traffic.answered([answer(place) for place in range(10, 20)])
    traffic.close()
    counts = traffic.counts
    assert (counts.accepted, counts.written, counts.lost, counts.waiting) == (20, taken, 5 + 20 - taken, 0)
    assert f"has lost {25 - taken} records so far: the disk did not take" in caplog.text
    assert "(Operation not permitted): let this user read and write there" in caplog.text and "free the disk" not in caplog.text
    assert traffic.flush() and traffic.counts == counts, "nothing is left to be written"


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free the disk"),
        (errno.EDQUOT, "free the disk"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "let this user"),
        (errno.ENOTDIR, "move away the file"),
        (errno.EIO, "see that the disk works"),
    ],
)
def test_what_hinders_the_log_is_said_with_what_mends_it(traffic, monkeypatch, caplog, number, remedy):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", refuse)
        traffic.answered([answer(1)])
        assert not traffic.flush()
    assert f"cannot be written ({os.strerror(number)}): " in caplog.text and remedy in caplog.text


# --- audits and corrections ---------------------------------------------------------------------------------------------------


def test_the_audit_draws_its_share_and_records_it():
    rng = random.Random(3)
    drawn = [draw_audit(0.02, rng) for _ in range(50_000)]
    share = sum(audit for audit, _ in drawn) / len(drawn)
    assert abs(share - 0.02) < 5 * (0.02 * 0.98 / 50_000) ** 0.5  # five standard errors: a false alarm in 1.7 million
    assert {probability for _, probability in drawn} == {0.02}
    assert draw_audit(0, rng) == (False, 0.0) and draw_audit(1, rng) == (True, 1.0)


def test_what_was_drawn_waits_until_an_audit_labels_it(traffic, tmp_path):
    ids = [new_id() for _ in range(40)]
    kept = [answer(0, time=T0 + timedelta(hours=n), audit=n % 2 == 0, audit_probability=0.5) for n in range(40)]
    kept = [Answer(**{name: getattr(one, name) for name in Answer.__slots__} | {"id": ids[n]}) for n, one in enumerate(kept)]
    traffic.answered(kept)
    traffic.feedback([Feedback(new_id(), ids[0], T0, "label", "a", "audit"), Feedback(new_id(), ids[2], T0, "label", "a", "user")])
    traffic.feedback([Feedback(new_id(), ids[4], T0, "thumb", "up", "audit")])
    traffic.flush()
    pending = pending_audits(tmp_path, NAME)
    assert set(pending["id"]) == {ids[n] for n in range(2, 40, 2)}
    assert set(pending_audits(tmp_path, NAME, thumbs=True)["id"]) == set(pending["id"]) - {ids[4]}
    assert pending["id"].is_monotonic_increasing and (pending["audit_probability"] == 0.5).all()
    assert set(pending_audits(tmp_path, NAME, start=T0 + timedelta(hours=30))["id"]) == {ids[n] for n in range(30, 40, 2)}
    assert pending_audits(tmp_path, NAME, most=3)["id"].tolist() == pending["id"].tolist()[:3]


def test_days_before_the_first_that_is_asked_for_are_not_read(traffic, tmp_path):
    new = new_id()
    traffic.answered([Answer(new, T0, "1", "a", "b", 0.5, 1.0, True, 0.5)])
    traffic.flush()
    for kind in ("answers", "feedback"):
        day = tmp_path / "traffic" / NAME / kind / f"day={T0 - timedelta(days=2):%Y-%m-%d}"
        day.mkdir(parents=True)
        (day / "old.parquet").write_text("whoever reads this fails")
    assert pending_audits(tmp_path, NAME, start=T0 - timedelta(hours=1))["id"].tolist() == [new]


def test_what_people_write_is_redacted_before_anything_is_written(tmp_path):
    traffic = open_traffic(tmp_path, NAME, redact=lambda texts: [text.replace("anna@example.org", "<EMAIL>") for text in texts])
    traffic.feedback([label(1, "ask anna@example.org", kind="correction"), label(2, "up", kind="thumb")])
    traffic.feedback([label(3, "anna@example.org"), label(4, "billing")])
    traffic.flush()
    assert sorted(read_feedback(tmp_path, NAME)["value"]) == ["<EMAIL>", "ask <EMAIL>", "billing", "up"]
    assert not any(b"anna" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    traffic.close()


def test_a_url_that_cannot_be_one_is_refused_without_its_password(tmp_path):
    for url in ("mysql://u:secret@h/d", "postgresql://u:secret@h/d", "sqlite://", "no url"):
        with pytest.raises(InputError, match="TUNEKEEPER_TRAFFIC_URL") as caught:
            open_traffic(tmp_path, NAME, url)
        assert "secret" not in str(caught.value)


def test_nothing_is_said_where_nothing_is_wrong(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        traffic = open_traffic(tmp_path, NAME)
        traffic.answered([answer(1)])
        traffic.close()
        assert places(tmp_path) == [1]
    assert caplog.text == ""
