"""Decide who may retrain now: the ledger coalesces, spaces and budgets all requests of one pipeline.

A request is *triggered* by drift, decay or new data, or comes from a person or the cron. Only triggered ones are turned away, in
this order, each with its reason:
1. it settles: it waits until SETTLE_SECONDS after its event, so that one run serves all events of that time;
2. refused, while schedule.cooldown_hours after the last triggered retraining run, or schedule.retrains_per_week are spent;
3. coalesced, where another triggered request waits for its turn: that one will see all that this one saw;
4. in its turn, coalesced, where a run that began after this request was made has ended well or waits, or refused as under 2.
Cooldown and budget count retrainings that reached a decision of their own: a run skipped by its keys, failed or dead is none.

A run of a schedule or a trigger that meets data which break their contract ends as `waiting`: it has looked at the data, and the
look for new data requests nothing until data or contract have changed. The next run after that goes on.

A row alone blocks no run. A waiting process holds the seat, a running one the pipeline, both by locks that death releases
(tasks/ledger/pipeline_lock.py): the next holder of the pipeline corrects what a dead process left as `running`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import InfraError, InputError
from configs.schema import Pipeline
from tasks.ledger.pipeline_lock import Hold, StillHeldError, hold_pipeline
from tasks.ledger.retrain_history import State, Trigger, fail_dead_requests, iso_time, requests_since
from tasks.ledger.schema import requests as rows

if TYPE_CHECKING:
    from tasks.ledger.store import Ledger

TRIGGERS: frozenset[Trigger] = frozenset(("drift", "decay", "new-data"))
SETTLE_SECONDS = 15.0  # the automation passes on one event in this time (flows/deploy/specs.py); its run looks at nothing before
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class RetrainCause:
    """Why a retraining is asked for: when its event occurred (None: now), and the name of the look whose alarm it was."""

    why: Trigger
    asked: datetime | None = None
    look: str = ""


class RetrainRequest:
    """One request from its start to its end; `refusal` is why it does not run, `hold` the pipeline where it does."""

    def __init__(self, ledger: Ledger, model: str, cause: RetrainCause) -> None:
        now, event_time, look = ledger.now().astimezone(UTC), cause.asked, cause.look
        self.ledger, self.model, self.why, self.id = ledger, model, cause.why, uuid.uuid4().hex
        self.made = now if event_time is None else event_time.astimezone(UTC) + timedelta(seconds=SETTLE_SECONDS)
        self.payload: dict[str, Any] = {"asked": iso_time(event_time or now), **({"look": look} if look else {})}
        self.state: State | None = None
        self.hold: Hold | None = None

    @property
    def refusal(self) -> str | None:
        return self.payload["reason"] if self.state in ("coalesced", "refused", "waiting") else None

    def check(self) -> None:
        """Raise InfraError where the pipeline was lost meanwhile: call it before what cannot be undone."""
        if self.hold is not None:
            self.hold.check()

    def saw(self, sources: str) -> None:
        """Note the digest of the sources that the run looked at, with which the look for new data compares."""
        self.payload["sources"] = sources
        self._write_state("running")

    def ended(self, outcome: dict[str, Any]) -> None:
        """Note the run's outcome: `done` where it was decided anew, `skipped` where an earlier decision stands."""
        facts = {name: outcome.get(name) for name in ("verdict", "run_id", "decision_key")}
        self.payload |= {**facts, "version": (outcome.get("model") or {}).get("version")}
        self._write_state("skipped" if outcome["skipped"] else "done")

    def waits(self, reason: str, settings: str) -> None:
        """Note that the data break their contract, of which `settings` is the digest."""
        self.payload["settings"] = settings
        self.turned_away("waiting", reason)

    def outcome(self) -> dict[str, object]:
        """The outcome of a flow that did not run, or not to its end."""
        answer = {"id": self.id, "why": self.why, "state": self.state, "reason": self.refusal}
        return {"pipeline": self.model, "skipped": True, "verdict": None, "request": answer}

    def turned_away(self, state: State, reason: str) -> None:
        self.payload["reason"] = reason
        self._write_state(state)

    def began(self, hold: Hold) -> None:
        self.hold = hold
        self.payload["began"] = self.ledger.stamp()
        self._write_state("running")

    def failed(self, error: BaseException) -> None:
        self.payload |= {"reason": f"{type(error).__name__}: {error}"[:500], "at_fault": isinstance(error, InputError)}
        with suppress(InfraError):  # the error that is on its way says more
            self._write_state("failed")

    def _write_state(self, state: State) -> None:
        self.state = state
        row = {"why": self.why, "at": self.ledger.stamp(), "state": state, "payload": json.dumps(self.payload, ensure_ascii=False)}
        insert = self.ledger.insert(rows).values(model=self.model, id=self.id, **row)
        self.ledger.write(lambda c: c.execute(insert.on_conflict_do_update(index_elements=["model", "id"], set_=row)))


