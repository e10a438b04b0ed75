"""Requests for a retraining, in words: who asked, what became of them, and which of them repeat."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.report.draw.formats import first_upper
from tasks.report.monitor.data import RequestStory

STATES = {
    "done": ("good", "✓", "done"),
    "running": ("wait", "…", "running"),
    "skipped": ("none", "=", "nothing new"),
    "coalesced": ("none", "⊂", "joined another"),
    "refused": ("hold", "‖", "not started"),
    "waiting": ("hold", "‖", "waits for data or contract"),
    "failed": ("bad", "✕", "failed"),
}
REQUESTERS = {
    "new-data": "new data",
    "drift": "a drift event",
    "decay": "a decay event",
    "schedule": "the schedule",
    "person": "a person",
}


def merged_requests(requests: Sequence[RequestStory]) -> list[tuple[RequestStory, int, str]]:
    """Requests, the newest first, those in a row with one outcome merged: (the newest, how many, when the first was)."""
    groups: list[tuple[RequestStory, int, str]] = []
    for request in requests:
        last, outcome = groups[-1][0] if groups else None, (request.why, request.state, request.note)
        if last is not None and not request.run_id and (last.why, last.state, last.note) == outcome:
            groups[-1] = (request, groups[-1][1] + 1, groups[-1][2])
        else:
            groups.append((request, 1, request.at))
    return groups[::-1]


def requester(trigger: str) -> str:
    """Who asks for a retraining, by its trigger."""
    return REQUESTERS.get(trigger, trigger)


def request_outcome(request: RequestStory) -> str:
    """One request and what became of it, as a sentence."""
    version = f"version {request.version}" if request.version else "a challenger"
    verdicts = {
        "PROMOTE": f"{version} was trained and promoted",
        "HOLD": f"{version} was trained, and the champion stays",
        "INCONCLUSIVE": f"{version} was trained; not enough evidence to replace the champion",
    }
    sentence = {
        "running": "a retraining was started and is running",
        "done": verdicts.get(request.verdict, "the retraining is done"),
        "skipped": "nothing had changed since an earlier decision, which stands",
        "coalesced": "a retraining was already under way, so no second one was started",
        "refused": "no retraining was started",
        "waiting": "the data break their contract, and the retraining waits until one of the two is mended",
        "failed": "the retraining failed",
    }.get(request.state, request.state)
    return first_upper(f"{sentence}: {request.note}" if request.note else sentence).rstrip(".") + "."
