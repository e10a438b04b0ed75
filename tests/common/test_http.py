"""Short requests: whatever stands at the other end, an answer comes, or the reason why there is none."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from tasks.common.http import LONGEST, basic_auth, fetch

ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"


@contextmanager
def peer(*blocks, pause=0.0):
    """A port at which each caller gets these bytes, block after block, and then the end; yields its URL and what callers sent."""
    requests = []

    def answer(connection):
        with connection:
            requests.append(connection.recv(1 << 16).decode())
            for block in blocks:
                try:
                    connection.sendall(block)
                except OSError:  # the caller has left
                    return
                time.sleep(pause)

    def listen(listening):
        while True:
            try:
                connection = listening.accept()[0]
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=listen, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", requests


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ((b"SSH-2.0-OpenSSH_9.9\r\n",), "speaks no HTTP"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12",), "ended within the answer"),
        ((b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\n12",), "ended within the answer"),
        ((ENDLESS, *[bytes(1 << 20)] * (1 + (LONGEST >> 20))), "longer than"),
    ],
)
def test_what_is_no_whole_answer_is_a_reason_and_no_crash(blocks, reason):
    with peer(*blocks) as (url, _):
        answer = fetch(url)
    assert answer.status == 0 and reason in answer.text


@pytest.mark.parametrize("status", ["200 OK", "500 No"])
def test_an_answer_that_comes_by_drops_is_given_up(status):
    drops = [f"HTTP/1.1 {status}\r\nContent-Length: 60\r\n\r\n".encode(), *[b"x"] * 60]
    with peer(*drops, pause=0.02) as (url, _):
        answer = fetch(url, seconds=0.3)
    assert (answer.status, answer.text) == (0, "timed out")


def test_a_login_is_not_sent_on_to_another_server():
    with peer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as (other, strangers):
        head = f"HTTP/1.1 302 There\r\nLocation: {other}/there\r\nContent-Length: 0\r\n\r\n".encode()
        with peer(head) as (url, own):
            assert fetch(f"{url}/here", headers={"Authorization": basic_auth("me:word")}).text == "ok"
    assert "Authorization" in own[0] and "Authorization" not in strangers[0]
