"""The real client of OpenAI's interface, over loopback: sync and async, streams, both endpoints, its errors."""

import asyncio
import time

import pytest
from writing_parts import CHAT, PROMPTS, Gate, chat_base, gated, load_kept, ready, writing

openai = pytest.importorskip("openai", reason="the client `openai` is not installed: pip install -e '.[dev]'")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    return load_kept(chat_base(folder / "base"), folder)


@pytest.fixture(scope="module")
def expected(kept):
    return kept.predict([*PROMPTS, "system kale lost user mira sole assistant"])["text"].tolist()


@pytest.fixture(scope="module")
def model(kept, expected):
    return ready(kept)


@pytest.fixture(scope="module")
def asker(model):
    with writing(model) as found:
        yield found


def where(asker):
    return {"base_url": f"http://127.0.0.1:{asker.port}/v1", "api_key": "unused", "max_retries": 0, "timeout": 20}


@pytest.fixture
def client(asker):
    with openai.OpenAI(**where(asker)) as one:
        yield one


def test_completions_and_chats_are_read_by_the_client(client, expected):
    said = client.completions.create(model="tiny", prompt=PROMPTS, temperature=0)
    assert [choice.text for choice in said.choices] == expected[:-1] and said.system_fingerprint == "7"
    assert said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens
    chat = client.chat.completions.create(model="tiny@7", messages=CHAT, temperature=0, max_completion_tokens=8, user="someone")
    assert chat.choices[0].message.content == expected[-1] and chat.choices[0].message.role == "assistant"
    assert [one.id for one in client.models.list()] == ["tiny", "tiny@7"]


def test_streams_are_read_by_the_client(client, expected):
    chunks = list(client.completions.create(model="tiny", prompt=PROMPTS[0], temperature=0, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == expected[0] and chunks[-1].choices[0].finish_reason
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="tiny", messages=CHAT, temperature=0, stream=True, stream_options=options))
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[-1].usage.completion_tokens > 0
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == expected[-1]


def test_the_clients_own_gathering_of_a_stream_gives_the_whole_message(client, expected):
    stop = expected[-1].split()[-1]  # of an answer that is cut by its length the client makes an error
    with client.chat.completions.stream(model="tiny", messages=CHAT, temperature=0, stop=stop) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == expected[-1].partition(stop)[0].strip()


def test_many_asynchronous_callers_get_their_own_answers(asker, expected):
    async def go():
        async with openai.AsyncOpenAI(**where(asker)) as client:

            async def whole(place):
                said = await client.completions.create(model="tiny", prompt=PROMPTS[place], temperature=0)
                return said.choices[0].text

            async def streamed(place):
                stream = await client.completions.create(model="tiny", prompt=PROMPTS[place], temperature=0, stream=True)
                return "".join([chunk.choices[0].text async for chunk in stream])

            places = [place % len(PROMPTS) for place in range(30)]
            return await asyncio.gather(*(whole(place) for place in places), *(streamed(place) for place in places))

    assert asyncio.run(go()) == [expected[place % len(PROMPTS)] for place in range(30)] * 2


def test_refusals_are_the_clients_own_errors(client):
    with pytest.raises(openai.NotFoundError) as found:
        client.completions.create(model="gpt-4o", prompt="a")
    assert (found.value.code, found.value.param) == ("model_not_found", "model")
    for body, code in (({"logprobs": 2}, "unsupported_parameter"), ({"max_tokens": 10**6}, "context_length_exceeded")):
        with pytest.raises(openai.BadRequestError) as found:
            client.completions.create(model="tiny", prompt="kale", **body)
        assert found.value.code == code and found.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError) as found:
        client.chat.completions.create(model="tiny", messages=[{"role": "tool", "content": "a", "tool_call_id": "b"}])
    assert found.value.param == "messages.0.role"


def test_a_stream_that_fails_on_its_way_is_the_clients_own_error(model):
    gate = Gate()
    with writing(gated(model, gate), timeout_seconds=0.4) as asker, openai.OpenAI(**where(asker)) as client:
        with pytest.raises(openai.APIError, match="no answer within"):
            list(client.chat.completions.create(model="tiny", messages=CHAT, temperature=2, seed=1, stream=True))
        gate.open_all()


def test_the_client_asks_again_where_it_is_put_off(model):
    with writing(None) as asker, openai.OpenAI(**{**where(asker), "max_retries": 3}) as client:
        import threading

        threading.Timer(0.3, lambda: setattr(asker.champion, "current", model)).start()
        assert asker("POST", "/v1/completions", {"model": "tiny", "prompt": "kale"})[0] == 503
        assert client.completions.create(model="tiny", prompt="kale").choices


def test_a_client_that_leaves_a_stream_frees_its_place(model):
    gate = Gate()
    with writing(gated(model, gate)) as asker, openai.OpenAI(**where(asker)) as client:
        stream = client.chat.completions.create(model="tiny", messages=CHAT, temperature=2, seed=1, stream=True)
        next(iter(stream))
        stream.close()
        deadline = time.monotonic() + 20
        while asker("GET", "/ready")[2]["waiting"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        gate.open_all()
