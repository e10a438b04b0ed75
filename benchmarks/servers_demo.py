"""`make demo`'s story on infra/compose.yaml's servers, then each of them away for a minute: `python -m benchmarks.servers_demo`

The servers are those of benchmarks/stack.py: the compose file's own commands, PostgreSQL, an S3 server, auth everywhere. Commands
are given as the worker's user; customers have an API key.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

from benchmarks import stack
from benchmarks.faults import Told
from examples.helpdesk import demo

AWAY = ("mlflow", "s3", "prefect", "postgres")
AWAY_SECONDS = 60.0


def section() -> str:
    """The story as Markdown, then what held while servers were away."""
    os.chdir(stack.ROOT)
    demo.environment()
    with stack.stack(lambda _: demo.write_config()) as there:
        os.environ.update(there.environment("worker"))
        key = there.values["TUNEKEEPER_API_KEYS"].rpartition(":")[2]
        service = demo.Service(f"http://127.0.0.1:{there.ports['service']}", {"Authorization": f"Bearer {key}"})
        story = Told()
        claims = []
        for claim, seen, holds in proofs(there, story, service):
            print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}: {seen}", file=sys.stderr, flush=True)
            claims.append((claim, seen, holds))
    return "\n".join(
        [
            "## The demo on servers",
            "",
            "The story of `make demo` on the servers of `infra/compose.yaml` (as in the section Servers). What it told:",
            "",
            *(f"    {line}" for line in story.lines),
            "",
            "| claim | seen | holds |",
            "|---|---|---|",
            *(f"| {claim} | {seen.replace('|', '/')} | {'yes' if holds else '**no**'} |" for claim, seen, holds in claims),
        ]
    )


def proofs(there: stack.Stack, story: Told, service: demo.Service) -> Iterator[tuple[str, str, bool]]:
    """Claim, what was seen, whether it holds."""
    config = demo.HOME.absolute() / "helpdesk.yaml"
    demo.learn(story, config)
    customers = demo.play(story, config, service)
    seen = customers.versions
    yield "both versions answered", str(dict(seen)), set(seen) == {"1", "2"}
    yield "no request failed", f"{len(customers.failed)} of {len(customers.answers):,}", not customers.failed
    lost = in_the_end(customers)
    yield "every answer is in the traffic log", f"{lost} missing", not lost
    kinds = [one["kind"] for one in demo.command("history", config)["history"]]
    yield "promotions in the ledger", ", ".join(kinds), sorted(kinds) == ["FIRST", "PROMOTE", "ROLLBACK"]
    for name in AWAY:
        yield away(there, name, service)
    demo.command("promote", config, "--version", "2", "--reason", "back to the better one, all servers being back")
    story.wait("version 2", lambda: service.ready("2"))
    yield "afterwards a promotion is followed as before", "version 2 answers", True


def away(there: stack.Stack, name: str, service: demo.Service) -> tuple[str, str, bool]:
    """One server stopped for a minute while customers ask, then started again."""
    customers = demo.Customers(service)
    there.stop(name)
    time.sleep(AWAY_SECONDS)
    there.again(name)
    time.sleep(5)
    customers.leave()
    failed = [what for _, what in customers.failed]
    lost = in_the_end(customers)
    claim = f"{name} away for {AWAY_SECONDS:.0f} s: the service answers, and the log has it all in the end"
    return (
        claim,
        f"{len(customers.answers):,} answers, {len(failed)} failed {failed[:1]}, {lost} not logged",
        not failed and not lost,
    )


def in_the_end(customers: demo.Customers) -> int:
    """Answers that are not in the database once what waited for it is written: the service's own journals are not looked at here."""
    time.sleep(10)
    return demo.unlogged(customers)


def main() -> None:
    """Print the section."""
    stack.told_here("benchmarks.servers_demo", section, "The demo on servers")


if __name__ == "__main__":
    main()
