"""Long texts are prepared elsewhere, by turns, as short ones are where they are answered."""

import asyncio
import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import pytest
from serving_parts import TEXTS, Standing, served, service, version

from configs.errors import InfraError
from configs.schema import PATTERN_ENTITIES
from tasks.data.redaction.redact import OVER_BUDGET, Redactor
from tasks.serving.batcher import Prediction, QueueFull
from tasks.serving.text_preparation import AT_ONCE, MOST_WAITING, PIECE, PreparedTexts, Preparer, Recipe, prepare_texts

KEY = b"k" * 32
RECIPE = Recipe(False, PATTERN_ENTITIES, KEY)
OVER = "030 1234567 ~02079460958 123-45-6789\u0663(x" * 100  # costs more than a text of its length may
LONG = "write  to anna@example.org \n" * 60


class Elsewhere:
    """Runs what it is asked in this thread, when `release` is called; counts what was begun."""

    def __init__(self):
        self.waiting, self.pieces = [], []

    def submit(self, function, recipe, piece):
        future = Future()
        self.waiting.append((future, function, recipe, piece))
        return future

    def release(self):
        future, function, recipe, piece = self.waiting.pop(0)
        if future.set_running_or_notify_cancel():
            self.pieces.append(piece)
            future.set_result(function(recipe, piece))


def test_texts_are_prepared_as_a_model_prepares_them():
    texts = [LONG, "plain", "a\u00a0b"]
    expected = Redactor(PATTERN_ENTITIES, KEY).redact([" ".join(text.split()) if text != LONG else text for text in texts])
    done = prepare_texts(RECIPE, texts)
    assert done[1:] == expected[1:] and done[0].count("<EMAIL_ADDRESS:") == 60 and "anna" not in done[0]
    assert prepare_texts(Recipe(True, None), texts) == [LONG, "plain", "a b"]
    assert prepare_texts(RECIPE, ["fine", OVER]) == ["fine", None]


def test_the_key_of_a_recipe_is_not_shown():
    assert "kkk" not in repr(RECIPE) and "PHONE_NUMBER" in repr(RECIPE) and Recipe(False, PATTERN_ENTITIES) != RECIPE


def test_only_long_requests_go_elsewhere_and_come_back_prepared():
    with ThreadPoolExecutor(1) as pool:
        preparer = Preparer(pool.submit)
        short, long = asyncio.run(preparer.prepare(RECIPE, ["a b"])), asyncio.run(preparer.prepare(RECIPE, [LONG, "x", OVER]))
    assert short == ["a b"] and not isinstance(short[0], PreparedTexts)
    assert isinstance(long[0], PreparedTexts) and long[0] == prepare_texts(RECIPE, [LONG])[0] and long[1:] == ["x", None]
    assert asyncio.run(preparer.prepare(None, [LONG])) == [LONG]


def test_requests_take_turns_piece_by_piece():
    async def story():
        elsewhere = Elsewhere()
        preparer = Preparer(elsewhere.submit)
        large = asyncio.create_task(preparer.prepare(RECIPE, ["a" * PIECE] * 3))
        await asyncio.sleep(0)
        small = asyncio.create_task(preparer.prepare(RECIPE, ["b" * (AT_ONCE + 1)]))
        await asyncio.sleep(0)
        while not (large.done() and small.done()):
            if elsewhere.waiting:
                elsewhere.release()
            await asyncio.sleep(0.001)
        assert [piece[0][0] for piece in elsewhere.pieces] == ["a", "b", "a", "a"]

    asyncio.run(story())


