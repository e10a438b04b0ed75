"""What people said becomes rows of the next snapshot: learned from, and judged on only if drawn at random; a thumb is no label."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from configs.errors import InfraError
from configs.schema import Data
from tasks.data.feedback import (
    PREFIX,
    accepted_answers,
    export_feedback,
    labelled_answers,
    of_inputs,
    read_export,
    rows_of,
    spelled_as_known,
)
from tasks.data.preparation.load import loaded_source
from tasks.data.preparation.prepare import prepare_rows
from tasks.data.preparation.split import SPLITS, split_position
from tasks.data.redaction.key import key_id, redaction_key
from tasks.data.redaction.redact import Redactor
from tasks.data.snapshot.snapshot import write_snapshot
from tasks.data.sources.fingerprints import fingerprint_files
from tasks.data.sources.source_files import source_files

from .conftest import tickets

T0 = datetime(2026, 6, 1, 12, tzinfo=UTC)
WHEN = pd.DatetimeTZDtype("us", "UTC")


def answers(*rows):
    """Answers (id, text), with what else is given."""
    plain = {"version": "1", "prediction": "class 0", "score": 0.9, "latency_ms": 1.0, "audit": False, "audit_probability": 0.0}
    frame = pd.DataFrame([{"id": name, "time": T0, "text": text, **plain, **more} for name, text, more in rows])
    return frame.astype({"time": WHEN}) if len(frame) else frame


def said(*rows):
    """Feedback (answer, value), with what else is given."""
    plain = {"time": T0 + timedelta(days=1), "kind": "label", "source": "user"}
    frame = pd.DataFrame([{"id": f"f{n}", "answer_id": a, "value": v, **plain, **more} for n, (a, v, more) in enumerate(rows)])
    return frame.astype({"time": WHEN})


def rows(found):
    return {row["id"].removeprefix(PREFIX): (row["target"], row["origin"]) for row in found.to_pylist()}


@pytest.fixture
def build(home):
    """Source and feedback to a snapshot, as a retraining does it."""

    def _build(answered, heard, problem="text-classification", **given):
        data = Data(feedback=True, **given)
        key = redaction_key(home, {})
        made = export_feedback(rows_of(answered, heard, problem, data.max_characters), home / "feedback")
        source, test = source_files(data.source, data.test, data.format)
        with loaded_source(data, problem, home, made.path if made else None) as raw:
            candidate = prepare_rows(raw, data, Redactor(data.redact.entities, key) if data.redact.enabled else None)
            return write_snapshot(candidate, home, fingerprint_files(source + test), key_id(key))

    return _build


def where(snapshot):
    """Answer -> the split that its row is in."""
    return {
        name.removeprefix(PREFIX): split
        for split in SPLITS
        for name in snapshot.frame(split)["id"]
        if name.startswith(PREFIX)
    }  # fmt: skip


# --- which feedback counts ------------------------------------------------------------------------------------------------


def test_the_newest_label_of_an_answer_counts_and_thumbs_are_no_label():
    heard = said(
        ("a", "old", {}),
        ("a", "new", {"time": T0 + timedelta(days=3)}),
        ("b", "up", {"kind": "thumb"}),
        ("c", "a better text", {"kind": "correction"}),
        ("unknown", "x", {}),
    )
    found = labelled_answers(answers(("a", "x", {}), ("b", "y", {}), ("c", "z", {}), ("d", "w", {})), heard)
    assert found[["id", "label", "label_source"]].values.tolist() == [["a", "new", "user"]]
    assert found["label_time"][0] == T0 + timedelta(days=3)


def test_an_audits_label_wins_over_a_users_newer_one_and_only_a_drawn_answer_is_audited():
    drawn = {"audit": True, "audit_probability": 0.1}
    heard = said(
        ("a", "audited", {"source": "audit"}),
        ("a", "contested", {"time": T0 + timedelta(days=9)}),
        ("b", "claimed", {"source": "audit"}),
        ("c", "by a user", {}),
    )
    found = rows_of(answers(("a", "x", drawn), ("b", "y", {}), ("c", "z", drawn)), heard, "text-classification", 100)
    assert rows(found) == {"a": ("audited", "audit"), "b": ("claimed", "feedback"), "c": ("by a user", "feedback")}


def test_a_written_answer_is_accepted_where_the_newest_audit_corrects_nothing():
    drawn, by_audit = {"audit": True, "audit_probability": 0.1}, {"source": "audit", "kind": "correction"}
    given = answers(*((name, "x", {"prediction": "call ann@b.org", **drawn}) for name in "abcdef"), ("g", "x", {}))
    heard = said(
        ("a", "Call  <MAIL>", by_audit),
        ("b", "call nobody", by_audit),
        ("c", "up", {"source": "audit", "kind": "thumb"}),
        ("d", "up", {"kind": "thumb"}),
        ("e", "up", {"source": "audit", "kind": "thumb"}),
        ("e", "call nobody", {**by_audit, "time": T0 + timedelta(days=1)}),
        ("g", "up", {"source": "audit", "kind": "thumb"}),
    )
    found = accepted_answers(given, heard, lambda texts: [text.replace("ann@b.org", "<MAIL>") for text in texts])
    assert found.fillna(-1).tolist() == [1, 0, 1, -1, 0, -1, -1], "d is a user's, f unheard, g was not drawn"


UNASKED = "user\x1eone\x1eassistant\x1etwo"


def test_answers_to_inputs_of_another_form_are_no_rows():
    given = answers(*((str(n), text, {}) for n, text in enumerate(("one", "one\x1etwo", "user\x1eone", "a\x1eb\x1ec", UNASKED))))
    kept = {form: of_inputs(given, form)["text"].tolist() for form in ("text", "pair", "messages")}
    assert kept == {"text": ["one"], "pair": ["one\x1etwo", "user\x1eone"], "messages": ["user\x1eone", "user\x1eone"]}
    assert of_inputs(given[:0], "pair").columns.tolist() == given.columns.tolist()


def test_a_blank_or_endless_label_is_no_row():
    heard = said(("a", "  ", {}), ("b", "x" * 101, {}), ("c", "x", {}), ("d", "fine", {}))
    found = rows_of(answers(*((n, "t" * (101 if n == "c" else 5), {}) for n in "abcd")), heard, "text-classification", 100)
    assert rows(found) == {"d": ("fine", "feedback")}


# --- one more source, named by its content ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "fits", "others"),
    [
        ("text-ranking", ("2.5", "0"), ("-1", "-1e+20", "billing")),
        ("text-regression", ("2.5", "-7"), ("billing", "007", "1e+21", '["a"]')),
        (
            "multi-label-classification",
            ('["a","b"]', "[]", '["b","<EMAIL_ADDRESS:0736ed06>"]'),
            ("billing", "7", '{"a":1}', '["a",1]', '"ab"', "null"),
        ),
    ],
)
def test_values_from_before_the_pipeline_had_its_problem_are_no_rows(problem, fits, others):
    values = (*fits, *others)
    answered = answers(*((f"a{place}", f"text {place}", {}) for place in range(len(values))))
    heard = said(*((f"a{place}", value, {}) for place, value in enumerate(values)))
    assert rows_of(answered, heard, problem, 100)["target"].to_pylist() == [*fits]


def test_the_same_feedback_is_the_same_file_and_a_new_label_another(tmp_path):
    answered, heard = answers(("a", "x", {}), ("b", "y", {})), said(("b", "l", {}), ("a", "m", {}))
    first = export_feedback(rows_of(answered, heard, "text-classification", 100), tmp_path)
    again = export_feedback(rows_of(answered[::-1], heard[::-1], "text-classification", 100), tmp_path)
    assert first == again and first.rows == 2 and first.path == tmp_path / f"{first.digest}.parquet"
    repeated = pd.concat([heard, said(("a", "m", {"time": T0 + timedelta(days=5)})).assign(id="f9")])
    assert export_feedback(rows_of(answered, repeated, "text-classification", 100), tmp_path) == first, (
        "the same said again is nothing new"
    )
    other = export_feedback(rows_of(answered, said(("b", "l", {}), ("a", "other", {})), "text-classification", 100), tmp_path)
    assert other.digest != first.digest
    assert export_feedback(rows_of(answered, heard[:0], "text-classification", 100), tmp_path) is None
    assert len(list(tmp_path.iterdir())) == 2


def test_an_export_that_was_changed_is_refused(tmp_path):
    one = export_feedback(rows_of(answers(("a", "x", {})), said(("a", "m", {})), "text-classification", 100), tmp_path)
    two = export_feedback(rows_of(answers(("a", "x", {})), said(("a", "n", {})), "text-classification", 100), tmp_path)
    one.path.write_bytes(two.path.read_bytes())
    with pytest.raises(InfraError, match="is not what it is named by"):
        read_export(one.path)
    one.path.write_bytes(b"PAR1")
    with pytest.raises(InfraError, match="is damaged"):
        read_export(one.path)


# --- where the rows go --------------------------------------------------------------------------------------------------------

SOURCE = {"id": "n", "text": "text", "label": "label"}
ELSEWHERE = [
    f"{words} and nothing like the others {n}" for n, words in enumerate(["alpha beta", "gamma delta", "epsilon zeta"] * 40)
]


def fed(audit):
    """120 answers with texts unlike the source's, all labelled."""
    more = {"audit": True, "audit_probability": 0.02} if audit else {}
    unlike = [" ".join(f"{word}{n}" for word in text.split()) for n, text in enumerate(ELSEWHERE)]
    answered = answers(*((f"a{n:03}", text, more) for n, text in enumerate(unlike)))
    return answered, said(*((f"a{n:03}", f"class {n % 3}", {"source": "audit" if audit else "user"}) for n in range(len(unlike))))


