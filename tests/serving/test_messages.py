"""A model of conversations in service: chats, typed questions and the stored model answer alike, and corrections become rows."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
import tiny
from serving_parts import Standing, served, service, version

from configs.schema import Data, Model, Pipeline
from flows.cli.serve import _audit_reader
from tasks.common.home import Home
from tasks.data.feedback import of_inputs, rows_of
from tasks.data.turns import Turn, turns_of, write_turns
from tasks.serving.http.messages import Messages, Refusal, parse_body
from tasks.serving.http.pair_messages import first_question
from tasks.serving.input_cells import input_frame, inputs_of
from tasks.serving.packaged_model import load_package
from tasks.serving.predictor import make_ready
from tasks.traffic.log import Answer, open_traffic, read_answers, read_feedback

CHAT = [
    {"role": "system", "content": "kan"},
    {"role": "user", "content": "kast ann@example.org"},
    {"role": "assistant", "content": "kara"},
    {"role": "user", "content": "lost"},
]
TEXT = write_turns(Turn(**message) for message in CHAT)
CHATS = "/v1/chat/completions"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    base = tiny.chat_llama(tmp_path_factory.mktemp("base") / "llama")
    folder = version(home / "one", base, 1, problem="text-generation", home=home, messages=True, max_length=40)
    return load_package(folder, base, home, {})


@pytest.fixture(scope="module")
def traffic_home(tmp_path_factory):
    return tmp_path_factory.mktemp("traffic")


@pytest.fixture(scope="module")
def asker(kept, traffic_home):
    traffic = open_traffic(traffic_home, "tiny")
    parts = service(Standing(make_ready("7", kept)), traffic, problem="text-generation", timeout_seconds=20)
    with served(replace(parts, inputs="messages")) as ask:
        ask.traffic = traffic
        yield ask


def test_a_chat_a_typed_question_and_the_stored_model_give_one_answer(asker, kept):
    expected = kept.predict([TEXT])["text"][0]
    status, _, said = asker("POST", "/predict", {"messages": CHAT})
    assert status == 200 and said["text"] == expected
    status, _, many = asker("POST", "/predict", {"conversations": [{"messages": CHAT}, {"messages": CHAT[-1:]}]})
    assert status == 200 and many["answers"][0]["text"] == expected
    assert many["answers"][1]["text"] == kept.predict(["lost"])["text"][0]  # a plain text is a turn of the user
    status, _, chat = asker("POST", CHATS, {"model": "tiny", "messages": CHAT, "temperature": 0})
    assert status == 200 and chat["choices"][0]["message"]["content"].strip() == expected


@pytest.mark.parametrize(
    ("messages", "where", "what"),
    [
        (CHAT[:3], "body.messages", "ends with the assistant"),
        ([CHAT[1], CHAT[3]], "body.messages", "the user speak in place 2"),
        ([{"role": "tool", "content": "secret"}], "role", "Input should be"),
        ([CHAT[0], {"role": "user", "content": " "}], "body.messages.1.content", "the text is empty"),
        ([{"role": "user", "content": "x" * 501}], "content", "at most 500"),
        ([*CHAT[:3], {"role": "user", "content": "x" * 499}], "body.messages", "over 500"),
        ([], "messages", "at least 1"),
    ],
)
def test_what_is_no_question_is_refused_with_its_place_and_without_its_content(asker, messages, where, what):
    status, _, said = asker("POST", "/predict", {"messages": messages})
    assert status == 422 and what in said["error"]["what"] and where in said["error"]["where"], said
    assert "secret" not in str(said) and "ann" not in str(said)


def test_a_list_that_no_setting_lengthens_is_told_its_own_limit():
    chats, sets = Messages("text-generation", 20, 500, "messages"), Messages("multi-label-classification", 20, 500)
    labels = {"answer_id": "a" * 32, "kind": "label", "value": ["a"] * 201}
    for adapter, body, remedy in (
        (chats.questions.adapter, {"messages": [{"role": "user", "content": "a"}] * 501}, "at most 500 messages of a conversation"),
        (sets.feedback, labels, "at most 200 labels of a text"),
    ):
        with pytest.raises(Refusal) as refused:
            parse_body(adapter, json.dumps(body).encode(), "")
        assert refused.value.fault["remedy"] == f"send {remedy}"


def test_the_next_command_of_a_service_asks_as_it_is_asked():
    chats = Pipeline(
        name="tiny", problem="text-generation", data=Data(source="x.jsonl", messages="chat"), model=Model(base="x")
    )  # fmt: skip
    path, body = first_question(chats)
    assert path == "/predict" and json.loads(body).keys() == {"messages"}


def test_a_text_alone_is_refused_with_what_to_send_and_the_page_describes_it(asker):
    status, _, said = asker("POST", "/predict", {"text": "lost"})
    assert status == 422 and '{"messages": [{"role"' in said["error"]["remedy"]
    page = asker("GET", "/openapi.json")[2]["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert page["examples"]["one"]["value"]["messages"][0]["role"] == "system"
    for unordered in ([CHAT[1], CHAT[3]], CHAT[:3]):
        assert asker("POST", CHATS, {"model": "tiny", "messages": unordered})[0] == 400


def test_a_corrected_answer_becomes_a_row_that_is_read_as_the_chat_was(asker, traffic_home):
    asked = [asker("POST", "/predict", {"messages": CHAT})[2]["id"]]
    asked.append(asker("POST", CHATS, {"model": "tiny", "messages": CHAT, "max_tokens": 3})[2]["id"])
    asked.append(asker("POST", "/v1/completions", {"model": "tiny", "prompt": "lost", "max_tokens": 3})[2]["id"])
    for answer in asked:
        assert asker("POST", "/feedback", {"answer_id": answer, "kind": "correction", "value": "kara lost"})[0] == 202
    asker.traffic.flush()
    answers, feedback = read_answers(traffic_home, "tiny"), read_feedback(traffic_home, "tiny")
    rows = rows_of(of_inputs(answers, "messages"), feedback, "text-generation", 500).to_pandas()
    assert len(rows) == 3 and set(rows["target"]) == {"kara lost"} and rows["text"].nunique() == 2
    assert input_frame(rows["text"], ["chat"])["chat"].map(type).eq(list).all(), "a prompt is a turn of the user"
    turns = turns_of(max(rows["text"], key=len))
    assert [turn.role for turn in turns] == [message["role"] for message in CHAT] and turns[3].content == "lost"
    assert turns[1].content.startswith("kast <EMAIL_ADDRESS:")


def test_a_pair_whose_first_text_is_the_name_of_a_role_is_no_conversation(tmp_path):
    pairs = ["user\x1ewhat is lost", "kan\x1elost"]
    frame = input_frame(pairs, ["query", "document"])
    assert frame.to_numpy().tolist() == [["user", "what is lost"], ["kan", "lost"]] and inputs_of(frame, messages=False) == pairs

    data = Data(source="x.csv", text="query", text_pair="document", number="relevance")
    ranker = Pipeline(name="tiny", problem="text-ranking", data=data, model=Model(base="x"))
    traffic, now = open_traffic(tmp_path, "tiny"), datetime.now(UTC)
    traffic.answered([Answer("a" * 32, now, "1", pairs[0], "0.5", None, 1.0, audit=True, audit_probability=1.0)])
    traffic.close()
    (drawn,) = _audit_reader(ranker, Home(tmp_path))(5, now - timedelta(days=1))
    assert (drawn["text"], drawn["text_pair"]) == ("user", "what is lost") and "messages" not in drawn


def test_cells_of_the_stored_model_are_lists_of_messages_and_faults_name_their_row():
    frame = input_frame([TEXT], ["chat"])
    assert frame["chat"][0] == CHAT and inputs_of(frame, messages=True) == [TEXT]
    assert inputs_of(pd.DataFrame({"chat": ['[{"from": "human", "value": "lost"}]']}), messages=True) == ["user\x1elost"]
    for wrong in ("a secret", [{"role": "user"}], None, []):
        with pytest.raises(Exception, match="row 2: its `chat`") as refused:
            inputs_of(pd.DataFrame({"chat": [CHAT, wrong]}), messages=True)
        assert "secret" not in str(refused.value)
