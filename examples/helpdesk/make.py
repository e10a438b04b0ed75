"""Writes tickets.csv and later.csv, the invented ticket stream of Lumbrook, a maker of home gadgets that does not exist.

Run `python examples/helpdesk/make.py`. The same seed gives the same bytes, so a test can tell whether the files are what this says.
The texts are put together from hand-written phrases (phrases/*.txt). What makes them hard is what makes real tickets hard: many
ways to say one thing, and sentences beside the point in another intent's words ("the refund came through, but the parcel ...").
"""

from __future__ import annotations

import csv
import random
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from grammar import draw, expand, intents, join, misspell, sections
from world import LATER, NEIGHBOURS, NOW, PII, Customer, Period, Ticket, makers, moment, new_customer, weighted

SEED = 2025
COLUMNS = ("ticket_id", "created_at", "customer", "region", "language", "text", "intent")
LABEL_NOISE = 0.03  # labels moved to a neighbour
SKEW = 0.5  # of Zipf's law over an intent's phrases
BESIDE_THE_POINT = {"none": 0.38, "settled": 0.17, "topic": 0.15, "quoted": 0.30}
QUESTION_WORDS = frozenset(
    ("how", "can", "could", "where", "when", "who", "which", "what", "why", "is", "are", "am", "do", "does", "did", "may", "was")
)


def context(rng: random.Random, intent: str, core: str, section: str) -> str:
    """The core, mostly with something beside the point: a matter settled, a topic this is not about, an old complaint."""
    kind = weighted(rng, BESIDE_THE_POINT)
    if kind == "none":
        return core
    other = rng.choice(NEIGHBOURS[intent]) if rng.random() < 0.7 else rng.choice([name for name in intents() if name != intent])
    pattern = rng.choice(sections("common")[f"{kind}_{rng.choice(('first', 'last'))}"]).replace("\\n", "\n")
    if kind == "quoted":
        return join(rng, pattern, core=core, other=draw(rng, sections(other)[section], SKEW))
    return join(rng, pattern, core=core, **{kind: rng.choice(sections(other)[kind])})


def around(rng: random.Random, text: str, before: list[str], after: list[str]) -> str:
    """Sentences before and after, each closed by its mark."""
    parts = [part if part[-1] in ".?!" else part + mark(rng, part) for part in (*before, text, *after)]
    return " ".join(part[0].upper() + part[1:] for part in parts)


def mark(rng: random.Random, sentence: str) -> str:
    if sentence.split()[0].lower() in QUESTION_WORDS and rng.random() < 0.8:
        return "?"
    return rng.choice((".", ".", ".", ".", "!", ""))


def personal(rng: random.Random, intent: str) -> list[str]:
    if rng.random() < 0.10:
        return [rng.choice(sections("common")["pii_contact"])]
    kinds = [kind for kind, where in PII.items() if intent in where]
    return [rng.choice(sections("common")[f"pii_{rng.choice(kinds)}"])] if kinds and rng.random() < 0.09 else []


def english(rng: random.Random, intent: str, launch: bool) -> str:
    common = sections("common")
    section = "launch" if launch else "now"
    core = draw(rng, sections(intent)[section], SKEW)
    before = [draw(rng, common["mood"], 0.3)] if rng.random() < 0.08 else []
    after = [draw(rng, common["detail"], 0.3)] if rng.random() < 0.25 else []
    if launch and rng.random() < 0.5:
        (before if rng.random() < 0.5 else after).append(rng.choice(common["launch_detail"]))
    if rng.random() < 0.15:
        after.append(draw(rng, common["mood"], 0.3))
    return around(rng, context(rng, intent, core, section), before, after + personal(rng, intent))


def foreign(rng: random.Random, intent: str, language: str) -> str:
    after = [rng.choice(sections("common")[f"mood_{language}"])] if rng.random() < 0.6 else []
    return around(rng, rng.choice(sections(intent)[language]), [], after)


