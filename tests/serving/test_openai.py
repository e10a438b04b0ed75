"""Completions and chats over HTTP, in OpenAI's form: what is answered, streamed, refused, logged."""

import re
import threading
import time

import pytest
import tiny
from serving_parts import Standing, served, service
from transformers import AddedToken
from writing_parts import CHAT, PROMPTS, Gate, Stream, chat_base, gated, load_kept, ready, writing

from configs.errors import InputError

HEX = re.compile("[0-9a-f]{32}")
COMPLETIONS, CHATS = "/v1/completions", "/v1/chat/completions"
KEYS = ("app:ask+feedback:key-of-the-application", "graphs:metrics:key-of-prometheus")


def bearer(key):
    return {"Authorization": f"Bearer {key.rpartition(':')[2]}"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return chat_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def kept(base, home):
    return load_kept(base, home / "one", home=home)


@pytest.fixture(scope="module")
def expected(kept):
    return kept.predict(PROMPTS)["text"].tolist()


@pytest.fixture(scope="module")
def model(kept, expected):
    return ready(kept)


@pytest.fixture(scope="module")
def ask(model):
    with writing(model) as asker:
        yield asker


@pytest.fixture
def gate():
    one = Gate()
    yield one
    one.open_all()


def fault(asked, status):
    """The error of an answer that must be one, in OpenAI's form and no other."""
    found, headers, said = asked
    assert found == status, said
    assert headers["Content-Type"] == "application/json" and said.keys() == {"error"}
    assert said["error"].keys() == {"message", "type", "param", "code"} and said["error"]["message"] and said["error"]["type"]
    return said["error"]


def complete(ask, status=200, headers=None, **body):
    asked = ask("POST", COMPLETIONS, {"model": "tiny", "prompt": PROMPTS[0], "temperature": 0, **body}, headers)
    return asked[2] if status == 200 and asked[0] == 200 else fault(asked, status)


def wait_until(seen, seconds=20):
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_completion_is_what_the_kept_model_writes_greedily_with_all_that_clients_read(ask, kept, expected):
    said = complete(ask)
    assert said["object"] == "text_completion" and said["model"] == "tiny@7" and said["system_fingerprint"] == "7"
    assert abs(said["created"] - time.time()) < 60 and HEX.fullmatch(said["id"])
    (choice,) = said["choices"]
    assert choice["text"] == expected[0] and choice["index"] == 0 and choice["id"] == said["id"] and choice["logprobs"] is None
    assert choice["finish_reason"] in ("stop", "length")
    assert said["usage"]["prompt_tokens"] == len(kept.network.tokenizer(PROMPTS[0])["input_ids"])
    assert said["usage"]["total_tokens"] == said["usage"]["prompt_tokens"] + said["usage"]["completion_tokens"]


def test_several_prompts_are_answered_in_their_order_each_answer_with_an_id_of_its_own(ask, expected):
    said = complete(ask, prompt=PROMPTS)
    assert [choice["text"] for choice in said["choices"]] == expected
    assert [choice["index"] for choice in said["choices"]] == list(range(len(PROMPTS)))
    assert len({choice["id"] for choice in said["choices"]}) == len(PROMPTS)
    assert ask.predict(*PROMPTS)["answers"][3]["text"] == expected[3]


def test_an_answer_that_reaches_its_longest_length_says_so(ask):
    said = complete(ask, prompt=PROMPTS, max_tokens=1)
    ended = {choice["finish_reason"] for choice in said["choices"]}
    assert "length" in ended and said["usage"]["completion_tokens"] == len(PROMPTS)


def test_a_chat_is_read_through_the_template_of_the_model(ask, kept):
    rendered = "system kale lost user mira sole assistant"
    asked = {"model": "tiny@7", "messages": CHAT, "temperature": 0, "max_completion_tokens": 8}
    status, _, said = ask("POST", CHATS, asked)
    assert status == 200 and said["object"] == "chat.completion"
    assert said["choices"][0]["message"] == {"role": "assistant", "content": kept.predict([rendered])["text"][0]}
    parts = [CHAT[0], {"role": "user", "content": [{"type": "text", "text": "mira"}, {"type": "text", "text": "sole"}]}]
    assert ask("POST", CHATS, {**asked, "messages": parts})[0] == 200


def test_the_same_seed_gives_the_same_answers_and_several_of_them_differ(ask):
    sampled = {"temperature": 2, "seed": 5, "n": 4, "max_tokens": 12}
    first, again, other = (complete(ask, **{**sampled, "seed": seed}) for seed in (5, 5, 6))
    texts = [[choice["text"] for choice in said["choices"]] for said in (first, again, other)]
    assert texts[0] == texts[1] != texts[2] and len(set(texts[0])) > 1
    assert complete(ask, **{**sampled, "n": 1})["choices"][0]["text"] == texts[0][0]
    assert complete(ask, **{**sampled, "seed": None}) != complete(ask, **{**sampled, "seed": None})
    assert complete(ask, **{**sampled, "seed": -(2**63)})["choices"]


def test_an_answer_ends_before_a_stop_word(ask, expected):
    long = next(place for place, text in enumerate(expected) if len(set(text.split())) > 1)
    words = expected[long].split()
    second = next(word for word in words if word != words[0])
    said = complete(ask, prompt=PROMPTS[long], stop=["nothing", second])["choices"][0]
    assert said["text"] == expected[long].partition(second)[0].strip() and said["finish_reason"] == "stop"


def test_an_encoder_decoder_completes_and_reads_no_messages(bart_folder, tmp_path):
    kept = load_kept(bart_folder, tmp_path, "text2text-generation")
    expected = kept.predict(PROMPTS)["text"].tolist()
    with writing(ready(kept), "text2text-generation") as asker:
        assert [choice["text"] for choice in complete(asker, prompt=PROMPTS)["choices"]] == expected
        said = fault(asker("POST", CHATS, {"model": "tiny", "messages": CHAT}), 400)
        assert said["code"] == "no_chat_template" and "/v1/completions" in said["message"]


def test_what_changes_nothing_is_read_over(ask, expected):
    harmless = {
        "user": "u", "metadata": {"a": "b"}, "store": True, "logprobs": None, "echo": False, "frequency_penalty": 0,
        "presence_penalty": 0.0, "logit_bias": {}, "best_of": 1, "suffix": None, "n": 1, "stop": None, "seed": None,
        "max_tokens": None,
    }  # fmt: skip
    assert complete(ask, **harmless)["choices"][0]["text"] == expected[0]
    neutral = {
        "tools": [],
        "tool_choice": "none",
        "response_format": {"type": "text"},
        "parallel_tool_calls": True,
        "logprobs": False,
    }
    assert ask("POST", CHATS, {"model": "tiny", "messages": CHAT, **neutral})[0] == 200
    back = {"role": "assistant", "content": "kale", "refusal": None, "tool_calls": None, "annotations": []}
    assert ask("POST", CHATS, {"model": "tiny", "messages": [*CHAT, back, CHAT[1]]})[0] == 200


def test_the_names_of_the_model_and_of_its_version_are_listed(ask):
    status, _, said = ask("GET", "/v1/models")
    assert status == 200 and [one["id"] for one in said["data"]] == ["tiny", "tiny@7"]
    with writing(None) as asker:
        asker.champion.standing = asker.champion.standing.__class__()
        assert [one["id"] for one in asker("GET", "/v1/models")[2]["data"]] == ["tiny"]


def test_predict_and_completions_at_once_answer_alike(ask, expected):
    from concurrent.futures import ThreadPoolExecutor

    def either(place):
        if place % 2:
            return ask.predict(PROMPTS[place % len(PROMPTS)])["answers"][0]["text"]
        return complete(ask, prompt=PROMPTS[place % len(PROMPTS)])["choices"][0]["text"]

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(either, range(120))) == [expected[place % len(PROMPTS)] for place in range(120)]


