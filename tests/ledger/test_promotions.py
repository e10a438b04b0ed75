import itertools
import random
from functools import partial

import pytest
from ledger_child import (
    PROMOTE_STEPS,
    WON,
    FileRegistry,
    heal_and_die,
    killed,
    promote_and_die,
    promoted,
    rollback_and_die,
    run_race,
)

from configs.errors import InfraError, InputError
from tasks.ledger.promotions import (
    ChampionMovedError,
    Ledger,
    PromotionEvidence,
    PromotionRequest,
    RollbackRequest,
    WithdrawnError,
    anchor_version,
    champion_entry,
    ledger_history,
    promote,
    reconcile_alias,
    replayed_champion,
    rollback,
)

NOT_WORSE = PromotionEvidence(verdict="PROMOTE", rule="not_worse")


@pytest.fixture
def registry(tmp_path):
    return FileRegistry(tmp_path / "registry").add("1", "2", "3", "4", "5")


def told(ledger, model):
    return [(row.epoch, row.kind, row.from_version, row.to_version, row.state) for row in ledger_history(ledger, model)]


def test_a_promotion_is_a_row_and_an_alias(ledger, registry, model):
    evidence = PromotionEvidence("PROMOTE", "better", "run-7", "train-7", "decision-7")
    move = promote(ledger, registry, model, PromotionRequest("1", expected=None, evidence=evidence, who="the flow", reason="won"))
    assert move.fresh and not move.notices
    assert registry.champion(model) == replayed_champion(ledger, model) == "1"
    (row,) = ledger_history(ledger, model)
    assert row == move.entry
    assert (row.kind, row.state, row.run_id, row.train_key, row.decision_key) == (
        "FIRST",
        "applied",
        "run-7",
        "train-7",
        "decision-7",
    )
    assert (row.who, row.reason, row.verdict, row.rule) == ("the flow", "won", "PROMOTE", "better")
    assert row.at.endswith("+00:00")


def test_a_promotion_compared_with_another_champion_is_refused_naming_both(ledger, registry, model):
    promoted(ledger, registry, model, "1", "2")
    with pytest.raises(ChampionMovedError, match=r"version 1, but the champion is version 2 now"):
        promote(ledger, registry, model, PromotionRequest("3", expected="1", evidence=WON, who="late"))
    assert registry.champion(model) == "2" and len(ledger_history(ledger, model)) == 2


def test_the_same_promotion_asked_for_again_gives_the_row_it_made(ledger, registry, model):
    promoted(ledger, registry, model, "1")
    evidence = PromotionEvidence("PROMOTE", "better", decision_key="d")
    first = promote(ledger, registry, model, PromotionRequest("2", expected="1", evidence=evidence, who="a run"))
    again = promote(ledger, registry, model, PromotionRequest("2", expected="1", evidence=evidence, who="its rerun"))
    assert first.fresh and not again.fresh and again.entry == first.entry
    with pytest.raises(ChampionMovedError):
        promote(
            ledger,
            registry,
            model,
            PromotionRequest("2", expected="1", evidence=PromotionEvidence("PROMOTE", "better", decision_key="e"), who="another"),
        )


@pytest.mark.parametrize(
    ("to", "evidence", "force", "reason", "said"),
    [
        ("9", WON, False, "", "no version 9"),
        ("2", PromotionEvidence("HOLD", "better"), False, "", "verdict is HOLD"),
        ("2", PromotionEvidence(), True, " ", "needs a reason"),
        ("1", WON, False, "", "already"),
    ],
)
def test_a_promotion_without_ground_is_the_users_fault_and_writes_nothing(
    ledger, registry, model, to, evidence, force, reason, said
):
    promoted(ledger, registry, model, "1")
    with pytest.raises(InputError, match=said):
        promote(ledger, registry, model, PromotionRequest(to, expected="1", evidence=evidence, who="x", reason=reason, force=force))
    assert len(ledger_history(ledger, model)) == 1 and registry.champion(model) == "1"


@pytest.mark.parametrize("at", PROMOTE_STEPS)
def test_a_promotion_killed_between_any_two_steps_is_healed(url, ledger, registry, model, at):
    promoted(ledger, registry, model, "1")
    assert killed(promote_and_die, url, registry.folder, model, "1", "2", at)
    settled = reconcile_alias(ledger, registry, model)
    happened = at != "alone"
    assert settled.champion == registry.champion(model) == replayed_champion(ledger, model) == ("2" if happened else "1")
    assert (settled.finished is not None) == (at in ("intended", "before the alias", "alias set"))
    assert reconcile_alias(ledger, registry, model).notices == ()
    move = promote(ledger, registry, model, PromotionRequest("2", expected="1", evidence=WON, who="the rerun"))
    assert move.fresh is not happened
    assert told(ledger, model) == [(1, "FIRST", None, "1", "applied"), (2, "PROMOTE", "1", "2", "applied")]