def write(rng: random.Random, customer: Customer, intent: str, launch: bool) -> str:
    """One ticket as this customer would type it."""
    common, tail = sections("common"), "" if customer.language == "en" else f"_{customer.language}"
    body = foreign(rng, intent, customer.language) if tail else english(rng, intent, launch)
    if rng.random() < 0.45:
        body = draw(rng, common[f"greeting{tail}"], 0.5) + rng.choice((", ", "! ", ",\n", " - ")) + body
    if rng.random() < 0.5:
        body += rng.choice((" ", " ", "\n")) + draw(rng, common[f"closing{tail}"], 0.4)
    body = body.lower() if customer.lower else body
    return misspell(rng, expand(rng, body, makers(customer)), customer.careless)


def stream(rng: random.Random, period: Period, customers: list[Customer]) -> list[Ticket]:
    """The period's tickets in order of time; about a quarter come from customers who wrote before. No two texts are equal."""
    shares = {intent: rng.uniform(0.8, 1.25) * period.busier.get(intent, 1.0) for intent in intents()}
    seen: set[str] = set()
    tickets = []
    for time in sorted(moment(rng, period) for _ in range(period.tickets)):
        if not customers or rng.random() < 0.75:
            customers.append(new_customer(rng, len(customers)))
            customer = customers[-1]
        else:
            customer = rng.choice(customers)
        done = (time - period.start) / (period.end - period.start)
        launch = rng.random() < period.launch[0] + done * (period.launch[1] - period.launch[0])
        intent = weighted(rng, shares)
        text = write(rng, customer, intent, launch)
        while text in seen:
            text = write(rng, customer, intent, launch) + rng.choice(("", " ...", "!", " ?"))
        seen.add(text)
        label = rng.choice(NEIGHBOURS[intent]) if rng.random() < LABEL_NOISE else intent
        tickets.append(Ticket(time, customer, text, label))
    return tickets


def copies(rng: random.Random, period: Period, tickets: list[Ticket], customers: list[Customer]) -> list[Ticket]:
    """Tickets sent again minutes or days later: word for word, or with a word more; now and then from a second account."""
    edits = ("{} Anyone?", "Again: {}", "{} Please!", "Second try. {}", "{} Still waiting", "{}\n\nResent")
    long = [ticket for ticket in tickets if len(ticket.text.split()) >= 22]
    chosen = rng.sample(tickets, period.exact) + rng.sample(long, period.near)
    made = []
    for place, ticket in enumerate(chosen):
        time = min(ticket.time + timedelta(minutes=rng.randrange(2, 6000)), period.end - timedelta(minutes=rng.randrange(1, 300)))
        text = ticket.text if place < period.exact else rng.choice(edits).format(ticket.text)
        customer = rng.choice(customers) if rng.random() < 0.3 else ticket.customer
        made.append(replace(ticket, time=time, text=text, customer=replace(customer, language=ticket.customer.language)))
    return made


def broken(rng: random.Random, tickets: list[Ticket]) -> list[Ticket]:
    """What no contract should let through: empty and blank texts, control characters, one text under two labels."""
    signs = ("\x07", "\x1b[31m", "\x08\x08", "\x0b", "\x7f")
    made = [replace(ticket, text=text) for ticket, text in zip(rng.sample(tickets, 9), [""] * 6 + [" ", "   ", "\t"], strict=True)]
    for ticket in rng.sample(tickets, 8):
        middle = len(ticket.text) // 2
        made.append(replace(ticket, text=f"{ticket.text[:middle]}{rng.choice(signs)}{ticket.text[middle:]}"))
    for ticket in rng.sample([ticket for ticket in tickets if ticket.customer.language == "en"], 8):
        later = ticket.time + timedelta(minutes=7)
        made.append(replace(ticket, time=later, intent=rng.choice(NEIGHBOURS[ticket.intent])))
    return made


def save(path: Path, tickets: list[Ticket], first: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        for number, ticket in enumerate(sorted(tickets, key=lambda each: each.time), first):
            who = ticket.customer
            time = ticket.time.strftime("%Y-%m-%dT%H:%M:%SZ")
            out.writerow((f"HD-{number}", time, who.name, who.region, who.language, ticket.text, ticket.intent))


def main(folder: Path) -> None:
    rng = random.Random(SEED)
    customers: list[Customer] = []
    first = 100001
    for period in (NOW, LATER):
        tickets = stream(rng, period, customers)
        tickets += copies(rng, period, tickets, customers) + broken(rng, tickets)
        save(folder / period.file, tickets, first)
        first += len(tickets)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