# --- streams ---------------------------------------------------------------------------------------------------------


def test_a_stream_gives_the_same_text_in_pieces_and_ends_with_done(ask, expected):
    for place, prompt in enumerate(PROMPTS):
        stream = Stream(ask.port, COMPLETIONS, {"model": "tiny", "prompt": prompt, "temperature": 0, "stream": True})
        assert stream.answer.status == 200 and stream.answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        *events, done = stream.all()
        assert done == "[DONE]" and len({event["id"] for event in events}) == 1 and "usage" not in events[-1]
        choices = [event["choices"][0] for event in events]
        assert "".join(choice["text"] for choice in choices) == expected[place]
        assert [choice["finish_reason"] for choice in choices[:-1]] == [None] * (len(choices) - 1)
        assert choices[-1]["finish_reason"] in ("stop", "length")


def test_a_stream_of_a_chat_says_first_who_speaks_and_last_how_many_tokens_there_were(ask):
    asked = {"model": "tiny", "messages": CHAT, "temperature": 2, "seed": 3, "n": 2, "max_tokens": 9}
    *events, usage, done = Stream(ask.port, CHATS, {**asked, "stream": True, "stream_options": {"include_usage": True}}).all()
    whole = ask("POST", CHATS, asked)[2]
    assert done == "[DONE]" and usage["choices"] == [] and usage["usage"] == whole["usage"]
    for index in range(2):
        mine = [event["choices"][0] for event in events if event["choices"][0]["index"] == index]
        assert mine[0]["delta"] == {"role": "assistant", "content": ""} and mine[-1]["delta"] == {}
        assert "".join(choice["delta"].get("content", "") for choice in mine) == whole["choices"][index]["message"]["content"]
        assert mine[-1]["finish_reason"] == whole["choices"][index]["finish_reason"]


