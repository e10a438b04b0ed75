"""Conversations from their column to a champion: trained, judged, scored, shown; what is unusable is said by its form alone."""

import json
from pathlib import Path

import pandas as pd
import pytest
import tiny

from tasks.data.turns import is_conversation, turns_of
from tasks.release import champion_files
from tasks.serving.packaged_model import load_package

SETTINGS = (
    "problem=text-generation", "data.messages=chat", "model.max_length=40", "adapter.kind=full", "evaluation.decode_rows=8",
    "training.epochs=12", "training.learning_rate=0.01", "data.redact.enabled=true",
)  # fmt: skip


@pytest.fixture
def base(tmp_path):
    return (*SETTINGS, f"model.base={tiny.chat_llama(tmp_path / 'chat')}")


@pytest.fixture
def rows(keep):
    chats = tiny.chats(300)
    chats[1][-2]["content"] += " ann@example.org"
    chats[2] = [{"from": {"user": "human", "assistant": "gpt"}.get(t["role"], t["role"]), "value": t["content"]} for t in chats[2]]
    chats[3] = [{"role": "tool", "content": "a secret"}]
    chats[4] = chats[4][::-1]
    records = [{"ticket": f"t{n}", "half": f"h{n % 2}", "chat": chat} for n, chat in enumerate(chats)]
    (keep.folder / "rows.jsonl").write_text("\n".join(map(json.dumps, records)))
    return records


def test_conversations_are_learned_judged_scored_and_shown(keep, rows, base):
    source = (*base, f"data.source={keep.folder / 'rows.jsonl'}")
    first = keep.retrain(*source)
    assert first["verdict"] == "PROMOTE", first["reasons"]
    page = Path(first["report"]).read_text()
    assert '<span class="turn"><b>user</b><bdi>' in page and "\x1e" not in page and "a secret" not in page

    snapshot = pd.concat([pd.read_parquet(file) for file in keep.home.snapshots.glob("*/[tv]*.parquet")])
    assert snapshot["text"].map(is_conversation).all() and not snapshot["text"].str.contains("ann@").any()
    assert {turns_of(text)[-1].role for text in snapshot["text"]} == {"user"}
    assert any("<EMAIL_ADDRESS:" in text for text in snapshot["text"])
    quarantine = "".join(pd.read_parquet(file).to_json() for file in keep.home.snapshots.glob("*/quarantine*.parquet"))
    assert "role of the form 'xxxx', which is none of system, user" in quarantine and "secret" not in quarantine

    asked = [{"chat": row["chat"]} for row in rows[5:15]]
    (keep.folder / "asked.jsonl").write_text("\n".join(map(json.dumps, [*asked, {"chat": "nothing"}])))
    out = keep.folder / "out.parquet"
    code, _ = keep.command("score", str(keep.config), *source, "--input", str(keep.folder / "asked.jsonl"), "--output", str(out))
    assert code == 0, keep.said
    scored = pd.read_parquet(out)
    package = load_package(*champion_files(keep.tracking, keep.home, "tiny", "1"), keep.home.path)
    assert scored["prediction"].notna().tolist() == [True] * 10 + [False]
    texts = [snapshot_text(row["chat"]) for row in rows[5:15]]
    assert package.predict(texts)["text"].tolist() == scored["prediction"].tolist()[:10]
    assert keep.retrain(*source)["skipped"]


def snapshot_text(chat):
    from tasks.data.messages import read_question

    return read_question(chat)


def test_what_cannot_read_conversations_is_refused_before_any_work(keep, rows, base, llama_folder):
    source = f"data.source={keep.folder / 'rows.jsonl'}"
    said = keep.refused(*base[:-1], source, f"model.base={llama_folder}")
    assert "has no chat template" in said and "name data.prompt and data.completion" in said and not keep.runs()
    assert "data.messages: text-classification reads no conversations" in keep.refused(source, "data.messages=chat")
    assert "conversations hold what is read" in keep.refused(*base, source, "data.prompt=words")
