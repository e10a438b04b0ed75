"""Connections that send nothing, or little, or are too many, are closed; the others are answered."""

import asyncio
import contextlib
import json
import resource
import socket
import subprocess
import sys
import threading
import time

import pytest
import uvicorn
from serving_parts import Standing, served, service
from uvicorn.server import ServerState

from tasks.serving.batcher import Prediction
from tasks.serving.http.connections import BACKLOG, LEAST_READ, RESERVED_FILES, bounded_protocol, connection_room
from tasks.serving.http.waiting import SENDING_SECONDS, YOUNG_SECONDS

CHUNKED = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

HALF = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"
REST = b'"text": "a"}'
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Ready:
    version, recipe = "1", None

    def answers(self, texts):
        return [Prediction(text, "red first", 0.5) for text in texts]


def opened(port, sent=b""):
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(sent)
    return connection


def received(connection):
    """All that comes until the connection is closed."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(10_000):
            parts.append(part)
    connection.close()
    return b"".join(parts)


def healthy(connection, answers):
    """So many whole answers come."""
    came = b""
    while came.count(b"}") < answers:
        came += connection.recv(10_000)
    assert came.count(b"HTTP/1.1 200") == answers


@pytest.mark.parametrize("sent", [b"", b"POST /pred", b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"])
def test_headers_that_do_not_come_are_not_waited_for(sent):
    with served(service(Standing(Ready())), header_seconds=0.3) as asker:
        head, _, body = received(opened(asker.port, sent)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408") and json.loads(body)["error"].keys() == {"what", "where", "remedy"}
        asker.predict("a")


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\0\r\n\r\n", b"GET /health HTTP/1.1\r\n\r\n", CHUNKED % b"/predict" + b"zz\r\n"]
)
def test_what_is_no_http_is_refused_in_the_form_of_every_refusal(sent):
    with served(service(Standing(Ready()))) as asker:
        head, _, body = received(opened(asker.port, sent)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400") and head.count(b"HTTP/1.1") == 1
        said = json.loads(body)["error"]
        assert said.keys() == {"what", "where", "remedy"} and said["where"] == "connection" and "https" in said["remedy"]
        asker.predict("a")


def test_a_request_that_says_twice_where_its_body_ends_is_refused_and_what_follows_is_not_read():
    with served(service(Standing(Ready()))) as asker:
        body = b'13\r\n{"text": "a"}      \r\n0\r\n\r\n'
        sent = (CHUNKED % b"/predict")[:-2] + b"Content-Length: 4\r\n\r\n" + body + HEALTH
        head, _, answer = received(opened(asker.port, sent)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400") and b"connection: close" in head.lower()
        assert json.loads(answer)["error"]["where"] == "header Content-Length"
        asker.predict("a")


@pytest.mark.parametrize("header", [b"X-API-Key: %b", b"Authorization: Bearer %b"])
def test_a_request_with_two_keys_is_refused_whichever_of_them_is_known(header):
    keys = (b"0123456789abcdefX", b"0123456789abcdefY")
    with served(service(Standing(Ready()), keys=[key.decode() for key in keys])) as asker:
        for pair in (keys, keys[::-1], (keys[0], b"unknown")):
            lines = b"".join(header % key + b"\r\n" for key in pair)
            came = received(opened(asker.port, HEALTH[:-2] + lines + b"Connection: close\r\n\r\n"))
            assert came.startswith(b"HTTP/1.1 400") and not any(key in came for key in pair)


def test_what_is_no_http_after_the_answer_ends_the_connection_and_nothing_is_said_of_it(caplog):
    with served(service(Standing(Ready()))) as asker:
        connection = opened(asker.port, CHUNKED % b"/nowhere" + b"3\r\nabc\r\n")
        came = b""
        while not came.endswith(b"}}"):
            came += connection.recv(10_000)
        connection.sendall(b"zz\r\n")
        assert came.startswith(b"HTTP/1.1 404") and received(connection) == b""
        asker.predict("a")
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_an_upgrade_that_is_not_offered_is_answered_as_without_it_and_nothing_is_said_of_it(caplog, protocol):
    headers = b"Connection: Upgrade\r\nUpgrade: %b\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    with served(service(Standing(Ready()))) as asker:
        connection = opened(asker.port, HEALTH[:-2] + headers % protocol + b"\r\n")
        healthy(connection, 1)
        connection.close()
    assert caplog.text == ""


def test_a_byte_now_and_then_does_not_put_the_deadline_off():
    with served(service(Standing(Ready())), header_seconds=0.5) as asker:
        slow = opened(asker.port, b"POST /predict HTTP/1.1\r\n")
        slow.settimeout(0.05)
        answer = b""
        while not answer:
            try:
                slow.sendall(b"X: y\r\n")
                answer = slow.recv(100)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408")
        slow.close()


def test_a_connection_that_stays_open_is_asked_again_and_its_next_headers_have_a_deadline_too():
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with served(service(Standing(Ready())), header_seconds=0.5) as asker:
        kept = opened(asker.port)
        for _ in range(3):
            kept.sendall(request)
            healthy(kept, 1)
        time.sleep(0.8)  # idle, it may stay
        kept.sendall(request + request)
        healthy(kept, 2)
        kept.sendall(b"GET /hea")
        assert received(kept).startswith(b"HTTP/1.1 408")


def test_one_too_many_closes_the_one_that_waits_longest():
    with served(service(Standing(Ready()), max_connections=8)) as asker:
        half = []
        for _ in range(20):
            half.append(opened(asker.port, b"POST /predict HTTP/1.1\r\n"))
            time.sleep(0.05)
        for _ in range(3):
            time.sleep(2 * YOUNG_SECONDS)
            asker.predict("a")
        assert received(half[0]) == b""
        for each in half[1:]:
            each.close()


def test_one_that_was_answered_stays_while_others_come_that_ask_nothing():
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with served(service(Standing(Ready()), max_connections=8)) as asker:
        kept, half = opened(asker.port, request), []
        healthy(kept, 1)
        for _ in range(20):
            half.append(opened(asker.port, b"POST /predict HTTP/1.1\r\n"))
            time.sleep(0.03)
        time.sleep(2 * YOUNG_SECONDS)
        kept.sendall(request)
        healthy(kept, 1)
        for each in (kept, *half):
            each.close()


def told_to_send_again(connection):
    head, _, body = received(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503") and b"send it again" in body, head
    return True


def test_bodies_that_do_not_come_hold_no_place_longest_first():
    with served(service(Standing(Ready()), max_connections=8)) as asker:
        half = [opened(asker.port, HALF) for _ in range(8)]
        for sent in range(1, 4):
            time.sleep(2 * SENDING_SECONDS)
            half[0].sendall(REST[sent : sent + 1])  # a byte now and then puts nothing off
            assert asker("GET", "/health")[0] == 200 and asker("GET", "/ready")[0] == 200
            asker.predict("a")
            assert told_to_send_again(half.pop(0))
            half.append(opened(asker.port, HALF))
        for each in half:
            each.close()


def test_a_body_is_waited_for_while_there_is_room_and_longer_than_those_that_ask_nothing():
    with served(service(Standing(Ready()), max_connections=8)) as asker:
        slow, mute = opened(asker.port, HALF), [opened(asker.port) for _ in range(7)]
        time.sleep(2 * YOUNG_SECONDS)
        for _ in range(5):
            asker.predict("a")
        slow.sendall(REST)
        healthy(slow, 1)
        for each in (slow, *mute):
            each.close()


def test_a_body_that_follows_an_answered_request_holds_no_place_either():
    with served(service(Standing(Ready()), max_connections=8)) as asker:
        half = [opened(asker.port, HEALTH + HALF) for _ in range(8)]
        for each in half:
            healthy(each, 1)
        time.sleep(2 * SENDING_SECONDS)
        asker.predict("a")
        assert told_to_send_again(half[0])
        half[1].sendall(REST)
        healthy(half[1], 1)
        for each in half[1:]:
            each.close()


def test_where_all_are_being_answered_one_more_is_told_so():
    class Held(Ready):
        gate = threading.Event()

        def answers(self, texts):
            self.gate.wait(20)
            return super().answers(texts)

    held, body = Held(), b'{"text": "a"}'
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with served(service(Standing(held), max_connections=8)) as asker:
        callers = [opened(asker.port, head % len(body) + body) for _ in range(8)]
        answer = received(opened(asker.port))
        assert answer.startswith(b"HTTP/1.1 503") and b"8 connections are being answered" in answer
        held.gate.set()
        assert all(received(each).startswith(b"HTTP/1.1 200") for each in callers)
        asker.predict("a")


def test_whoever_asks_and_never_reads_is_cut_off():
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100
    with served(service(Standing(Ready()), max_connections=8), read_seconds=0.2) as asker:
        deaf = []
        for _ in range(8):
            deaf.append(socket.socket())
            deaf[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf[-1].settimeout(20)
            deaf[-1].connect(("127.0.0.1", asker.port))
        for each in deaf:
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                while True:
                    each.sendall(request)
            each.close()
        asker.predict("a")


class Unread:
    """The server's end of a connection: `size` bytes wait to be read by the other side."""

    def __init__(self, size):
        self.size, self.closed, self.aborted = size, False, False

    def get_write_buffer_size(self):
        return self.size

    def get_extra_info(self, name):
        return None

    def write(self, data):
        self.size += len(data)

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def abort(self):
        self.aborted = True