@pytest.mark.parametrize("at", PROMOTE_STEPS)
def test_a_rollback_killed_between_any_two_steps_is_healed(url, ledger, registry, model, at):
    promoted(ledger, registry, model, "1", "2")
    assert killed(rollback_and_die, url, registry.folder, model, "2", at)
    settled = reconcile_alias(ledger, registry, model)
    assert settled.champion == registry.champion(model) == replayed_champion(ledger, model) == ("2" if at == "alone" else "1")


@pytest.mark.parametrize("at", ["alone", "before the alias", "alias set", "applied"])
def test_a_healing_that_is_killed_is_healed(url, ledger, registry, model, at):
    promoted(ledger, registry, model, "1")
    assert killed(promote_and_die, url, registry.folder, model, "1", "2", "intended")
    assert killed(heal_and_die, url, registry.folder, model, at)
    assert reconcile_alias(ledger, registry, model).champion == registry.champion(model) == replayed_champion(ledger, model) == "2"
    assert len(ledger_history(ledger, model)) == 2


def test_a_rollback_that_only_had_to_be_finished_does_not_go_back_twice(url, ledger, registry, model):
    promoted(ledger, registry, model, "1", "2", "3")
    assert killed(rollback_and_die, url, registry.folder, model, "3", "intended")
    move = rollback(ledger, registry, model, RollbackRequest(who="the same person"))
    assert not move.fresh and "interrupted" in move.notices[0]
    assert registry.champion(model) == "2" and len(ledger_history(ledger, model)) == 4


def test_sixteen_processes_promoting_at_once_have_one_winner_per_epoch(url, ledger, tmp_path, model):
    attempts = run_race(url, tmp_path / "race", model, processes=16, rounds=3)
    for turn in range(3):
        assert sum(won for at, _, won in attempts if at == turn) == 1
    winners = {f"{turn}.{number}" for turn, number, won in attempts if won}
    rows = ledger_history(ledger, model)
    assert [row.epoch for row in rows] == [1, 2, 3] and {row.to_version for row in rows} == winners
    assert all(row.state == "applied" for row in rows)
    assert FileRegistry(tmp_path / "race").champion(model) == replayed_champion(ledger, model)


def test_an_epoch_is_taken_once_even_by_callers_who_do_not_wait_their_turn(ledger, registry, model):
    from tasks.ledger.reconcile import ReconcileStep

    one, two = (ReconcileStep(ledger, registry, model, lambda _: None, lambda: None) for _ in range(2))
    assert one.append(one.entry(1, "FIRST", PromotionRequest("1", None, PromotionEvidence(), "one")))
    assert not two.append(two.entry(1, "FIRST", PromotionRequest("2", None, PromotionEvidence(), "two")))
    assert [row.who for row in ledger_history(ledger, model)] == ["one"]


def test_a_promotion_made_in_mlflows_ui_is_adopted_with_a_notice(ledger, registry, model):
    promoted(ledger, registry, model, "1")
    registry.set_champion(model, "4")
    settled = reconcile_alias(ledger, registry, model)
    assert settled.champion == "4" and "outside Tunekeeper" in settled.notices[0] and "EXTERNAL" in settled.notices[0]
    assert told(ledger, model)[-1] == (2, "EXTERNAL", "1", "4", "applied")
    assert replayed_champion(ledger, model) == "4" and reconcile_alias(ledger, registry, model).notices == ()


def test_a_champion_older_than_the_ledger_is_adopted(ledger, registry, model):
    registry.set_champion(model, "3")
    settled = reconcile_alias(ledger, registry, model)
    assert settled.champion == replayed_champion(ledger, model) == "3"
    assert "before this ledger had a row of it" in settled.notices[0] and "restore that" in settled.notices[0]
    assert reconcile_alias(ledger, FileRegistry(registry.folder), model).notices == ()


def test_a_person_who_moves_the_alias_during_a_promotion_is_not_overruled(ledger, registry, model):
    promoted(ledger, registry, model, "1")

    def meddle(at):
        if at == "intended":
            registry.set_champion(model, "5")

    with pytest.raises(ChampionMovedError, match="version 5 now"):
        promote(ledger, registry, model, PromotionRequest("2", expected="1", evidence=WON, who="the flow"), step=meddle)
    assert registry.champion(model) == replayed_champion(ledger, model) == "5"
    assert told(ledger, model)[1:] == [(2, "PROMOTE", "1", "2", "abandoned"), (3, "EXTERNAL", "1", "5", "applied")]