def test_feedback_is_only_ever_learned_from_and_audits_go_where_their_hash_says(build, write):
    source = write(tickets(120))
    snapshot = build(*fed(audit=False), source=source, **SOURCE, split={"by": "hash", "validation": 0.3, "test": 0.4})
    assert len(where(snapshot)) == 120 and set(where(snapshot).values()) == {"train"}
    origins = snapshot.manifest["origins"]
    assert origins["feedback"] == {"train": 120, "validation": 0, "test": 0} and sum(origins["source"].values()) == 120
    assert "audit" not in origins

    answered, heard = fed(audit=True)
    audited = build(answered, heard, source=source, **SOURCE, split={"by": "hash", "validation": 0.3, "test": 0.4})
    for name, text in zip(answered["id"], answered["text"], strict=True):
        place = split_position(text, None)
        assert where(audited)[name] == ("test" if place < 0.4 else "validation" if place >= 0.7 else "train")
    assert min(audited.manifest["origins"]["audit"].values()) > 20


def test_rows_of_the_source_stay_where_they_are_whatever_is_said(build, make, write):
    given = {"source": write(tickets(200)), **SOURCE}
    before, after = make(**given), build(*fed(audit=False), **given)
    for split in ("validation", "test"):
        assert after.manifest["hashes"][f"{split}_rows"] == before.manifest["hashes"][f"{split}_rows"]
    kept = after.frame("train")
    pd.testing.assert_frame_equal(kept[kept["origin"] == "source"].reset_index(drop=True), before.frame("train"))


