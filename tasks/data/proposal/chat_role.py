"""A column of conversations, which holds both what is read and what is answered."""

from __future__ import annotations

from tasks.data.proposal.roles import Role

MESSAGES = Role(
    "messages",
    ("messages", "conversations", "conversation", "chat", "chats", "dialog", "dialogue", "turns", "nachrichten", "gespraech"),
    lambda column: column.conversations,
    lambda _: "conversations",
    0.9,
)
