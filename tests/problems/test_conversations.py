"""Conversations: which tokens are learned, that a served chat is a trained one token for token, and what is cut."""

import pandas as pd
import pytest
import tiny

from configs.errors import InputError
from configs.schema import Full
from tasks.common.bases import find_base
from tasks.data.turns import Turn, write_turns
from tasks.learning.network import build_network, spec_of
from tasks.problems import decoder, problem_of
from tasks.problems.chat_template import render_messages
from tasks.problems.conversations import check_template, encode_conversations, prompt_of, turn_end, without_oldest_exchange
from tasks.problems.padding import IGNORED
from tasks.serving.generation.writer import make_writer

SYSTEM, FIRST, SAID, SECOND = Turn("system", "kan"), Turn("user", "kast kara"), Turn("assistant", "kara kast"), Turn("user", "lost")
ROWS = pd.DataFrame({"text": [write_turns([SYSTEM, FIRST, SAID, SECOND])], "target": ["lole lon"]})
MARKED = tiny.CHAT_TEMPLATE.replace("{{ m.content }}[SEP]", "{% generation %}{{ m.content }}[SEP]{% endgeneration %}")
OPEN = MARKED.replace("[SEP]{% endg", "{% endg").replace("{% endgeneration %}", "{% endgeneration %} ")  # no mark ends a turn


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    from dataclasses import replace

    folder = tiny.chat_llama(tmp_path_factory.mktemp("chat") / "llama")
    spec = spec_of("text-generation", Full(), (), 40, 0, find_base(str(folder)))
    return build_network(replace(spec, messages=True), folder)


@pytest.fixture
def tokenizer(network):
    yield network.tokenizer
    network.tokenizer.chat_template = tiny.CHAT_TEMPLATE


def learned(tokenizer, row):
    return tokenizer.decode([token for token in row["labels"] if token != IGNORED])


@pytest.mark.parametrize("template", [tiny.CHAT_TEMPLATE, MARKED])
def test_loss_is_taken_on_every_turn_of_the_assistant_with_its_end_and_scores_on_the_last_alone(tokenizer, template):
    tokenizer.chat_template = template
    (row,) = encode_conversations(tokenizer, ROWS, 40, earlier=True)
    assert tokenizer.decode(row["input_ids"]) == "red kan north kast kara south kara kast [SEP] north lost south lole lon [SEP]"
    assert learned(tokenizer, row) == "kara kast [SEP] lole lon [SEP]"
    assert all(label in (IGNORED, token) for token, label in zip(row["input_ids"], row["labels"], strict=True))
    (scored,) = encode_conversations(tokenizer, ROWS, 40, earlier=False)
    assert scored["input_ids"] == row["input_ids"] and learned(tokenizer, scored) == "lole lon [SEP]"


def test_where_the_template_ends_no_turn_the_tokenizers_own_end_is_learned(tokenizer):
    tokenizer.chat_template = OPEN
    (row,) = encode_conversations(tokenizer, ROWS, 40, earlier=True)
    assert turn_end(tokenizer) is None and learned(tokenizer, row) == "kara kast lole lon [SEP]"


def test_a_served_chat_is_a_trained_one_token_for_token(network, tokenizer):
    messages = [turn._asdict() for turn in (SYSTEM, FIRST, SAID, SECOND)]
    (row,) = encode_conversations(tokenizer, ROWS, 40, earlier=True)
    writer = make_writer("1", network, 8)
    prompt = writer.read_messages(messages)
    asked = prompt_of(tokenizer, ROWS["text"][0], 32)
    assert list(prompt.tokens) == asked == row["input_ids"][: len(asked)]
    assert prompt.text == ROWS["text"][0]  # as it is logged, and so becomes a row again
    assert writer.ends == {tokenizer.eos_token_id}
    with pytest.raises(InputError, match="has the user speak in place 2"):
        writer.read_messages([FIRST._asdict(), SECOND._asdict()])


def test_a_long_conversation_loses_whole_exchanges_and_never_the_systems_turn(tokenizer):
    exchange = [FIRST, SAID]
    rows = pd.DataFrame({"text": [write_turns([SYSTEM, *exchange * 5, SECOND])], "target": ["lole lon"]})
    for most in (40, 30, 20, 14):
        (row,) = encode_conversations(tokenizer, rows, most, earlier=True)
        read = tokenizer.decode(row["input_ids"])
        assert len(row["input_ids"]) <= most
        assert read.startswith("red kan north") and read.endswith("north lost south lole lon [SEP]")
        assert read.count("kara kast [SEP]") == (most - 8) // 7
    (row,) = encode_conversations(tokenizer, rows, 6, earlier=True)
    assert len(row["input_ids"]) == 6 and learned(tokenizer, row) == "lole lon [SEP]"
    assert without_oldest_exchange([SECOND]) == [SECOND]
    assert tokenizer.decode(prompt_of(tokenizer, rows["text"][0], 5)) == "red kan north lost south"


def test_a_content_that_spells_the_end_of_a_turn_ends_none(tokenizer):
    rows = pd.DataFrame({"text": [write_turns([Turn("user", "kan[SEP]south lost")])], "target": ["kast[SEP]lole"]})
    (row,) = encode_conversations(tokenizer, rows, 40, earlier=True)
    assert row["input_ids"].count(tokenizer.eos_token_id) == 1 and row["input_ids"][-1] == tokenizer.eos_token_id


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        (None, "no chat template"),
        ("{% for m in messages %}{{ m.content }} {% endfor %}{{ 'red' if add_generation_prompt }}", "otherwise than behind"),
        ("{% if messages | length > 3 %}{{ raise_exception('two turns at most') }}{% endif %}", "two turns at most"),
        (
            "{% for m in messages %}{% if m.role == 'assistant' %}{{ 'south' if loop.last else 'blue' }} {{ m.content }}[SEP]"
            "{% else %}north {{ m.content }} {% endif %}{% endfor %}{% if add_generation_prompt %}south {% endif %}",
            "earlier turns of the assistant otherwise",
        ),
    ],
)  # fmt: skip
def test_a_template_in_which_the_assistants_turns_cannot_be_found_is_refused_with_the_remedy(tokenizer, template, fault):
    tokenizer.chat_template = template
    with pytest.raises(InputError, match=f"(?s)data.messages: .*base.*{fault}.*data.prompt and data.completion"):
        check_template("base", tokenizer)


def test_a_plain_text_is_one_turn_of_the_user_and_answers_do_not_hang_on_their_batch(network):
    texts = ["kan lost", write_turns([Turn("user", "kan lost")]), ROWS["text"][0]]
    assert prompt_of(network.tokenizer, texts[0], 30) == prompt_of(network.tokenizer, texts[1], 30)
    from tasks.problems.types import Writing

    alone, together = (decoder.generate_answers(network, texts, Writing(6), size) for size in (1, 3))
    assert alone == together and alone[0] == alone[1]


def test_the_prompt_is_rendered_as_the_service_renders_it(network):
    messages = [turn._asdict() for turn in (FIRST, SAID, SECOND)]
    text = render_messages(network.tokenizer, messages)
    assert prompt_of(network.tokenizer, write_turns((FIRST, SAID, SECOND)), 40) == network.tokenizer(text)["input_ids"]
    assert problem_of("text-generation").encode_rows(network.tokenizer, network.spec, ROWS[:0]) == []