def test_what_the_source_has_already_is_dropped_and_what_test_has_leaks(build, make, write):
    given = {"source": write(tickets(300)), **SOURCE, "split": {"by": "hash", "validation": 0.2, "test": 0.3}}
    plain = make(**given)
    tests, trains = plain.frame("test").iloc[:5], plain.frame("train").iloc[:5]
    both = pd.concat([tests, trains])
    answered = answers(*((f"a{n}", text, {}) for n, text in enumerate(both["text"])), ("new", "words that nobody wrote before", {}))
    heard = said(*((f"a{n}", label, {}) for n, label in enumerate(both["target"])), ("new", "class 1", {}))
    snapshot = build(answered, heard, **given)
    assert where(snapshot) == {"new": "train"}
    for split in ("validation", "test"):
        assert snapshot.manifest["hashes"][f"{split}_rows"] == plain.manifest["hashes"][f"{split}_rows"]
    assert len(snapshot.frame("train")) == len(plain.frame("train")) + 1 and plain.manifest["dropped"] == {}
    dropped = {reason: found["rows"] for reason, found in snapshot.manifest["dropped"].items()}
    assert dropped == {"exact duplicate": 5, "near or exact duplicate of a test row": 5}


def test_a_contradiction_is_quarantined_but_takes_no_held_out_row_with_it(build, make, write):
    given = {"source": write(tickets(300)), **SOURCE, "split": {"by": "hash", "validation": 0.2, "test": 0.3}}
    plain = make(**given)
    chosen = pd.concat([plain.frame(split).iloc[:4] for split in SPLITS])
    answered = answers(*((f"a{n}", text, {}) for n, text in enumerate(chosen["text"])))
    other = {"class 0": "class 1", "class 1": "class 2", "class 2": "class 0"}
    snapshot = build(answered, said(*((f"a{n}", other[label], {}) for n, label in enumerate(chosen["target"]))), **given)
    for split in ("validation", "test"):
        assert snapshot.manifest["hashes"][f"{split}_rows"] == plain.manifest["hashes"][f"{split}_rows"]
    assert where(snapshot) == {} and len(snapshot.frame("train")) == len(plain.frame("train")) - 4
    reasons = snapshot.manifest["quarantined"]
    assert reasons["rows"] == 16 and all("the same text is labelled" in reason for reason in reasons["reasons"])


