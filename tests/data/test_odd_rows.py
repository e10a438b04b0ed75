"""What is said of rows that are sound one by one, before anything is trained on them."""

import random

import pytest

from configs.errors import InputError
from configs.schema import Data, facts_of
from tasks.data.preparation.odd_rows import odd_rows
from tasks.data.spans import write_spans

WORDS = ("Ada", "King", "met", "Bob", "near", "Oslo")


def marked(rng, ends_at=0, in_bytes=False):
    """A text with a span for its third word, its end moved."""
    words = [rng.choice(["Zürich", "Ada"]), *rng.choices(WORDS, k=6)]
    text = " ".join(words)
    before = " ".join(words[:2]) + " "
    start = len(before.encode()) if in_bytes else len(before)
    return {"text": text + f" {rng.random()}", "spans": [[start, start + len(words[2]) + ends_at, "NAME"]]}


def test_spans_whose_end_is_their_last_character_are_refused_before_training(make, write):
    rng = random.Random(0)
    with pytest.raises(InputError, match=r"of 60 spans begin or end in the midst of a word.*the end the place behind"):
        make("token-classification", source=write([marked(rng, -1) for _ in range(60)]))
    assert make("token-classification", source=write([marked(rng) for _ in range(60)])).manifest["splits"]["train"] > 20


def test_spans_that_count_bytes_in_some_texts_are_said(make, write):
    rng, data, facts = random.Random(0), Data(source="x"), facts_of("token-classification")
    said = []
    for in_bytes in (True, False):
        snapshot = make("token-classification", source=write([marked(rng, in_bytes=in_bytes) for _ in range(90)]))
        said.append(odd_rows(snapshot.frame("train"), snapshot.frame("test"), data, facts))
    assert len(said[0]) == 1 and "spans begin or end in the midst of a word" in said[0][0] and said[1] == ()
    chinese = snapshot.frame("train").head(1).assign(text="\u5317\u4eac\u5f88\u5927", target=write_spans([(1, 2, "A")]))
    assert odd_rows(chinese, chinese, data, facts) == ()


@pytest.mark.parametrize("group", [None, "context"])
def test_contexts_that_train_and_test_share_are_said_unless_they_are_groups(make, write, group):
    rng = random.Random(0)
    contexts = [" ".join(rng.choices(WORDS, k=9)) + f" {place}" for place in range(20)]
    rows = [{"question": f"who met {n}?", "context": contexts[n % 20], "answers": contexts[n % 20].split()[0]} for n in range(120)]
    snapshot = make("question-answering", source=write(rows), group=group)
    said = odd_rows(snapshot.frame("train"), snapshot.frame("test"), Data(source="x", group=group), facts_of("question-answering"))
    assert said == () if group else "set data.group to context" in said[0]
    given = make("question-answering", source=write(rows[20:]), test=write(rows[:20], "test.jsonl"), group=group)
    data = Data(source="x", test="y", group=group)
    said = odd_rows(given.frame("train"), given.frame("test"), data, facts_of("question-answering"))
    assert "of 20 test questions" in said[0] and "give others in test than in train" in said[0]


@pytest.mark.parametrize("separator", [";", ","])
def test_labels_with_another_separator_than_the_configs_are_said(make, write, separator):
    rng = random.Random(0)
    rows = [{"text": f"text {n}", "labels": ";".join(rng.sample(["bill", "late", "lost"], rng.choice([1, 2])))} for n in range(90)]
    snapshot = make("multi-label-classification", source=write(rows), labels="labels", label_separator=separator)
    data, facts = Data(source="x", labels="labels", label_separator=separator), facts_of("multi-label-classification")
    said = odd_rows(snapshot.frame("train"), snapshot.frame("test"), data, facts)
    assert said == () if separator == ";" else "set data.label_separator to ';'" in said[0]
    snapshot = make("text-classification", source=write(rows), label="labels")
    said = odd_rows(snapshot.frame("train"), snapshot.frame("test"), Data(source="x"), facts_of("text-classification"))
    assert "name their column under data.labels" in said[0]


@pytest.mark.parametrize("group", ["shop", "asker"])
def test_queries_that_a_group_parts_are_said(make, write, group):
    rng = random.Random(0)
    rows = [
        {"q": f"query {n // 4}", "d": f"document {rng.random()}", "n": n % 2, "shop": f"s{n % 9}", "asker": f"a{n // 12}"}
        for n in range(160)
    ]
    names = {"text": "q", "text_pair": "d", "number": "n", "group": group}
    snapshot = make("text-ranking", source=write(rows), **names)
    said = odd_rows(snapshot.frame("train"), snapshot.frame("test"), Data(source="x", **names), facts_of("text-ranking"))
    assert said == () if group == "asker" else "keep the rows of a query in one group" in said[0]
