"""Logs stay small, whoever writes them and however often."""

import logging
import subprocess
import sys

from flows.local.logs import RepeatLimit, log_file, rotate_log


def test_a_log_that_grows_is_cut_while_it_is_written_and_the_writer_goes_on(tmp_path):
    log = tmp_path / "logs" / "service.log"
    with log_file(log) as out:
        code = "import sys\nfor line in sys.stdin: sys.stderr.write(line * 100); sys.stderr.flush(); print(flush=True)"
        writer = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out, text=True
        )
    sizes = []
    for number in range(30):
        writer.stdin.write(f"line {number:04}\n")
        writer.stdin.flush()
        writer.stdout.readline()
        rotate_log(log, 5_000)
        sizes.append(log.stat().st_size)
    writer.stdin.close()
    assert writer.wait(20) == 0
    old = log.with_suffix(".old.log")
    assert max(sizes) <= 6_000 and min(sizes[5:]) == 0 and old.stat().st_size <= 5_000
    assert (old.read_text() + log.read_text()).endswith("line 0029\n" * 100)
    assert not list(log.parent.glob("*.tmp"))


def test_a_small_log_and_one_that_is_not_there_stay_as_they_are(tmp_path):
    small = tmp_path / "small.log"
    small.write_text("a line\n")
    assert not rotate_log(small) and small.read_text() == "a line\n" and not rotate_log(tmp_path / "none.log")
    with log_file(small) as out:
        assert out > 0
    assert [path.name for path in tmp_path.iterdir()] == ["small.log"]


def test_one_place_writes_so_many_lines_a_minute_and_says_how_many_were_left_out():
    now, lines = [0.0], []
    handler, log = logging.Handler(), logging.Logger("service")
    handler.emit = lambda record: lines.append(record.getMessage())
    handler.addFilter(RepeatLimit(3, lambda: now[0]))
    log.addHandler(handler)

    def connection_lost(number):
        log.warning("connection %d lost", number)

    for number in range(10):
        connection_lost(number)
    log.warning("something else")
    assert lines == ["connection 0 lost", "connection 1 lost", "connection 2 lost", "something else"]
    now[0] = 61
    connection_lost(10)
    connection_lost(11)
    assert lines[4:] == ["connection 10 lost (7 more like it before)", "connection 11 lost"]


def test_places_are_not_counted_without_end():
    spare = RepeatLimit(1)
    for number in range(3000):
        spare.filter(logging.LogRecord("a", logging.INFO, f"file-{number}", 1, "x", None, None))
    assert len(spare._places) <= 1000