@contextmanager
def admit_request(
    home: Path, pipeline: Pipeline, ledger: Ledger, cause: RetrainCause, say: Callable[[str], None]
) -> Iterator[RetrainRequest]:
    """Hold the pipeline for a request, or say in `RetrainRequest.refusal` why it need not, or may not, run.

    The caller passes the outcome to `RetrainRequest.ended`; an error is noted as `failed`.
    """
    turn, name, trigger = RetrainRequest(ledger, pipeline.name, cause), pipeline.name, cause.why
    with ExitStack() as seat:
        if trigger in TRIGGERS and not _take_waiting_seat(turn, seat, home, pipeline, ledger):
            yield turn
            return
        with hold_pipeline(home, name, say, ledger=ledger) as hold:
            fail_dead_requests(ledger, name)
            if trigger in TRIGGERS and _turn_away_needless(turn, pipeline, ledger):
                yield turn
                return
            turn.began(hold)
            seat.close()  # a request that found it taken came before this moment, and the caller reads the sources after it
            try:
                yield turn
            except BaseException as error:
                turn.failed(error)
                raise


def refusal_of(ledger: Ledger, pipeline: Pipeline) -> str | None:
    """Why a triggered request would be refused now, None where it would not: call it before making one."""
    now, schedule = ledger.now().astimezone(UTC), pipeline.schedule
    cooldown = timedelta(hours=schedule.cooldown_hours)
    done = [r for r in requests_since(ledger, pipeline.name, now - max(cooldown, WEEK)) if r.state == "done" and r.why in TRIGGERS]
    if done and (free := _parse_time(done[-1].at) + cooldown) > now:
        last = f"the last triggered retraining ({done[-1].why}) ended {_minute_text(_parse_time(done[-1].at))}"
        return (
            f"{last}: no trigger starts another before {_minute_text(free)} (schedule.cooldown_hours={schedule.cooldown_hours:g})"
        )
    week = [_parse_time(r.at) for r in done if _parse_time(r.at) > now - WEEK]
    if len(week) >= schedule.retrains_per_week:
        next_start = _minute_text(week[-schedule.retrains_per_week] + WEEK)
        spent = f"{len(week)} triggered retrainings since {_minute_text(week[0])}"
        return f"{spent}: no trigger starts another before {next_start} (schedule.retrains_per_week={schedule.retrains_per_week})"
    return None


def _take_waiting_seat(turn: RetrainRequest, seat: ExitStack, home: Path, pipeline: Pipeline, ledger: Ledger) -> bool:
    """Wait for the settle time, then take the one seat for a waiting request; False where the request is turned away."""
    pause = (turn.made - ledger.now().astimezone(UTC)).total_seconds()
    if pause > 0:
        ledger.sleep(min(pause, SETTLE_SECONDS))  # no longer, whatever the clock of another machine says
    if reason := refusal_of(ledger, pipeline):
        turn.turned_away("refused", reason)
        return False
    try:
        seat.enter_context(hold_pipeline(home, f"{pipeline.name}.next", lambda _: None, timeout=0, ledger=ledger))
    except StillHeldError:
        turn.turned_away("coalesced", "another request waits for its turn, and will see what this one saw")
        return False
    return True


def _turn_away_needless(turn: RetrainRequest, pipeline: Pipeline, ledger: Ledger) -> bool:
    """Whether the request is no longer needed, or allowed, now that its turn has come; it is turned away then."""
    ends = requests_since(ledger, pipeline.name, turn.made, ("done", "skipped", "waiting"))
    served = next((r for r in ends if r.payload["began"] >= iso_time(turn.made)), None)
    if served is not None:
        turn.turned_away("coalesced", f"a run that began after it was asked for ({served.why}) has ended at {served.at}")
    elif reason := refusal_of(ledger, pipeline):
        turn.turned_away("refused", reason)
    return turn.refusal is not None


def _parse_time(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)


def _minute_text(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M UTC")
