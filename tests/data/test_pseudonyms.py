"""What is kept of an id says nothing of a person, is as unique as the id, and leads back to its row with the key."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from counting import calls

from configs.errors import InputError
from configs.schema import PATTERN_ENTITIES, Data
from tasks.data.preparation.load import loaded_source
from tasks.data.redaction.pseudonyms import PSEUDONYM, file_name, pseudonym_of, pseudonyms_of
from tasks.data.redaction.redact import Redactor
from tasks.data.snapshot.snapshot import open_snapshot

from .conftest import tickets

KEY = b"k" * 32
REDACTOR = Redactor(PATTERN_ENTITIES, KEY)

PERSONAL = [
    "ann@example.com", "cust-ann@b.org", "+49 30 1234567", "+4930123", "4155552671",
    "(415) 555-2671", "user-4155552671", "078-05-1120",
    "4111 1111 1111 1111", "DE89370400440532013000", "192.168.17.4", 
    "tel:555-1234", "call 5551234", "tel-5551234", "00:1B:44:11:3A:B7", "٠٣٠١٢٣٤٥٦٧٨", "half \ud800",
]  # fmt: skip
PLAIN = [
    "r0001", "HD-100001", "10000001", "2026-01-31-7", "CVE-2021-2", "550e8400-e29b-41d4-a716-446655440000", 
    "d41d8cd98f00b204e9800998ecf8427e",
    "550e8400-0000-0000-0000-123456789012", "tickets.csv#12", "a/b/c", "x y", "conversation0001turn0002",
]  # fmt: skip


@pytest.mark.parametrize("value", PERSONAL)
def test_an_id_that_may_name_a_person_is_kept_as_a_pseudonym(value):
    (kept,) = pseudonyms_of([value], REDACTOR)
    assert PSEUDONYM.fullmatch(kept) and kept == pseudonym_of(value, KEY) and kept != pseudonym_of(value, b"other" * 8)


@pytest.mark.parametrize("value", PLAIN)
def test_an_id_that_names_nobody_stays_as_it_is(value):
    assert pseudonyms_of([value], REDACTOR) == [value]


def test_whatever_would_be_redacted_in_a_text_is_no_plain_id():
    written = [f"{word}{joint}{n}" for word in ("tel", "call", "order", "") for joint in ":- _/" for n in ("5551234", "555-1234")]
    kept = pseudonyms_of(written, REDACTOR)
    assert not [v for v, k in zip(written, kept, strict=True) if v == k and REDACTOR.redact_each([v]) != [v]]


def test_an_id_whose_search_is_over_its_budget_is_a_pseudonym(monkeypatch):
    monkeypatch.setattr(Redactor, "redact_each", lambda self, texts: [None for _ in texts])
    assert PSEUDONYM.fullmatch(pseudonyms_of(["x 555-1234"], REDACTOR)[0]) and PSEUDONYM.fullmatch(
        file_name("tickets.csv", REDACTOR)
    )


def test_a_serial_number_is_told_at_once():
    ids = [f"{head}{n}" for head in ("", "r", "HD-", "ticket_") for n in range(10_000_000, 10_000_100)]
    assert pseudonyms_of(ids, REDACTOR) == ids and calls(pseudonyms_of, ids, REDACTOR) <= 15 * len(ids)


def test_ids_that_differ_stay_different_and_pseudonyms_stay_what_they_are():
    many = [f"user{i}@example.com" for i in range(20_000)] + ["Ann@example.com", "ann@example.com"]
    kept = pseudonyms_of(many, REDACTOR)
    assert len(set(kept)) == len(many) and pseudonyms_of(kept, REDACTOR) == kept


def test_what_is_no_entity_of_the_config_is_left_as_groups_are():
    assert pseudonyms_of(["ann@example.com", "4155552671"], Redactor(("EMAIL_ADDRESS",), KEY))[1] == "4155552671"


def test_a_file_that_is_named_for_a_person_gives_no_id_that_names_them():
    assert file_name("2026-01-31/part-20260131-20260228.csv", REDACTOR) == "2026-01-31/part-20260131-20260228.csv"
    assert PSEUDONYM.fullmatch(file_name("ann@example.com.csv", REDACTOR))


def people(n: int) -> list[dict[str, str]]:
    return [{**row, "n": f"user{i}@example.com"} for i, row in enumerate(tickets(n))]


def everything(home: Path) -> bytes:
    """All bytes that lie in a home, unpacked where they are rows."""
    rows = [pd.read_parquet(file).to_csv() for file in home.rglob("*.parquet")]
    return "\n".join(rows).encode() + b"".join(file.read_bytes() for file in home.rglob("*") if file.is_file())


def test_no_address_that_is_an_id_is_in_a_snapshot(make, write, home):
    rows = [*people(80), {**people(1)[0], "n": "bad@example.com", "label": None}, {**people(1)[0], "n": "copy@example.com"}]
    made = make(source=write(rows), id="n")
    assert b"example.com" not in everything(home / "snapshots")
    kept = pd.concat([made.frame(split) for split in ("train", "validation", "test")])
    assert len(kept) == 80 and kept["id"].is_unique and kept["id"].str.fullmatch(PSEUDONYM.pattern).all()
    assert made.manifest["made_by"]["ids"] == 1


def test_the_contract_of_raw_rows_never_sees_the_ids(write, home):
    with loaded_source(Data(source=write(people(5)), id="n"), "text-classification", home) as raw:
        assert all(PSEUDONYM.fullmatch(name) for frame in raw.frames() for name in frame["id"])


def test_without_redaction_ids_stay_as_they_are(make, write):
    made = make(source=write(people(60)), id="n", redact={"enabled": False})
    assert made.frame("train")["id"].str.endswith("@example.com").all()


def test_rows_come_in_the_same_order_under_every_key_so_that_weights_do_not_hang_on_it(make, write, home, monkeypatch):
    rows = [*people(120), *tickets(30, seed=3)]
    orders = []
    for key in ("first key of sixteen", "second key of sixteen"):
        (home / "redaction.key").unlink(missing_ok=True)
        home.mkdir(exist_ok=True)
        (home / "redaction.key").write_text(key.encode().hex().ljust(64, "0")[:64])
        made = make(source=write(rows), id="n", time="when")
        orders.append([made.frame(split)["text"].tolist() for split in ("train", "validation", "test")])
    assert orders[0] == orders[1]


def test_ids_that_are_there_twice_are_named_by_their_rows_and_not_by_themselves(write, home):
    source = write([*people(5), people(3)[2], people(3)[2]])
    with pytest.raises(InputError) as refused, loaded_source(Data(source=source, id="n"), "text-classification", home):
        pass
    said = str(refused.value)
    assert f"{source} row 3, {source} row 6, {source} row 7; 2 repeats in all" in said
    assert "example.com" not in said and PSEUDONYM.search(said)


def test_an_older_snapshot_with_plain_ids_is_read_as_it_is(make, write, home):
    made = make(source=write(people(60)), id="n", redact={"enabled": False})
    manifest = json.loads((made.path / "manifest.json").read_text())
    assert open_snapshot(home, made.hash).frame("test")["id"].str.contains("@").all() and manifest["hash"] == made.hash
