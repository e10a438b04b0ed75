"""Callers who ask for much, or read little: the others are answered, and memory stays as it was."""

import json
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from writing_parts import CHAT, PROMPTS, Stream, chat_base, load_kept, ready, writing

COMPLETIONS, CHATS = "/v1/completions", "/v1/chat/completions"
MIB = 2**20


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    return load_kept(chat_base(folder / "base"), folder, max_length=60, new_tokens=30)


@pytest.fixture(scope="module")
def expected(kept):
    return kept.predict(PROMPTS)["text"].tolist()


@pytest.fixture(scope="module")
def model(kept, expected):
    return ready(kept)


def text_of(events):
    return "".join(event["choices"][0]["text"] for event in events[:-1])


def test_a_hundred_streams_at_once_get_their_own_answers_in_a_batch_that_is_never_larger_than_it_may_be(model, expected):
    def ask(place):
        asked = {"model": "tiny", "prompt": PROMPTS[place % len(PROMPTS)], "temperature": 0, "stream": True}
        return text_of(Stream(asker.port, COMPLETIONS, asked).all())

    with writing(model, max_batch=16) as asker, ThreadPoolExecutor(100) as pool:
        assert list(pool.map(ask, range(100))) == [expected[place % len(PROMPTS)] for place in range(100)]
        counted = dict(line.rpartition(" ")[::2] for line in asker("GET", "/metrics")[2].splitlines() if not line.startswith("#"))
        assert asker("GET", "/ready")[2]["waiting"] == 0
    assert counted['tunekeeper_batch_rows_bucket{le="16.0"}'] == counted["tunekeeper_batch_rows_count"]
    assert float(counted["tunekeeper_batch_rows_sum"]) / float(counted["tunekeeper_batch_rows_count"]) > 2


def silent_stream(port, body, room=4096):
    """A caller that asks for a stream and never reads a byte of it."""
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    caller.connect(("127.0.0.1", port))
    sent = json.dumps(body).encode()
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    caller.sendall((head % len(sent)).encode() + sent)
    return caller


def test_callers_who_read_nothing_hold_up_nobody_and_take_no_memory(model, expected):
    body = {"model": "tiny", "prompt": ["kale"] * 2, "n": 4, "temperature": 2, "max_tokens": 55, "stream": True}
    with writing(model, max_batch=32) as asker:
        asker("POST", COMPLETIONS, {**body, "stream": False})
        process = psutil.Process()
        before = process.memory_info().rss
        callers = [silent_stream(asker.port, body) for _ in range(40)]  # 320 answers, a tenth of a megabyte of events each
        asked = {"model": "tiny", "prompt": PROMPTS[0], "temperature": 0}
        for _ in range(5):
            assert asker("POST", COMPLETIONS, asked)[2]["choices"][0]["text"] == expected[0]
        deadline = time.monotonic() + 30
        while asker("GET", "/ready")[2]["waiting"] and time.monotonic() < deadline:
            time.sleep(0.05)  # some may be cut off for not reading, where the system's own buffers are small
        assert process.memory_info().rss - before < 100 * MIB
        for caller in callers:
            caller.close()
        deadline = time.monotonic() + 60
        while asker("GET", "/ready")[2]["waiting"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize("path", [COMPLETIONS, CHATS])
def test_prompts_of_a_megabyte_are_refused_and_hold_up_nobody(model, expected, path):
    long = "kale " * 200_000
    body = {"model": "tiny", **({"prompt": long} if path == COMPLETIONS else {"messages": [{"role": "user", "content": long}]})}
    with writing(model, max_body_bytes=2_000_000) as asker:
        answers = []
        senders = [threading.Thread(target=lambda: answers.append(asker("POST", path, body)[0])) for _ in range(5)]
        for sender in senders:
            sender.start()
        said = asker("POST", COMPLETIONS, {"model": "tiny", "prompt": PROMPTS[0], "temperature": 0})[2]
        assert said["choices"][0]["text"] == expected[0]
        for sender in senders:
            sender.join()
    assert answers == [400] * 5


def test_what_asks_for_much_in_little_is_refused_at_once(model):
    with writing(model, max_body_bytes=2_000_000) as asker:
        for body in (
            {"model": "tiny", "prompt": ["a"] * 300_000},
            {"model": "tiny", "prompt": [{}] * 300_000},
            {"model": "tiny", "prompt": "a", "stop": ["a"] * 300_000},
            {"model": "tiny", "prompt": "a", "n": 10**9, "max_tokens": 10**18},
            {"model": "tiny", "prompt": "a", "max_tokens": 10**400},
            {"model": "t" * 10**6, "prompt": "a"},
        ):
            status, _, said = asker("POST", COMPLETIONS, body)
            assert status in (400, 404) and len(json.dumps(said)) < 2000, said
        for messages in (
            [{}] * 300_000,
            [CHAT[0]] * 30_000,
            [{"role": "user", "content": [{"type": "text", "text": "a"}] * 40_000}],
        ):
            status, _, said = asker("POST", CHATS, {"model": "tiny", "messages": messages})
            assert status == 400 and len(json.dumps(said)) < 2000, said
        deep = b'{"model": "tiny", "prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        assert asker("POST", COMPLETIONS, deep)[0] == 400


@pytest.mark.slow
def test_while_versions_change_and_callers_leave_the_others_get_whole_answers_of_one_version(model, expected, tmp_path):
    other = load_kept(chat_base(tmp_path / "base"), tmp_path, seed=2, max_length=60, new_tokens=30)
    wanted = {"7": expected, "8": other.predict(PROMPTS)["text"].tolist()}
    models = model, ready(other, "8")
    deadline = time.monotonic() + 4

    def client(number):
        draw, whole = random.Random(number), 0
        while time.monotonic() < deadline:
            asker.champion.current = draw.choice(models)
            place = draw.randrange(len(PROMPTS))
            asked = {"model": "tiny", "prompt": PROMPTS[place], "temperature": 0}
            match draw.randrange(3):
                case 0:
                    said = asker("POST", COMPLETIONS, asked)[2]
                    assert said["choices"][0]["text"] == wanted[said["system_fingerprint"]][place]
                case 1:
                    events = Stream(asker.port, COMPLETIONS, {**asked, "stream": True}).all()
                    assert text_of(events) == wanted[events[0]["system_fingerprint"]][place]
                case _:
                    sampled = {"messages": CHAT, "temperature": 2, "n": 4, "max_tokens": 40, "stream": True}
                    leaving = Stream(asker.port, CHATS, {"model": "tiny", **sampled})
                    for _ in range(draw.randrange(4)):
                        leaving.next()
                    leaving.close()
                    continue
            whole += 1
        return whole

    with writing(model, max_batch=16) as asker:
        with ThreadPoolExecutor(20) as pool:
            assert sum(pool.map(client, range(20))) > 20
        deadline = time.monotonic() + 20
        while asker("GET", "/ready")[2]["waiting"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