def test_a_piece_is_sent_as_soon_as_it_is_written(model, gate):
    with writing(gated(model, gate)) as asker:
        asked = {"model": "tiny", "messages": CHAT, "temperature": 2, "seed": 1, "max_tokens": 16, "stream": True}
        stream = Stream(asker.port, CHATS, asked)
        first = stream.next()["choices"][0]
        assert gate.seen <= 1 and first["delta"]["role"] == "assistant"
        gate.let(3)
        while not first["delta"]["content"]:
            first = stream.next()["choices"][0]
        assert gate.seen <= 4 and first["finish_reason"] is None
        gate.open_all()
        assert stream.all()[-1] == "[DONE]"


def test_a_caller_who_goes_frees_the_place_and_the_cut_answer_is_not_logged(model, gate, tmp_path):
    from tasks.traffic.log import open_traffic, read_answers

    traffic = open_traffic(tmp_path, "tiny")
    with writing(gated(model, gate), traffic=traffic, max_batch=1) as asker:
        asked = {"model": "tiny", "messages": CHAT, "temperature": 2, "seed": 1, "max_tokens": 24, "stream": True}
        stream = Stream(asker.port, CHATS, asked)
        stream.next()
        assert asker("GET", "/ready")[2]["waiting"] == 1
        stream.close()
        wait_until(lambda: asker("GET", "/ready")[2]["waiting"] == 0)
        gate.open_all()
        said = complete(asker)
    traffic.close()
    assert read_answers(tmp_path, "tiny")["id"].tolist() == [said["id"]]


def test_a_caller_who_goes_before_the_answer_frees_the_place_too(model, gate):
    with writing(gated(model, gate)) as asker:
        body = {"model": "tiny", "prompt": PROMPTS, "temperature": 2, "max_tokens": 24}

        def leave():
            with pytest.raises(OSError):
                asker("POST", COMPLETIONS, body, timeout=0.3)

        going = threading.Thread(target=leave)
        going.start()
        wait_until(lambda: asker("GET", "/ready")[2]["waiting"] == len(PROMPTS))
        going.join()
        wait_until(lambda: asker("GET", "/ready")[2]["waiting"] == 0)
        gate.open_all()


