"""Messages become one text by the tokenizer's own template, in a sandbox."""

import pytest
import tiny
from transformers import AutoTokenizer

from configs.errors import InputError
from tasks.problems.chat_template import has_template, render_messages

PLAIN = "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "kale?"}]


@pytest.fixture
def tokenizer(tmp_path):
    tiny.tokenizer(tmp_path, wrap=False)
    return AutoTokenizer.from_pretrained(tmp_path)


def test_messages_are_rendered_in_their_order_and_end_where_the_assistant_begins(tokenizer):
    tokenizer.chat_template = PLAIN
    assert has_template(tokenizer)
    assert render_messages(tokenizer, CHAT) == "[system]Be brief.\n[user]kale?\n[assistant]"
    assert render_messages(tokenizer, CHAT, asks_answer=False) == "[system]Be brief.\n[user]kale?\n"


def test_a_tokenizer_without_a_template_reads_no_messages(tokenizer):
    assert not has_template(tokenizer)
    with pytest.raises(InputError, match=r"no chat template.*send one text"):
        render_messages(tokenizer, CHAT)


def test_what_a_template_refuses_is_told_by_roles_and_repeats_no_content(tokenizer):
    tokenizer.chat_template = "{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}{% endif %}"
    with pytest.raises(InputError, match=r"\(system, user\): no system here") as refused:
        render_messages(tokenizer, CHAT)
    assert "brief" not in str(refused.value)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ messages[0].missing.deeper }}",
        "{% for",
    ],
)
def test_a_template_that_reaches_out_of_its_sandbox_or_is_broken_is_refused(tokenizer, template):
    tokenizer.chat_template = template
    with pytest.raises(InputError, match="chat template refuses"):
        render_messages(tokenizer, CHAT)
