"""A command as a process: whatever its streams, its locale and its limits are, it says one line, and damages nothing."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

SCHEMA = [sys.executable, "-m", "flows", "schema"]


def test_a_closed_output_gets_no_file_and_gives_no_traceback():
    done = subprocess.run(["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *SCHEMA], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    said = subprocess.run(["/bin/sh", "-c", 'exec "$@" >&-', "sh", *SCHEMA[:3], "find"], stderr=subprocess.PIPE, text=True)
    assert said.returncode == 2 and "the following arguments are required" in said.stderr


def test_an_output_that_nobody_reads_or_that_is_full_is_no_fault_of_the_home():
    reading, writing = os.pipe()
    os.close(reading)
    unread = subprocess.run(SCHEMA, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (unread.returncode, unread.stderr) == (0, "")
    with Path("/dev/full").open("w") as full:
        refused = subprocess.run(SCHEMA, stdout=full, stderr=subprocess.PIPE, text=True)
    assert refused.returncode == 1
    assert refused.stderr == "error: standard output: No space left on device: write it elsewhere; what was done is kept\n"


@pytest.mark.parametrize("stream", ["", "ascii"])
def test_in_a_locale_of_another_encoding_files_are_utf_8(tmp_path, stream):
    code = (
        "from pathlib import Path; from flows.cli.process import restart_in_utf8; restart_in_utf8()\n"
        "Path('page').write_text('\\u2605'); assert Path('page').read_bytes() == b'\\xe2\\x98\\x85'; print('\\u2605')"
    )
    ascii_locale = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"} | (
        {"PYTHONIOENCODING": stream} if stream else {}
    )
    environment = {**os.environ, **ascii_locale, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.strip() == (b"\\u2605" if stream else "\u2605".encode())


def test_a_limit_on_the_size_of_files_is_named_with_the_remedy(tmp_path):
    code = (
        "import sys; from pathlib import Path; from flows import __main__\n"
        "def large(_): Path('large').write_bytes(bytes(4096)); return 0\n"
        "__main__._schema = large; sys.argv = ['tunekeeper', 'schema']; __main__.main()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    small = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # noqa: E731
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=small
    )
    assert done.returncode == 1 and "raise this user's limit on the size of files (ulimit -f)" in done.stderr