def test_a_new_champion_in_mid_stream_answers_new_callers_and_the_old_one_its_own_to_the_end(model, base, gate, tmp_path):
    other = ready(load_kept(base, tmp_path, seed=2), "8")
    asked = {"model": "tiny", "messages": CHAT, "temperature": 2, "seed": 1, "max_tokens": 16, "stream": True}
    with writing(model) as asker:
        expected = [Stream(asker.port, CHATS, asked).all()]
        asker.champion.current = other
        expected.append(Stream(asker.port, CHATS, asked).all())
    with writing(gated(model, gate)) as asker:
        old = Stream(asker.port, CHATS, asked)
        begun = [old.next()]
        asker.champion.current = other
        gate.open_all()
        new = Stream(asker.port, CHATS, asked).all()
        assert fault(asker("POST", CHATS, {**asked, "model": "tiny@7"}), 404)["code"] == "model_not_found"
        events = [*begun, *old.all()]
    for said, wanted, version in ((events, expected[0], "7"), (new, expected[1], "8")):
        assert {event["system_fingerprint"] for event in said[:-1]} == {version}
        texts = ["".join(event["choices"][0]["delta"].get("content", "") for event in one[:-1]) for one in (said, wanted)]
        assert texts[0] == texts[1]


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"n": 9}, "n", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 10**30}, "n", "invalid_value"),
        ({"n": 8, "prompt": ["kale"] * 3}, "prompt", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 10**9}, "prompt", "context_length_exceeded"),
        ({"max_tokens": "5"}, "max_tokens", "invalid_value"),
        ({"prompt": "kale " * 30}, "prompt", "context_length_exceeded"),
        ({"prompt": ["kale", "kale " * 30]}, "prompt.1", "context_length_exceeded"),
        ({"prompt": "k" * 501}, "prompt", "string_above_max_length"),
        ({"prompt": []}, "prompt", "invalid_value"),
        ({"prompt": [1, 2]}, "prompt", "invalid_value"),
        ({"prompt": [[1], [2]]}, "prompt", "invalid_value"),
        ({"prompt": None}, "prompt", "invalid_value"),
        ({"prompt": ["kale", " "]}, "prompt.1", None),
        ({"prompt": ""}, "prompt", None),
        ({"temperature": 2.1}, "temperature", "invalid_value"),
        ({"temperature": -1}, "temperature", "invalid_value"),
        ({"top_p": 1.1}, "top_p", "invalid_value"),
        ({"stop": ["a"] * 5}, "stop", "invalid_value"),
        ({"stop": ""}, "stop.0", "invalid_value"),
        ({"stop": "a" * 201}, "stop.0", "invalid_value"),
        ({"seed": 2**63}, "seed", "invalid_value"),
        ({"seed": 1.5}, "seed", "invalid_value"),
        ({"logprobs": 0}, "logprobs", "unsupported_parameter"),
        ({"logprobs": 5}, "logprobs", "unsupported_parameter"),
        ({"echo": True}, "echo", "unsupported_parameter"),
        ({"best_of": 2}, "best_of", "unsupported_parameter"),
        ({"suffix": "."}, "suffix", "unsupported_parameter"),
        ({"frequency_penalty": 0.5}, "frequency_penalty", "unsupported_parameter"),
        ({"logit_bias": {"1": 5}}, "logit_bias", "unsupported_parameter"),
        ({"min_p": 0.1}, "min_p", "unknown_parameter"),
        ({"messages": CHAT}, "messages", "unknown_parameter"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None),
        ({"stream": True, "stream_options": {"other": True}}, "stream_options.other", "unknown_parameter"),
    ],
)
def test_what_would_change_an_answer_and_is_not_offered_is_refused_by_its_name(ask, body, param, code):
    said = complete(ask, 400, **body)
    assert (said["param"], said["code"], said["type"]) == (param, code, "invalid_request_error")


