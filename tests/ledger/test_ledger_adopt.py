"""Adoptions in the ledger: a person's move, through the same intended and applied as every other."""

import pytest
from ledger_child import PROMOTE_STEPS, WON, FileRegistry, adopt_and_die, killed, promoted

from configs.errors import InputError
from tasks.ledger.promotions import (
    ChampionMovedError,
    PromotionEvidence,
    PromotionRequest,
    RollbackRequest,
    adopt_version,
    champion_entry,
    ledger_history,
    promote,
    reconcile_alias,
    replayed_champion,
    rollback,
)

MADE = PromotionEvidence(run_id="run", train_key="model", decision_key="adoption")


@pytest.fixture
def registry(tmp_path):
    return FileRegistry(tmp_path / "registry").add("1", "2", "3")


def adopted(ledger, registry, model, to, expected, reason="made elsewhere"):
    return adopt_version(ledger, registry, model, PromotionRequest(to, expected=expected, evidence=MADE, who="Ada", reason=reason))


def test_an_adopted_model_is_champion_its_own_anchor_and_can_be_gone_back_to(ledger, registry, model):
    entry = adopted(ledger, registry, model, "1", None).entry
    assert (entry.kind, entry.from_version, entry.to_version, entry.state) == ("ADOPTED", None, "1", "applied")
    assert (entry.who, entry.reason, entry.forced, entry.verdict) == ("Ada", "made elsewhere", False, None)
    assert registry.champion(model) == replayed_champion(ledger, model) == "1" and champion_entry(ledger, model).anchor == "1"
    promoted(ledger, registry, model, "2")
    assert champion_entry(ledger, model).anchor == "2"
    move = rollback(ledger, registry, model, RollbackRequest(who="Ada"))
    assert move.entry.to_version == "1" and champion_entry(ledger, model).anchor == "1"


def test_an_adoption_in_the_place_of_a_champion_is_no_evidence_and_inherits_its_anchor(ledger, registry, model):
    promoted(ledger, registry, model, "1")
    entry = adopted(ledger, registry, model, "2", "1").entry
    assert entry.forced and champion_entry(ledger, model).anchor == "1" and champion_entry(ledger, model).champion == "2"


def test_an_adoption_without_a_reason_or_against_another_champion_is_refused_and_writes_nothing(ledger, registry, model):
    with pytest.raises(InputError, match="give a reason"):
        adopted(ledger, registry, model, "1", None, reason=" ")
    with pytest.raises(InputError, match="no version 9"):
        adopted(ledger, registry, model, "9", None)
    promoted(ledger, registry, model, "1")
    with pytest.raises(ChampionMovedError, match="compared with champion none, but the champion is version 1"):
        adopted(ledger, registry, model, "2", None)
    assert [row.kind for row in ledger_history(ledger, model)] == ["FIRST"]


def test_the_same_adoption_asked_for_again_gives_the_row_it_made(ledger, registry, model):
    first = adopted(ledger, registry, model, "1", None)
    again = adopted(ledger, registry, model, "1", None)
    assert first.fresh and not again.fresh and again.entry == first.entry and len(ledger_history(ledger, model)) == 1


@pytest.mark.parametrize("at", PROMOTE_STEPS)
def test_an_adoption_killed_between_any_two_steps_is_healed_and_finished(url, ledger, registry, model, at):
    promoted(ledger, registry, model, "1")
    assert killed(adopt_and_die, url, registry.folder, model, "1", "2", at)
    assert reconcile_alias(ledger, registry, model).champion == replayed_champion(ledger, model) == registry.champion(model)
    if registry.champion(model) == "1":
        adopted(ledger, registry, model, "2", "1")
    rows = [(row.kind, row.to_version) for row in ledger_history(ledger, model) if row.state == "applied"]
    assert rows == [("FIRST", "1"), ("ADOPTED", "2")] and registry.champion(model) == "2"


def test_a_challenger_replaces_an_adopted_champion_as_any_other(ledger, registry, model):
    adopted(ledger, registry, model, "1", None)
    move = promote(ledger, registry, model, PromotionRequest("2", expected="1", evidence=WON, who="tunekeeper"))
    assert (move.entry.kind, move.entry.from_version) == ("PROMOTE", "1")