def test_feedback_alone_makes_no_class_and_an_audit_does(build, write):
    answered, heard = fed(audit=False)
    heard["value"] = ["misspelt" if n % 2 else f"class {n % 3}" for n in heard.index]
    snapshot = build(answered, heard, source=write(tickets(120)), **SOURCE)
    assert snapshot.manifest["labels"] == ["class 0", "class 1", "class 2"] and len(where(snapshot)) == 60
    assert snapshot.manifest["quarantined"]["reasons"] == {"no row of the source is labelled `misspelt`": 60}
    audited = build(
        *(frame.assign(**more) for frame, more in ((answered, {"audit": True}), (heard, {"source": "audit"}))),
        source=write(tickets(120)),
        **SOURCE,
    )
    assert "misspelt" in audited.manifest["labels"]


def test_feedback_to_answers_that_are_gone_is_nothing():
    gone = answers(("a", "x", {})).iloc[:0]
    assert labelled_answers(gone, said(("b", "l", {}))).empty
    for problem in ("text-classification", "text-generation"):
        assert rows_of(gone, said(("b", "l", {}), ("b", "l", {"kind": "correction"})), problem, 100).num_rows == 0


def test_two_audits_that_contradict_are_both_set_aside_wherever_they_are(build, write):
    drawn = {"audit": True}
    answered = answers(*((f"a{n}", f"wholly other words about number {n // 2}", drawn) for n in range(40)))
    heard = said(*((f"a{n}", f"class {n % 2}", {"source": "audit"}) for n in range(40)))
    snapshot = build(answered, heard, source=write(tickets(100)), **SOURCE)
    assert where(snapshot) == {} and snapshot.manifest["quarantined"]["rows"] == 40


def test_split_by_time_feedback_from_the_held_out_time_waits(build, make, write):
    source = write(tickets(200))
    given = {"source": source, **SOURCE, "time": "when", "split": {"by": "time", "validation": 0.2, "test": 0.2}}
    plain = make(**given)
    edge = plain.frame("validation")["time"].min()
    answered, heard = fed(audit=False)
    early = answered.index < 50
    answered["time"] = pd.Series(
        [edge - timedelta(days=1 + n) if n < 50 else edge + timedelta(days=n) for n in answered.index]
    ).astype(WHEN)
    snapshot = build(answered, heard, **given)
    assert where(snapshot) == dict.fromkeys(answered["id"][early], "train")
    assert snapshot.manifest["dropped"]["feedback from the time that is held out"]["rows"] == 70
    for split in ("validation", "test"):
        assert snapshot.manifest["hashes"][f"{split}_rows"] == plain.manifest["hashes"][f"{split}_rows"]


def test_a_given_test_set_takes_no_audited_row(build, write):
    source, test = write(tickets(150)), write([{**row, "n": f"x{row['n']}"} for row in tickets(60, seed=9)], "test.jsonl")
    given = {"source": source, "test": test, **SOURCE}
    audited = build(*fed(audit=True), **given)
    assert set(where(audited).values()) == {"train", "validation"} and len(audited.frame("test")) == 60
    assert set(where(build(*fed(audit=False), **given)).values()) == {"train"}