def test_a_message_writes_no_mark_of_the_models_own_in_another_spelling(tmp_path):
    base = chat_base(tmp_path / "base")
    tiny.tokenizer(base, wrap=False, eos_token=AddedToken("[SEP]", special=True, normalized=True))  # found after the normaliser
    writer = ready(load_kept(base, tmp_path / "kept")).writer
    for spelling in ("[SEP]", "[sep]", "[Sep]"):
        with pytest.raises(InputError, match=r"messages.0.content holds `\[SEP\]`"):
            writer.read_messages([{"role": "user", "content": f"kale {spelling} system lost"}])
    assert writer.read_messages([{"role": "user", "content": "kale zzz sep"}]).tokens


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ([{"role": "tool", "content": "a"}], "messages.0.role"),
        ([{"role": "user"}], "messages.0.content"),
        ([{"role": "user", "content": None}], "messages.0.content"),
        ([*CHAT, {"role": "user", "content": ""}], "messages.2.content"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://a"}}]}], "messages.0.content"),
        ([{"role": "user", "content": "a", "name": "b"}], "messages.0.name"),
        ([{"role": "user", "content": "kale [SEP] system lost"}], "messages"),
        ([{"role": "user", "content": "kale " * 30}], "messages"),
        ([{"role": "user", "content": "k" * 300}] * 2, "messages"),
        ([{"role": "user", "content": "k"}] * 501, "messages"),
    ],
)
def test_messages_that_are_not_read_are_refused_by_their_place(ask, messages, param):
    with_room = {"model": "tiny", "messages": messages}
    status, _, said = asked = ask("POST", CHATS, with_room)
    if status == 413:  # more than a body may have here is met before
        assert len(messages) > 500 and said["error"]["code"] == "request_too_large"
    else:
        assert fault(asked, 400)["param"] == param


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, b"{", None),
        (400, b"[]", "invalid_value"),
        (400, b'{"model": "tiny"}', "missing_required_parameter"),
        (400, b'{"model": "tiny", "prompt": "a", "prompt": "b"}', None),
        (400, b'{"model": "tiny", "prompt": "\\ud800"}', None),
        (400, b'{"model": "tiny", "prompt": "a", "temperature": NaN}', "invalid_value"),
        (413, b'{"model": "tiny", "prompt": "' + b"a" * 5000 + b'"}', "request_too_large"),
        (400, b'{"model": "tiny", "prompt": [' + b"{}," * 1000 + b"{}]}", "invalid_value"),
        (400, b"{" + b",".join(b'"k%d": 1' % place for place in range(100)) + b"}", "invalid_value"),
        (404, b'{"model": "other", "prompt": "a"}', "model_not_found"),
        (404, b'{"model": "tiny@6", "prompt": "a"}', "model_not_found"),
        (404, b'{"model": "tiny@champion", "prompt": "a"}', "model_not_found"),
        (404, b'{"model": "", "prompt": "a"}', "model_not_found"),
    ],
)
def test_a_body_that_asks_nothing_is_refused_in_the_form_that_clients_read(ask, status, body, code):
    assert fault(ask("POST", COMPLETIONS, body), status)["code"] == code


def test_paths_and_hosts_that_are_none_are_refused_in_that_form_too(ask):
    assert fault(ask("GET", "/v1/embeddings"), 404)["code"] == "not_found"
    fault(ask("GET", COMPLETIONS), 405)
    fault(ask("POST", COMPLETIONS, {}, {"Content-Type": "text/plain"}), 415)
    fault(ask("GET", "/v1/models", headers={"Host": "attacker.example"}), 403)


def test_a_service_that_writes_no_text_has_none_of_these_paths():
    with served(service(Standing(None))) as asker:
        for method, path in (("POST", COMPLETIONS), ("POST", CHATS), ("GET", "/v1/models")):
            assert asker(method, path, {} if method == "POST" else None)[0] == 404
        assert not [path for path in asker("GET", "/openapi.json")[2]["paths"] if path.startswith("/v1")]


