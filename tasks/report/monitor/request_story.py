"""Requests for a retraining, in words: who asked, what became of it, and which of them tell the same."""

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
WHY = {"new-data": "new data", "drift": "a drift event", "decay": "a decay event", "schedule": "the schedule", "person": "a person"}


def merged_requests(requests: Sequence[RequestStory]) -> list[tuple[RequestStory, int, str]]:
    """Requests, the newest first, those in a row that came to the same told once: (the newest, how many, when the first was)."""
    found: list[tuple[RequestStory, int, str]] = []
    for one in requests:
        last = found[-1][0] if found else None
        if last is not None and not one.run_id and (last.why, last.state, last.note) == (one.why, one.state, one.note):
            found[-1] = (one, found[-1][1] + 1, found[-1][2])
        else:
            found.append((one, 1, one.at))
    return found[::-1]


def requester(why: str) -> str:
    """Who asks for a retraining, by its `why`."""
    return WHY.get(why, why)


def request_outcome(request: RequestStory) -> str:
    """One request and what became of it, as a sentence."""
    version = f"version {request.version}" if request.version else "a challenger"
    verdicts = {
        "PROMOTE": f"{version} was trained and promoted",
        "HOLD": f"{version} was trained, and the champion stays",
        "INCONCLUSIVE": f"{version} was trained; not enough evidence to replace the champion",
    }
    said = {
        "running": "a retraining was started and is running",
        "done": verdicts.get(request.verdict, "the retraining is done"),
        "skipped": "nothing had changed since an earlier decision, which stands",
        "coalesced": "a retraining was already under way, so no second one was started",
        "refused": "no retraining was started",
        "waiting": "the data break their contract, and the retraining waits until one of the two is mended",
        "failed": "the retraining failed",
    }.get(request.state, request.state)
    return first_upper(f"{said}: {request.note}" if request.note else said).rstrip(".") + "."
