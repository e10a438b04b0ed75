"""Labels of new data against those known before: what is misspelt, gone or new, and what may pass."""

import pytest

from configs.errors import ContractError
from tasks.data.preparation.vocabulary import KnownLabels, check_vocabulary, refuse_feedback

EARLIER = {"billing": 100, "login": 100, "shipping": 97, "rare": 3}
KNOWN = KnownLabels(EARLIER, frozenset({"billing", "login", "shipping"}), "a1b2c3", "4")
NOTHING = KnownLabels({})


def fault(counts, known=KNOWN, policy="may_grow", explained=()):
    with pytest.raises(ContractError) as raised:
        check_vocabulary(counts, known, policy, explained)
    return str(raised.value)


@pytest.mark.parametrize("label", ["Billing", "BILLING", "bil-ling", "billing.", "\uff42illing"])
def test_a_known_label_in_another_spelling_is_named_with_both_counts_and_is_not_gone_beside(label):
    said = fault({label: 100, "login": 100, "shipping": 100})
    assert f"`{label}` (100 rows) and `billing`" in said and "gone" not in said
    assert "100 of 300 rows (33.3%) of the earlier snapshot and champion version 4" in said
    assert "write each label one way" in said and "contract.vocabulary=free" in said


def test_two_spellings_within_a_first_data_set_are_an_error_and_so_is_one_beside_a_known_label():
    said = fault({"Billing": 4, "billing": 96, "login": 100}, NOTHING)
    assert "`Billing` (4 rows) and `billing` (96 rows) differ only" in said
    assert "`Billing` (4 rows) and `billing` (96 rows; known: " in fault({**EARLIER, "billing": 96, "Billing": 4})


def test_a_machine_without_snapshots_knows_the_champions_labels():
    champion = KnownLabels({}, frozenset({"billing", "login"}), None, "4")
    assert "`Login` (5 rows) and `login` (known: champion version 4)" in fault({"billing": 5, "Login": 5}, champion)
    assert "new are `shipping` (1 rows)" in fault({"billing": 5, "login": 5, "shipping": 1}, champion, "frozen")
    check_vocabulary({"billing": 5, "login": 5, "shipping": 1}, champion, "may_grow")


def test_two_spellings_that_were_both_known_stay_accepted():
    both = KnownLabels({"billing": 50, "Billing": 50}, frozenset({"billing"}))
    check_vocabulary({"billing": 50, "Billing": 50}, both, "frozen")
    after_a_rename = KnownLabels({"Billing": 100}, frozenset({"billing"}))  # accepted once, and the champion is the old one
    check_vocabulary({"Billing": 100}, after_a_rename, "frozen")


def test_labels_whose_punctuation_carries_meaning_are_labels_of_their_own():
    known = KnownLabels({"-1": 50, "C": 50, "1.5": 50, "+": 50})
    check_vocabulary({"-1": 1, "1": 1, "C": 1, "C++": 1, "C#": 1, "1.5": 1, "15": 1, "+": 1, "-": 1}, known, "may_grow")


def test_a_label_of_more_than_a_hundredth_that_is_gone_or_renamed_stops_and_a_rare_one_does_not():
    left = {"billing": 100, "login": 100, "shipping": 100}
    check_vocabulary(left, KNOWN, "may_grow")  # `rare` had exactly 1.0 %
    said = fault({"billing": 100, "login": 100, "delivery": 100})
    assert "`shipping` is gone: it had 97 of 300 rows (32.3%)" in said and "new are `delivery` (100 rows)" in said
    assert "data.window" in said and "contract.vocabulary=free" in said
    assert "`rare` is gone" in fault(left, KnownLabels({**EARLIER, "rare": 4}))


def test_the_window_explains_what_is_gone_and_free_passes_everything():
    check_vocabulary({"billing": 100, "login": 100}, KNOWN, "may_grow", explained={"shipping"})
    check_vocabulary({"Billing": 1, "billing": 1, "other": 1}, KNOWN, "free")


def test_a_new_label_passes_unless_the_vocabulary_is_frozen():
    grown = {**EARLIER, "outage": 12}
    check_vocabulary(grown, KNOWN, "may_grow")
    assert "contract.vocabulary is frozen, and new are `outage` (12 rows)" in fault(grown, policy="frozen")
    check_vocabulary(grown, NOTHING, "frozen")


def test_many_faults_are_told_in_few_lines():
    said = fault({f"Label {n}": 1 for n in range(100)} | {f"label-{n}": 1 for n in range(100)}, NOTHING)
    assert "and 80 more" in said and said.count("\n") < 30


def test_what_people_write_is_set_aside_row_by_row_and_stops_nothing():
    counts = {"billing": 5, "login": 5}
    people = {"a": ("billing",), "b": ("billing", "Shipping"), "c": ("refund",), "d": ("Refund",), "e": ("outage",)}
    reasons = refuse_feedback(people, counts, KNOWN, "may_grow")
    assert reasons.keys() == {"b", "c", "d"} and "`shipping`" in reasons["b"] and "`Refund`" in reasons["c"]
    frozen = refuse_feedback(people, counts, KNOWN, "frozen")
    assert "contract.vocabulary is frozen" in frozen["e"] and "a" not in frozen
    assert refuse_feedback(people, counts, KNOWN, "free") == {}