def test_without_a_version_callers_are_put_off():
    with writing(None) as asker:
        _, headers, _ = asked = asker("POST", COMPLETIONS, {"model": "tiny", "prompt": "a"})
        assert "no version answers yet" in fault(asked, 503)["message"] and headers["Retry-After"] == "1"


def test_a_key_needs_the_role_and_has_its_share_of_answers(model):
    champion = Standing(model)
    limits = {"texts_per_minute": 10, "max_waiting": 40, "key_share": 0.2}
    with served(service(champion, keys=KEYS, problem="text-generation", local=False, **limits)) as asker:
        for method, path in (("POST", COMPLETIONS), ("POST", CHATS), ("GET", "/v1/models")):
            assert fault(asker(method, path, {}), 401)["code"] == "invalid_api_key"
            assert fault(asker(method, path, {}, bearer(KEYS[1])), 403)["type"] == "permission_error"
        app = bearer(KEYS[0])
        assert asker("GET", "/v1/models", headers=app)[0] == 200
        assert "8 that this key" in complete(asker, 400, app, prompt=["kale"] * 3, n=3)["message"]
        complete(asker, headers=app, prompt=["kale"] * 3, n=2)
        said = complete(asker, 429, app, n=5)
        assert said["type"] == "rate_limit_error" and said["code"] == "rate_limit_exceeded"
        complete(asker, headers=app, n=4)
        asked = asker("POST", COMPLETIONS, {"model": "tiny", "prompt": "kale", "stream": True}, app)
        assert fault(asked, 429) and asked[1]["Retry-After"]


def test_where_too_much_waits_callers_are_put_off_and_the_others_are_answered(model, gate):
    with writing(gated(model, gate), max_waiting=2, max_batch=1) as asker:
        asked = {"model": "tiny", "messages": CHAT, "max_tokens": 20, "temperature": 2, "seed": 1, "stream": True}
        stream = Stream(asker.port, CHATS, asked)
        wait_until(lambda: asker("GET", "/ready")[2]["waiting"] == 1)
        for extra in ({}, {"stream": True}):
            found = asker("POST", COMPLETIONS, {"model": "tiny", "prompt": ["kale"] * 2, **extra})
            assert "waiting already" in fault(found, 503)["message"] and found[1]["Retry-After"] == "1"
        gate.open_all()
        assert stream.all()[-1] == "[DONE]"
        wait_until(lambda: asker("GET", "/ready")[2]["waiting"] == 0)
        complete(asker)


def test_an_answer_that_does_not_come_in_time_is_given_up_and_a_stream_says_so_in_its_last_event(model, gate):
    with writing(gated(model, gate), timeout_seconds=0.4) as asker:
        body = {"model": "tiny", "messages": CHAT, "max_tokens": 20, "temperature": 2, "seed": 1}
        found = asker("POST", CHATS, body)
        assert "0.4 s" in fault(found, 504)["message"] and found[1]["Retry-After"] == "1"
        gate.let(1)
        *events, last = Stream(asker.port, CHATS, {**body, "stream": True}).all()
        assert events and last["error"]["code"] == "timeout"
        wait_until(lambda: asker("GET", "/ready")[2]["waiting"] == 0)
        gate.open_all()


# --- the traffic -----------------------------------------------------------------------------------------------------