@pytest.mark.parametrize("end", ["leave", "refuse", "timeout_keep_alive_handler", "send_400_response", "shutdown", "pause_writing"])
def test_however_it_is_closed_a_connection_whose_answers_are_not_read_ends(end):
    given = {"refuse": (b"503 Service Unavailable", "full", "later"), "send_400_response": ("bad",)}.get(end, ())

    async def story():
        config = uvicorn.Config(None, ws="none", log_config=None)
        config.load()
        connection = bounded_protocol(8, 20, 20)(config, ServerState(), {})
        connection.connection_made(Unread(3 * LEAST_READ))
        getattr(connection, end)(*given)
        before, first = connection.transport.size, connection._cut
        connection.transport.size -= LEAST_READ  # whoever goes on reading goes on being waited for
        connection._cut_off(before)
        assert connection._cut is not first and not connection.transport.aborted
        connection._cut_off(before - LEAST_READ)
        assert connection.transport.aborted

    asyncio.run(story())


def test_there_is_room_for_what_is_taken_beside_what_is_had():
    for files in (256, 1024, 4096, 65_536):
        backlog, most = connection_room(1000, files)
        assert 0 < backlog <= BACKLOG and 0 < most <= 1000 and backlog + most <= max(16, files - RESERVED_FILES)
    assert connection_room(1000, 65_536) == (BACKLOG, 1000)


def test_as_many_files_as_the_system_allows_may_be_open():
    code = (
        "import resource; from tasks.serving.http.connections import raise_open_files\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, min(hard, 2048) if hard > 0 else 2048))\n"
        "assert raise_open_files() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)); assert raise_open_files() == 128\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64