def test_a_key_with_many_requests_has_no_more_turns_than_one_with_few():
    async def story():
        elsewhere = Elsewhere()
        preparer = Preparer(elsewhere.submit)
        many = [asyncio.create_task(preparer.prepare(RECIPE, ["a" * PIECE] * 2, "greedy")) for _ in range(50)]
        await asyncio.sleep(0)
        few = [asyncio.create_task(preparer.prepare(RECIPE, [name * PIECE] * 2, name)) for name in "bc"]
        await asyncio.sleep(0)
        for gone in many[10:]:
            gone.cancel()
        while not all(task.done() for task in (*many, *few)):
            if elsewhere.waiting:
                assert len(elsewhere.waiting) == 1
                elsewhere.release()
            await asyncio.sleep(0)
        assert "".join(piece[0][0] for piece in elsewhere.pieces) == "abcabc" + "a" * 18
        assert not preparer._waiting and not preparer._turns._waiting and not preparer._turns._taken

    asyncio.run(story())


def test_what_nobody_waits_for_any_more_is_not_begun():
    async def story():
        elsewhere = Elsewhere()
        preparer = Preparer(elsewhere.submit)
        gone = asyncio.create_task(preparer.prepare(RECIPE, ["a" * PIECE] * 3))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        elsewhere.release()
        assert not elsewhere.pieces and not elsewhere.waiting
        stays = asyncio.create_task(preparer.prepare(RECIPE, ["b" * MOST_WAITING]))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull, match="characters"):
            await preparer.prepare(RECIPE, ["c" * (AT_ONCE + 1)])
        stays.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stays
        elsewhere.waiting.clear()
        alone = asyncio.create_task(preparer.prepare(RECIPE, ["d" * (MOST_WAITING + 1)]))
        await asyncio.sleep(0)
        assert len(elsewhere.waiting) == 1
        alone.cancel()

    asyncio.run(story())


def test_a_process_that_is_ended_is_begun_again_and_the_request_does_not_notice():
    from tasks.common.processes import RestartedProcess

    with closing(RestartedProcess("tasks.serving.text_preparation")) as elsewhere:
        preparer = Preparer(elsewhere.submit)
        assert asyncio.run(preparer.prepare(RECIPE, [LONG])) == prepare_texts(RECIPE, [LONG])
        first = elsewhere.submit(os.getpid).result()
        assert first != os.getpid() and elsewhere.submit(os.nice, 0).result() == os.nice(0) + 10
        os.kill(first, signal.SIGKILL)
        assert asyncio.run(preparer.prepare(RECIPE, [LONG])) == prepare_texts(RECIPE, [LONG])
        assert elsewhere.submit(os.getpid).result() != first
        second = elsewhere.submit(os.getpid).result()
        held = elsewhere.submit(signal.pause)
        os.kill(second, signal.SIGKILL)
        with pytest.raises(InfraError):
            held.result(timeout=60)


def test_whatever_waits_for_a_process_that_is_ended_is_asked_again_or_told_so():
    from tasks.common.processes import HelperProcess, RestartedProcess

    with closing(RestartedProcess("tasks.serving.text_preparation")) as elsewhere:
        first = elsewhere.submit(os.getpid).result()
        held, *queued = [elsewhere.submit(signal.pause), *(elsewhere.submit(os.getpid) for _ in range(20))]
        os.kill(first, signal.SIGKILL)
        assert elsewhere.result(os.getpid) != first
        assert {type(future.exception()) for future in (held, *queued)} == {InfraError}
        with pytest.raises(InfraError):
            elsewhere.result(signal.raise_signal, signal.SIGKILL)
    beside = HelperProcess("tasks.serving.text_preparation")
    waiting = [beside.submit(signal.pause) for _ in range(3)]
    beside.close()
    assert {type(future.exception()) for future in waiting} == {InfraError}


def test_many_requests_that_wait_when_the_process_is_ended_are_all_answered():
    from tasks.common.processes import RestartedProcess

    with closing(RestartedProcess("tasks.serving.text_preparation")) as elsewhere:

        async def story():
            preparer = Preparer(elsewhere.submit)
            pid = elsewhere.submit(os.getpid).result()
            held = elsewhere.submit(signal.pause)
            requests = [asyncio.create_task(preparer.prepare(RECIPE, [LONG])) for _ in range(20)]
            await asyncio.sleep(0)
            os.kill(pid, signal.SIGKILL)
            assert await asyncio.gather(*requests) == [prepare_texts(RECIPE, [LONG])] * 20
            assert type(held.exception()) is InfraError

        asyncio.run(story())