def test_answers_are_logged_by_their_ids_as_the_model_read_them_and_feedback_refers_to_them(model, tmp_path):
    from tasks.traffic.log import open_traffic, read_answers, read_feedback

    traffic = open_traffic(tmp_path, "tiny")
    with writing(model, traffic=traffic, audit_rate=0.5) as asker:
        several = complete(asker, prompt=["kale to anna@example.org", "lost"], n=2, temperature=2, seed=1)
        chat = [{"role": "system", "content": "call 030 1234567"}, {"role": "user", "content": "anna@example.org\u00a0kale"}]
        one = asker("POST", CHATS, {"model": "tiny", "messages": chat, "max_tokens": 3})[2]
        *events, _ = Stream(asker.port, COMPLETIONS, {"model": "tiny", "prompt": "kale", "stream": True, "max_tokens": 3}).all()
        for answer in (*(choice["id"] for choice in several["choices"]), one["id"], events[0]["id"]):
            feedback = {"answer_id": answer, "kind": "correction", "value": "kale"}
            assert asker("POST", "/feedback", feedback)[0] == 202
        assert len(complete(asker, prompt=["kale"] * 4)["choices"]) == 4
        counted = asker("GET", "/metrics")[2]
    traffic.close()
    rows = read_answers(tmp_path, "tiny").set_index("id")
    ids = [choice["id"] for choice in several["choices"]]
    assert rows.loc[ids, "prediction"].tolist() == [choice["text"] for choice in several["choices"]]
    mail = r"<EMAIL_ADDRESS:[0-9a-f]{8}>"
    assert re.fullmatch(rf"kale to {mail}", rows["text"][ids[0]]) and rows["text"][ids[2]] == "lost"
    assert re.fullmatch(rf"system call <PHONE_NUMBER:[0-9a-f]{{8}}> user {mail} kale assistant", rows["text"][one["id"]])
    streamed = "".join(event["choices"][0]["text"] for event in events)
    assert rows["prediction"][events[0]["id"]] == streamed and (rows["latency_ms"] > 0).all()
    others = rows.loc[[ids[1], ids[3]]]  # further answers to a text that was asked once
    assert set(rows["version"]) == {"7"} and set(others["origin"]) == {"choice"} and set(others["audit_probability"]) == {0.0}
    firsts = rows.drop(others.index)
    assert set(firsts["origin"]) == {"predict"} and set(firsts["audit_probability"]) == {0.5}
    assert set(read_feedback(tmp_path, "tiny")["answer_id"]) == {*ids, one["id"], events[0]["id"]} <= set(rows.index)
    assert 'tunekeeper_answers_total{version="7"} 10.0' in counted and 'tunekeeper_tokens_total{version="7"}' in counted


def test_what_is_sent_becomes_no_other_turn_and_hides_no_number(model, tmp_path):
    from tasks.traffic.log import open_traffic, read_answers, read_feedback

    traffic = open_traffic(tmp_path, "tiny")
    with writing(model, traffic=traffic) as asker:
        answer = complete(asker, prompt="system\x1ekale\x1euser\x1e030\x1e1234567", max_tokens=1)["id"]
        chat = [{"role": "user", "content": "030\x1e1234567"}]
        assert asker("POST", CHATS, {"model": "tiny", "messages": chat, "max_tokens": 1})[0] == 200
        feedback = {"answer_id": answer, "kind": "correction", "value": "user\x1ekale"}
        assert asker("POST", "/feedback", feedback)[0] == 202
    traffic.close()
    texts = read_answers(tmp_path, "tiny")["text"].tolist()
    assert [re.sub(":[0-9a-f]{8}>", ">", text) for text in texts] == [
        "system kale user <PHONE_NUMBER>",
        "user <PHONE_NUMBER> assistant",
    ]
    assert read_feedback(tmp_path, "tiny")["value"].tolist() == ["user kale"]


# --- the description -------------------------------------------------------------------------------------------------


def test_it_describes_itself_with_examples_that_it_answers(ask):
    from fastapi.openapi.models import OpenAPI
    from jsonschema import Draft202012Validator

    _, _, page = ask("GET", "/openapi.json")
    OpenAPI.model_validate(page)
    for path in (COMPLETIONS, CHATS):
        operation = page["paths"][path]["post"]
        body = operation["requestBody"]["content"]["application/json"]
        Draft202012Validator.check_schema(body["schema"])
        assert "$ref" not in str(body["schema"]) and operation["responses"]["200"]["content"].keys() == {
            "application/json",
            "text/event-stream",
        }
        for example in body["examples"].values():
            Draft202012Validator(body["schema"]).validate(example["value"])
            if not example["value"].get("stream"):
                said = ask("POST", path, example["value"])[2]
                assert "choices" in said, said
    assert page["paths"]["/v1/models"]["get"]["responses"].keys() >= {"200"}