def test_a_person_who_moves_the_alias_right_after_a_promotion_is_adopted(ledger, registry, model):
    def meddle(at):
        if at == "applied":
            registry.set_champion(model, "5")

    move = promote(ledger, registry, model, PromotionRequest("1", expected=None, evidence=WON, who="the flow"), step=meddle)
    assert move.entry.state == "applied" and "version 5" in move.notices[-1]
    assert registry.champion(model) == replayed_champion(ledger, model) == "5"


def test_a_deleted_champion_is_reported_until_there_is_another(ledger, registry, model):
    promoted(ledger, registry, model, "1", "2")
    registry.delete("2")
    for _ in range(2):
        settled = reconcile_alias(ledger, registry, model)
        assert settled.champion is None is replayed_champion(ledger, model)
        assert "version 2 was deleted" in settled.notices[-1] and "tunekeeper rollback" in settled.notices[-1]
    assert rollback(ledger, registry, model, RollbackRequest(who="a person")).entry.to_version == "1"
    assert reconcile_alias(ledger, registry, model).notices == () and replayed_champion(ledger, model) == "1"


def test_a_registry_that_knows_no_such_model_is_another_one_and_nothing_is_recorded_by_it(ledger, registry, model):
    promoted(ledger, registry, model, "1", "2")
    with pytest.raises(KilledError):
        promote(
            ledger, registry, model, PromotionRequest("3", expected="2", evidence=WON, who="the flow"), step=killed_at("intended")
        )
    before, empty = told(ledger, model), FileRegistry(registry.folder.with_name("empty"))
    for call in (
        partial(reconcile_alias, ledger, empty, model),
        partial(rollback, ledger, empty, model, RollbackRequest(who="a person")),
    ):
        with pytest.raises(
            InfraError, match=rf"names version 1, 2, 3 of {model}.*no model of that name.*right MLflow.*Nothing was rec"
        ):
            call()
    assert told(ledger, model) == before
    assert reconcile_alias(ledger, registry, model).champion == "3"  # in the right one the move goes on


def test_a_registry_whose_version_another_run_made_is_another_one(ledger, registry, model):
    evidence = PromotionEvidence("PROMOTE", "better", "run-7")
    promote(ledger, registry, model, PromotionRequest("1", expected=None, evidence=evidence, who="the flow"))
    other = FileRegistry(registry.folder.with_name("other")).add("1", "2")
    other.set_champion(model, "2")
    (other.folder / "versions" / "1").write_text("run-8")
    with pytest.raises(InfraError, match=r"version 1 of .* run run-7 as the ledger says, .*other by run-8: .* another `name`"):
        reconcile_alias(ledger, other, model)
    assert replayed_champion(ledger, model) == "1"
    (other.folder / "versions" / "1").write_text("run-7")
    assert reconcile_alias(ledger, other, model).champion == "2"


class KilledError(Exception):
    pass


def killed_at(name):
    def step(at):
        if at == name:
            raise KilledError

    return step


def test_an_alias_taken_off_by_a_person_is_told_from_a_deleted_version(ledger, registry, model):
    promoted(ledger, registry, model, "1")
    (registry.folder / "champion").unlink()
    assert "the alias was taken off version 1" in reconcile_alias(ledger, registry, model).notices[-1]
    with pytest.raises(WithdrawnError):
        promote(ledger, registry, model, PromotionRequest("1", expected=None, evidence=WON, who="the flow"))
    promote(ledger, registry, model, PromotionRequest("2", expected=None, evidence=WON, who="the flow"))
    assert replayed_champion(ledger, model) == "2"


def test_an_interrupted_promotion_to_a_version_deleted_since_is_given_up(url, ledger, registry, model):
    promoted(ledger, registry, model, "1")
    assert killed(promote_and_die, url, registry.folder, model, "1", "2", "intended")
    registry.delete("2")
    settled = reconcile_alias(ledger, registry, model)
    assert settled.champion == replayed_champion(ledger, model) == "1" and "given up" in settled.notices[0]
    promoted(ledger, registry, model, "3")
    assert told(ledger, model)[1:] == [(2, "PROMOTE", "1", "2", "abandoned"), (3, "PROMOTE", "1", "3", "applied")]


def test_rollbacks_walk_back_and_never_forth(ledger, registry, model):
    promoted(ledger, registry, model, "1", "2", "3")
    assert rollback(ledger, registry, model, RollbackRequest(who="a person", reason="complaints")).entry.to_version == "2"
    assert rollback(ledger, registry, model, RollbackRequest(who="a person")).entry.to_version == "1"
    with pytest.raises(InputError, match="no earlier champion"):
        rollback(ledger, registry, model, RollbackRequest(who="a person"))
    assert registry.champion(model) == replayed_champion(ledger, model) == "1"


