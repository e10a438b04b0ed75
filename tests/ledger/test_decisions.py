from datetime import UTC, datetime, timedelta

import forks
import pytest
from ledger_child import decide
from sqlalchemy import event

from tasks.ledger.decisions import LookTakenError, NewDecision, check_look, find_decision, look_number, record_decision
from tasks.ledger.promotions import Ledger
from tasks.stats.multiplicity import alpha_at_look


def decided(ledger, model, key, rows="rows", champion="1", verdict="HOLD", **more):
    return record_decision(ledger, NewDecision(model, key, rows, champion, verdict, "run", {"key": key}, **more))


def test_a_decision_comes_back_under_its_key_as_it_was_reached(ledger, model):
    payload = {"reasons": ["größer"], "metrics": {"accuracy": 0.1 + 0.2}, "skipped": False, "none": None}
    made = record_decision(ledger, NewDecision(model, "d", "rows", None, "PROMOTE", "run", payload, train_key="t"))
    assert find_decision(ledger, model, "d") == made
    assert (made.payload, made.champion_version, made.look, made.train_key) == (payload, None, 1, "t")
    assert find_decision(ledger, model, "e") is None


def test_a_decision_key_seen_before_gives_the_earlier_verdict_and_is_not_counted(ledger, model):
    first = decided(ledger, model, "d", verdict="INCONCLUSIVE")
    again = decided(ledger, model, "d", verdict="PROMOTE")
    assert again == first and again.verdict == "INCONCLUSIVE"
    assert look_number(ledger, model) == 2


def test_looks_are_counted_per_model_against_any_champion_and_on_any_test_rows(ledger, model):
    assert look_number(ledger, model) == 1
    assert [decided(ledger, model, key).look for key in "abc"] == [1, 2, 3]
    assert decided(ledger, model, "d", rows="other").look == 4
    assert decided(ledger, model, "e", champion="2").look == 5
    assert decided(ledger, model, "f", champion=None).look == 6
    assert decided(ledger, f"{model}-b", "a").look == 1
    assert look_number(ledger, model) == 7


def test_what_was_decided_without_a_test_is_kept_and_is_no_look(ledger, model):
    assert decided(ledger, model, "a").look == 1
    assert decided(ledger, model, "adopted", verdict="ADOPTED", look=0).look == 0
    assert find_decision(ledger, model, "adopted").verdict == "ADOPTED" and look_number(ledger, model) == 2
    assert decided(ledger, model, "b", look=2).look == 2


def test_in_any_52_weeks_a_cron_and_triggers_with_a_new_champion_each_quarter_spend_no_more_than_alpha(tmp_path, model):
    """Four looks a week for a year and a half: 0.18 a year where each champion had a year's alpha of its own."""
    now = datetime(2026, 1, 5, tzinfo=UTC)
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db", now=lambda: now)
    spent, anew = [], []
    for number in range(4 * 78):
        now = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(days=7 * (number // 4) + number % 4)
        made = decided(ledger, model, str(number), champion=str(number // 52))
        spent.append((now, alpha_at_look(0.05, 52, made.look)))
        anew.append(alpha_at_look(0.05, 52, number % 52 + 1))
    yearly = [sum(alpha for at, alpha in spent if begin <= at < begin + timedelta(weeks=52)) for begin, _ in spent]
    assert max(yearly) <= 0.05
    assert sum(anew[: 4 * 52]) == pytest.approx(0.18)


def test_a_look_is_forgotten_after_52_weeks(url, model):
    today = datetime(2026, 6, 1, tzinfo=UTC)
    decided(Ledger(url, now=lambda: today), model, "a")
    assert look_number(Ledger(url, now=lambda: today + timedelta(days=363)), model) == 2
    assert look_number(Ledger(url, now=lambda: today + timedelta(days=365)), model) == 1


def test_a_decision_whose_look_was_taken_meanwhile_is_refused_and_not_kept(ledger, model):
    mine = look_number(ledger, model)
    check_look(ledger, model, mine)
    decided(ledger, model, "another", champion="2")
    with pytest.raises(LookTakenError, match="look 2 is the next"):
        check_look(ledger, model, mine)
    with pytest.raises(LookTakenError, match="look 2 is the next"):
        decided(ledger, model, "mine", look=mine)
    assert find_decision(ledger, model, "mine") is None
    assert decided(ledger, model, "mine", look=2).look == 2


def test_decisions_made_at_once_get_looks_of_their_own(url, ledger, model):
    server = forks.context()
    barrier, results = server.Barrier(6), server.Queue()
    keys = [f"key {number % 5}" for number in range(6)]  # one key twice
    deciders = [server.Process(target=decide, args=(url, model, key, barrier, results)) for key in keys]
    for decider in deciders:
        decider.start()
    looks = dict(results.get(timeout=180) for _ in deciders)
    for decider in deciders:
        decider.join(30)
    assert sorted(looks.values()) == [1, 2, 3, 4, 5]
    assert look_number(ledger, model) == 6


def test_finding_a_decision_is_one_search_by_its_key_however_many_there_are(tmp_path, model):
    url = f"sqlite:///{tmp_path}/ledger.db"
    said = []

    def run(connection, cursor, statement, parameters, context, many):
        said.append((statement, parameters))

    for number in range(30):
        decided(Ledger(url), model, str(number))
    ledger = Ledger(url)
    find_decision(ledger, model, "9")  # opens it
    event.listen(ledger._engine, "before_cursor_execute", run)
    assert find_decision(ledger, model, "10") is not None
    ((statement, parameters),) = [each for each in said if each[0].lstrip().upper().startswith("SELECT")]
    plan = ledger.read(lambda connection: connection.exec_driver_sql(f"explain query plan {statement}", parameters).all())
    assert [row[-1].split()[0] for row in plan] == ["SEARCH"], plan  # by an index: not a SCAN of all rows
