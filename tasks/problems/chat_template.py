"""Messages of a chat as the one text that a network reads: its own template, which its tokenizer brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from configs.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def has_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a tokenizer brings a template for chats."""
    return bool(getattr(tokenizer, "chat_template", None))


def render_messages(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, str]], *, asks_answer: bool = True) -> str:
    """Messages (`role`, `content`), in their order, as one text, with the marks of special tokens in it.

    `asks_answer` ends it where the assistant's next message begins. Tokenize it with add_special_tokens=False: the template writes
    them. Templates are run in transformers' sandbox. InputError where the tokenizer has none, or its template refuses the messages;
    the content of messages is not repeated.
    """
    from jinja2.exceptions import TemplateError

    if not has_template(tokenizer):
        raise InputError("the model's tokenizer has no chat template, so it reads no messages: send one text, a prompt, instead")
    try:
        return str(
            tokenizer.apply_chat_template(
                [dict(message) for message in messages], tokenize=False, add_generation_prompt=asks_answer
            )
        )
    except (TemplateError, ValueError, TypeError, KeyError) as error:
        roles = ", ".join(message["role"] for message in messages[:5]) + (", ..." if len(messages) > 5 else "")
        reason = str(error).splitlines()[0][:200] if isinstance(error, TemplateError) and str(error) else type(error).__name__
        raise InputError(
            f"the model's chat template refuses messages of these roles ({roles}): {reason}; send them in an order that it reads"
        ) from None