def test_a_rollback_past_versions_takes_them_all_back(ledger, registry, model):
    promoted(ledger, registry, model, "1", "2", "3")
    rollback(ledger, registry, model, RollbackRequest(to="1", who="a person"))
    assert champion_entry(ledger, model).withdrawn == {"2", "3"}


def test_two_people_rolling_back_the_same_version_go_back_once(ledger, registry, model):
    promoted(ledger, registry, model, "1", "2", "3")
    rollback(ledger, registry, model, RollbackRequest(left="3", who="one"))
    with pytest.raises(ChampionMovedError):
        rollback(ledger, registry, model, RollbackRequest(left="3", who="two"))
    assert registry.champion(model) == "2"


@pytest.mark.parametrize(("to", "said"), [("9", "no version 9"), ("2", "champion already"), ("5", "never champion")])
def test_a_rollback_to_nowhere_is_refused(ledger, registry, model, to, said):
    promoted(ledger, registry, model, "1", "2")
    with pytest.raises(InputError, match=said):
        rollback(ledger, registry, model, RollbackRequest(to=to, who="a person"))


def test_what_was_rolled_back_is_promoted_again_only_by_a_person_with_a_reason(ledger, registry, model):
    promoted(ledger, registry, model, "1", "2")
    rollback(ledger, registry, model, RollbackRequest(who="a person"))
    with pytest.raises(WithdrawnError, match="taken back"):
        promote(ledger, registry, model, PromotionRequest("2", expected="1", evidence=WON, who="the flow"))
    move = promote(
        ledger, registry, model, PromotionRequest("2", expected="1", evidence=WON, who="ann", reason="false alarm", force=True)
    )
    assert (move.entry.forced, move.entry.reason, move.entry.who) == (True, "false alarm", "ann")
    promoted(ledger, registry, model, "3")
    assert rollback(ledger, registry, model, RollbackRequest(who="a person")).entry.to_version == "2"


def test_moving_the_alias_back_in_the_ui_takes_the_newer_version_back(ledger, registry, model):
    promoted(ledger, registry, model, "1", "2")
    registry.set_champion(model, "1")
    with pytest.raises(WithdrawnError):
        promote(ledger, registry, model, PromotionRequest("2", expected="1", evidence=WON, who="the flow"))


def test_the_anchor_is_the_last_version_that_won_by_better(ledger, registry, model):
    assert anchor_version(ledger, model) is None
    promoted(ledger, registry, model, "1", "2")
    promoted(ledger, registry, model, "3", "4", evidence=NOT_WORSE)
    assert anchor_version(ledger, model) == "2"
    registry.set_champion(model, "5")
    reconcile_alias(ledger, registry, model)
    assert anchor_version(ledger, model) == "2"  # a person's choice is no evidence


def test_a_rollback_brings_the_anchor_of_that_reign_back(ledger, registry, model):
    promoted(ledger, registry, model, "1")
    promoted(ledger, registry, model, "2", evidence=NOT_WORSE)
    promoted(ledger, registry, model, "3")
    assert anchor_version(ledger, model) == "3"
    rollback(ledger, registry, model, RollbackRequest(who="a person"))
    assert (registry.champion(model), anchor_version(ledger, model)) == ("2", "1")


def test_whatever_happens_replaying_the_ledger_yields_the_live_alias(tmp_path, model):
    class KilledError(Exception):
        pass

    for seed in range(12):
        chance, count = random.Random(seed), itertools.count()
        ledger = Ledger(f"sqlite:///{tmp_path}/{seed}.db")
        registry = FileRegistry(tmp_path / str(seed)).add(*"12345678")

        def die(at, chance=chance, count=count):
            if next(count) and chance.random() < 0.15:
                raise KilledError

        for _ in range(25):
            versions, live = sorted(registry.versions(model)), registry.champion(model)
            act = chance.choice(["promote", "promote", "promote", "rollback", "move", "delete", "off"])
            try:
                if act == "promote":
                    to = chance.choice(versions)
                    promote(ledger, registry, model, PromotionRequest(to, expected=live, evidence=WON, who="x"), step=die)
                elif act == "rollback":
                    rollback(ledger, registry, model, RollbackRequest(who="x"), step=die)
                elif act == "move":
                    registry.set_champion(model, chance.choice(versions))
                elif act == "delete" and len(versions) > 4:
                    registry.delete(chance.choice(versions))
                elif act == "off" and live is not None:
                    (registry.folder / "champion").unlink()
            except (KilledError, InputError, ChampionMovedError):
                pass
            if chance.random() < 0.5:
                assert (
                    reconcile_alias(ledger, registry, model).champion
                    == registry.champion(model)
                    == replayed_champion(ledger, model)
                )
                rows = ledger_history(ledger, model)
                assert [row.epoch for row in rows] == list(range(1, len(rows) + 1))
