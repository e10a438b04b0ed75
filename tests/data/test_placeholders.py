"""What a network reads of redacted values, and what hangs on the installation's key: tags alone."""

import pytest

from configs.schema import Data
from tasks.data.feedback import accepted_answers
from tasks.data.preparation.load import loaded_source
from tasks.data.preparation.prepare import prepare_rows
from tasks.data.preparation.split import SPLITS
from tasks.data.redaction.placeholders import TAGGED, VIEW, network_view
from tasks.data.redaction.redact import Redactor
from tasks.data.snapshot.snapshot import write_snapshot
from tasks.data.sources.fingerprints import fingerprint_files
from tasks.data.sources.source_files import source_files

from .conftest import tickets
from .test_feedback import answers, said

KEYS = (b"1" * 32, b"2" * 32)


def test_a_placeholder_is_read_as_its_kind_and_reading_again_changes_nothing():
    texts = ["call <PHONE_NUMBER:1f3a9c2b> or <EMAIL_ADDRESS:00000000>", "a < b", "<PHONE_NUMBER:1F3A> <OTHER:1f3a9c2b>"]
    read = network_view(texts)
    assert read == ["call <PHONE_NUMBER> or <EMAIL_ADDRESS>", texts[1], texts[2]]
    assert network_view(read) == read and network_view(texts, TAGGED) == texts and VIEW != TAGGED


@pytest.fixture
def build(write, tmp_path):
    def _build(rows, key, name, **more):
        data = Data(source=write(rows), id="n", **more)
        source, test = source_files(data.source, data.test, data.format)
        with loaded_source(data, "text-classification", tmp_path / name) as raw:
            candidate = prepare_rows(raw, data, Redactor(data.redact.entities, key))
            return write_snapshot(candidate, tmp_path / name, fingerprint_files(source + test), name)

    return _build


def rows_with_numbers(n=240):
    """Tickets, many of them alike but for a phone number or an address, some with other labels."""
    made = []
    for i, row in enumerate(tickets(n)):
        words = row["text"].split()[: 4 + i % 5]
        made.append({**row, "text": f"{' '.join(words)} please call 030 1234{i % 40:03} or write to user{i % 60}@example.com"})
    return made


def test_which_rows_are_kept_and_where_does_not_hang_on_the_key(build):
    one, other = (build(rows_with_numbers(), key, str(place)) for place, key in enumerate(KEYS))
    for split in SPLITS:
        a, b = one.frame(split), other.frame(split)
        assert a["id"].tolist() == b["id"].tolist() and network_view(a["text"].tolist()) == network_view(b["text"].tolist())
        assert a["text"].tolist() != b["text"].tolist(), "tags differ, or the test shows nothing"
    assert {k: v for k, v in one.manifest.items() if k in ("dropped", "quarantined", "vocabulary", "overlap")} == {
        k: v for k, v in other.manifest.items() if k in ("dropped", "quarantined", "vocabulary", "overlap")
    }


def test_texts_that_a_network_cannot_tell_apart_are_copies_and_their_words_hold_no_tags(build):
    rows = [{**row, "text": f"please call me back on 030 1234{i:03}", "label": "class 0"} for i, row in enumerate(tickets(60))]
    snapshot = build([*rows, *({**row, "n": f"x{row['n']}"} for row in tickets(90))], KEYS[0], "home")
    kept = sum((snapshot.frame(split)["text"].str.startswith("please call me")).sum() for split in SPLITS)
    assert kept == 1
    words = snapshot.manifest["vocabulary"]["words"]
    assert {"phone", "number"} <= words.keys() and not any(
        len(word) == 8 and set(word) <= set("0123456789abcdef") for word in words
    )


def test_a_correction_that_names_a_value_where_the_answer_named_its_kind_corrects_nothing():
    drawn = {"audit": True, "audit_probability": 0.1, "prediction": "call <PHONE_NUMBER>"}
    heard = said(("a", "call 030 1234567", {"source": "audit", "kind": "correction"}))
    redactor = Redactor(("PHONE_NUMBER",), KEYS[0])
    assert accepted_answers(answers(("a", "x", drawn)), heard, redactor.redact).tolist() == [1.0]