@pytest.fixture(scope="module")
def redacting(bert_folder, tmp_path_factory):
    """A version that redacts, ready to answer."""
    from tasks.serving.packaged_model import load_package
    from tasks.serving.predictor import make_ready

    home = tmp_path_factory.mktemp("home")
    return make_ready("7", load_package(version(home / "one", bert_folder, 1, home=home), bert_folder, home, {}))


def test_a_model_answers_what_is_prepared_as_what_is_not_and_nothing_over_its_budget(redacting):
    texts = [*TEXTS[:3], LONG, "mail anna@example.org"]
    plain = redacting.answers(texts)
    ready = [None if text is None else PreparedTexts(text) for text in prepare_texts(redacting.recipe, texts)]
    assert redacting.answers(ready) == plain and redacting.answers([texts[0], ready[3]]) == [plain[0], plain[3]]
    said = redacting.answers([TEXTS[0], OVER, TEXTS[1]])
    assert said[1] is None and [said[0].prediction, said[2].prediction] == [plain[0].prediction, plain[1].prediction]
    assert redacting.answers([OVER]) == [None] and redacting.answers([]) == []


@pytest.mark.parametrize("over", [OVER, OVER[:990]])
def test_a_request_over_its_budget_is_refused_and_not_logged(redacting, tmp_path, over):
    from tasks.traffic.log import open_traffic, read_answers

    traffic = open_traffic(tmp_path, "tiny")
    parts = service(Standing(redacting), traffic, max_body_bytes=100_000)
    with served(parts.__class__(**{**vars(parts), "max_characters": 100_000})) as asker:
        status, _, said = asker("POST", "/predict", {"texts": [TEXTS[0], over]})
        if len(over) > AT_ONCE or status == 422:  # short ones are seldom over
            assert status == 422 and said["error"]["what"] == OVER_BUDGET and said["error"]["where"] == "body.texts.1"
        assert len(asker.predict(TEXTS[1])["answers"]) == 1
    traffic.close()
    assert TEXTS[0] not in set(read_answers(tmp_path, "tiny")["text"]) or status == 200


def test_texts_that_cannot_be_prepared_now_are_put_off(redacting):
    def submit(*_):
        future = Future()
        future.set_exception(InfraError("the process beside this one was ended"))
        return future

    parts = service(Standing(redacting), max_body_bytes=100_000)
    with served(parts.__class__(**{**vars(parts), "max_characters": 100_000, "submit": submit})) as asker:
        status, headers, said = asker("POST", "/predict", {"text": LONG})
        assert (status, headers["Retry-After"]) == (503, "1") and "again" in said["error"]["remedy"]
        asker.predict(TEXTS[0])


def test_a_caller_who_goes_is_dropped_and_the_next_one_answered(tmp_path):
    import socket
    import threading

    class Slow:
        version, recipe, begun = "1", None, []

        def __init__(self):
            self.gate = threading.Event()

        def answers(self, texts):
            self.begun.append(list(texts))
            self.gate.wait(20)
            return [Prediction(text, "red first", 0.5) for text in texts]

    slow = Slow()
    with served(service(Standing(slow), max_batch=1)) as asker:
        body = b'{"text": "%b"}'
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        callers = []
        for name in (b"held", b"gone"):
            callers.append(socket.create_connection(("127.0.0.1", asker.port)))
            callers[-1].sendall(head % len(body % name) + body % name)
            while f"tunekeeper_waiting {len(callers)}.0" not in asker("GET", "/metrics")[2]:
                pass
        callers[1].close()
        while "tunekeeper_waiting 1.0" not in asker("GET", "/metrics")[2]:
            pass
        slow.gate.set()
        asker.predict("next")
        callers[0].close()
        assert slow.begun == [["held"], ["next"]]
        assert 'status="499"' in asker("GET", "/metrics")[2]