def test_the_window_holds_for_feedback_too(build, write):
    given = {"source": write(tickets(150)), **SOURCE, "time": "when", "window": {"end": "2026-06-02"}}
    answered, heard = fed(audit=False)
    answered["time"] = pd.Series([T0 + timedelta(days=n) for n in answered.index]).astype(WHEN)
    assert where(build(answered, heard, **given)) == {"a000": "train"}


def test_texts_and_corrections_are_redacted_again_which_changes_nothing_twice(build, write, home):
    answered = answers(("a", "write to anna@example.org about it please", {}), ("b", "call me never", {}))
    snapshot = build(answered, said(("a", "class 1", {}), ("b", "class 2", {})), source=write(tickets(90)), **SOURCE)
    train = snapshot.frame("train").set_index("id")
    once = train.loc[f"{PREFIX}a", "text"]
    assert "anna" not in once and "<EMAIL_ADDRESS:" in once
    again = build(answers(("a", once, {})), said(("a", "class 1", {})), source=write(tickets(90)), **SOURCE)
    assert again.frame("train").set_index("id").loc[f"{PREFIX}a", "text"] == once


def test_a_label_that_people_spell_otherwise_is_the_sources_own(build, write):
    answered, heard = fed(audit=False)
    heard["value"] = [("CLASS 0", "class_1", "Class-2")[n % 3] for n in heard.index]
    snapshot = build(answered, heard, source=write(tickets(120)), **SOURCE)
    assert snapshot.manifest["labels"] == ["class 0", "class 1", "class 2"] and len(where(snapshot)) == 120


# --- what people write in a label ------------------------------------------------------------------------------------------


def test_a_label_that_is_a_class_in_disguise_is_that_class_and_any_other_is_redacted():
    redactor = Redactor(("EMAIL_ADDRESS",), b"k" * 32)
    known = {"billing", "desk@example.org"}
    masked = redactor.redact(["desk@example.org"])[0]
    heard = ["billing", "BILLING", "desk@example.org", masked, "ann@b.org is angry", None]
    meant = spelled_as_known(heard, known, redactor)
    assert meant[:4] == ["billing", "billing", "desk@example.org", "desk@example.org"] and meant[5] is None
    assert "ann@b.org" not in meant[4] and meant[4].endswith("> is angry")
    assert spelled_as_known(heard, known, None)[4] == "ann@b.org is angry"


def test_a_label_whose_search_is_over_its_budget_costs_its_rows_and_no_other():
    redactor = Redactor(("PHONE_NUMBER",), b"k" * 32)
    costly = "030 1234567 ~02079460958 123-45-6789\u0663(x" * 100
    assert redactor.redact_each([costly]) == [None]
    assert spelled_as_known(["billing", costly, "new"], {"billing"}, redactor) == ["billing", None, "new"]
    assert spelled_as_known(["new", costly], {"billing", costly}, redactor) == ["new", costly]


def test_a_row_whose_label_is_over_its_budget_is_set_aside_and_the_run_goes_on(build, write):
    heard = said(("a", "030 1234567 ~02079460958 123-45-6789\u0663(x" * 100, {}), ("b", "class 1", {}))
    given = answers(*((name, f"said to {name} in so many words", {}) for name in "ab"))
    made = build(given, heard, source=write(tickets(80)), id="n")
    assert set(where(made)) == {"b"} and pd.read_parquet(made.path / "quarantine.parquet")["id"].tolist() == ["answer:a"]


def test_an_address_in_a_label_is_in_nothing_that_is_kept(home, build, write):
    heard = said(("a", "ann@b.org", {}), ("b", "class 1", {}), ("c", "\u200d", {}))
    given = answers(*((name, f"said to {name} in so many words", {}) for name in "abc"))
    made = build(given, heard, source=write(tickets(80)), id="n")
    aside = pd.read_parquet(made.path / "quarantine.parquet").set_index("id")
    assert aside.loc["answer:a", "reason"].startswith("no row of the source is labelled `<EMAIL_ADDRESS:")
    assert set(where(made)) == {"b"} and len(aside) == 1
    rows = "".join(pd.read_parquet(file).to_csv() for file in made.path.glob("*.parquet"))
    assert "ann@b.org" not in rows + (made.path / "manifest.json").read_text()
