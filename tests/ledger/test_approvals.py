"""A question about a promotion: asked once, answered once, and told as it stands, whoever answered it, and where."""

from datetime import UTC, datetime, timedelta

import pytest

from configs.schema import Data, Model, Pipeline, Release
from tasks.ledger.approvals import ApprovalRequest, answer_approval, approval_state, ask_approval, find_approval, settle_approvals
from tasks.ledger.promotions import PromotionEvidence, PromotionRequest, RollbackRequest, ledger_history, promote, rollback
from tasks.ledger.store import Ledger


class Registry:
    """An alias and three versions."""

    live = None

    def champion(self, model):
        return self.live

    def set_champion(self, model, version):
        self.live = version

    def versions(self, model):
        return {"1", "2", "3"}

    def knows(self, model):
        return True

    def run_of(self, model, version):
        return None


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db", now=lambda: ledger.time)
    ledger.time = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return ledger


def asked(ledger, version, against, hours=72.0):
    data, model, manual = Data(source="r.csv"), Model(base="b"), Release(approval="manual", approval_timeout_hours=hours)
    pipeline = Pipeline(name="tiny", problem="text-classification", data=data, model=model, release=manual)
    request = ApprovalRequest(f"decision {version}", version, against, "run", "key", "report.html")
    return ask_approval(ledger, pipeline, request)


def moved(ledger, registry, to, expected, **more):
    proof = PromotionEvidence("PROMOTE", "better", "run", "key", f"decision {to}")
    return promote(ledger, registry, "tiny", PromotionRequest(to, expected=expected, evidence=proof, who="Eve", **more))


def test_asked_again_it_is_the_same_question_and_its_time_does_not_begin_anew(ledger):
    first, _ = asked(ledger, "1", None)
    ledger.time += timedelta(hours=1)
    assert asked(ledger, "1", None) == (first, ()) and first.until == "2026-03-04T12:00:00.000+00:00"
    assert first.account == {"approval": "pending", "approval_until": first.until, "approval_how": first.how}


def test_a_yes_is_a_promotion_with_the_persons_name_and_a_no_is_kept(ledger, registry):
    question, _ = asked(ledger, "1", None)
    assert answer_approval(ledger, registry, question, True, "Ada", "looks right").state == "approved"
    (row,) = ledger_history(ledger, "tiny")
    assert (row.who, row.reason, row.rule, row.to_version, row.forced) == ("Ada", "looks right", "useful", "1", False)
    question, _ = asked(ledger, "2", "1")
    assert question.rule == "better"
    answer_approval(ledger, registry, question, False, "Ada", "too slow")
    told = approval_state(ledger, registry, find_approval(ledger, "tiny", "decision 2"))
    assert told.state == "rejected" and told.sentence == "tiny version 2 was rejected by Ada: too slow" and registry.live == "1"


def test_what_happened_elsewhere_answers_it_too(ledger, registry):
    question, _ = asked(ledger, "1", None)
    moved(ledger, registry, "1", None)
    assert (
        approval_state(ledger, registry, question).state == "approved" and approval_state(ledger, registry, question).who == "Eve"
    )
    assert [each.state for each in settle_approvals(ledger, registry, "tiny")] == ["approved"] and settle_approvals(
        ledger, registry, "tiny"
    ) == ()
    question, _ = asked(ledger, "2", "1")
    moved(ledger, registry, "3", "1")
    assert approval_state(ledger, registry, question).state == "stale"
    late = answer_approval(ledger, registry, question, True, "Ada", "")
    assert late.state == "stale" and registry.live == "3" and "decides again" in late.sentence


def test_time_ends_it_a_later_challenger_takes_its_place_and_a_person_may_still_promote(ledger, registry):
    moved(ledger, registry, "1", None)
    question, _ = asked(ledger, "2", "1", hours=2)
    ledger.time += timedelta(hours=3)
    assert approval_state(ledger, registry, question).state == "expired"
    later, gone = asked(ledger, "3", "1")
    assert [(each.version, each.state) for each in gone] == [("2", "superseded")] and later.state == "pending"
    moved(ledger, registry, "2", "1", reason="all the same", force=True)
    assert approval_state(ledger, registry, find_approval(ledger, "tiny", "decision 2")).state == "approved"
    rollback(ledger, registry, "tiny", RollbackRequest(who="Eve"))
    assert approval_state(ledger, registry, later).state == "pending"  # the champion is again the one it was compared with
