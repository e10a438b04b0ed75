"""Writes tickets.csv and later.csv, the invented ticket stream of Lumbrook, a maker of home gadgets that does not exist.

Run `python examples/helpdesk/make.py`. The same seed gives the same bytes, so a test can tell whether the files are what this says.
The texts are put together from hand-written phrases (phrases/*.txt). What makes them hard is what makes real tickets hard: many
ways to say one thing, and sentences beside the point in another intent's words ("the refund came through, but the parcel ...").
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import invented
from grammar import Makers, draw, expand, intents, join, misspell, sections

SEED = 2025
COLUMNS = ("ticket_id", "created_at", "customer", "region", "language", "text", "intent")
REGIONS = {"north-america": 0.36, "uk-ireland": 0.28, "dach": 0.16, "france": 0.10, "iberia": 0.10}
OWN_LANGUAGE = {"dach": "de", "france": "fr", "iberia": "es"}
NEIGHBOURS = {
    "login_problem": ("suspicious_activity", "device_setup", "privacy_request"),
    "suspicious_activity": ("login_problem", "unexpected_charge", "privacy_request"),
    "unexpected_charge": ("refund_status", "cancel_subscription", "payment_failed", "invoice_request"),
    "payment_failed": ("unexpected_charge", "login_problem", "change_plan"),
    "refund_status": ("return_request", "unexpected_charge", "delivery_status"),
    "invoice_request": ("unexpected_charge", "refund_status", "privacy_request"),
    "delivery_status": ("wrong_or_damaged", "refund_status", "return_request"),
    "wrong_or_damaged": ("delivery_status", "return_request", "device_fault"),
    "return_request": ("refund_status", "wrong_or_damaged", "cancel_subscription"),
    "cancel_subscription": ("change_plan", "unexpected_charge", "privacy_request", "return_request"),
    "change_plan": ("cancel_subscription", "unexpected_charge", "device_setup"),
    "device_setup": ("device_fault", "login_problem", "wrong_or_damaged"),
    "device_fault": ("device_setup", "wrong_or_damaged", "return_request"),
    "privacy_request": ("cancel_subscription", "suspicious_activity", "login_problem"),
}
PII = {
    "card": ("payment_failed", "unexpected_charge", "refund_status"),
    "iban": ("refund_status", "return_request", "cancel_subscription", "payment_failed"),
    "ip": ("login_problem", "suspicious_activity", "device_setup", "device_fault", "privacy_request"),
}
QUESTION_WORDS = {
    "how",
    "can",
    "could",
    "where",
    "when",
    "who",
    "which",
    "what",
    "why",
    "is",
    "are",
    "am",
    "do",
    "does",
    "did",
    "may",
    "was",
}
CURRENCIES = {"north-america": "${}", "uk-ireland": "£{}", "dach": "{} €", "france": "{} €", "iberia": "{} €"}


@dataclass(frozen=True)
class Period:
    """A stretch of the stream; `launch` is the share of tickets that speak of the launched product, on its first and last day."""

    file: str
    start: datetime
    end: datetime
    tickets: int
    launch: tuple[float, float]
    busier: dict[str, float]
    exact: int
    near: int


NOW = Period("tickets.csv", datetime(2025, 1, 6, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC), 2840, (0.0, 0.0), {}, 60, 70)
LATER = Period(
    "later.csv", datetime(2025, 7, 1, tzinfo=UTC), datetime(2025, 10, 1, tzinfo=UTC), 1420, (0.45, 0.75),
    {"delivery_status": 1.6, "device_setup": 1.5, "login_problem": 1.4, "payment_failed": 1.3, "invoice_request": 0.7}, 25, 35,
)  # fmt: skip
LABEL_NOISE = 0.03
SKEW = 0.25
BESIDE_THE_POINT = (0.25, 0.15, 0.15, 0.45)


@dataclass(frozen=True)
class Customer:
    name: str
    region: str
    language: str
    careless: float
    lower: bool


@dataclass(frozen=True)
class Ticket:
    time: datetime
    customer: Customer
    text: str
    intent: str


def weighted(rng: random.Random, weights: dict[str, float]) -> str:
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def new_customer(rng: random.Random, number: int) -> Customer:
    region = weighted(rng, REGIONS)
    own = OWN_LANGUAGE.get(region)
    language = own if own is not None and rng.random() < 0.28 else "en"
    return Customer(f"C-{10000 + number}", region, language, rng.choice((0.0, 0.0, 0.01, 0.03, 0.08)), rng.random() < 0.12)


def makers(customer: Customer) -> Makers:
    """What fills the slots that are no list: numbers, amounts in the region's currency, personal data that belong to nobody."""

    def number(low: int, high: int, pattern: str = "{}") -> Callable[[random.Random], str]:
        return lambda rng: pattern.format(rng.randrange(low, high))

    def amount(rng: random.Random) -> str:
        return CURRENCIES[customer.region].format(f"{rng.randrange(4, 240)}.{rng.choice(('00', '49', '90', '99'))}")

    return {
        "amount": amount, "order": number(41000, 99000, "LB-{}"), "case": number(300000, 399999, "#{}"), "number": number(3, 99),
        "customer": lambda _: customer.name, "email": invented.email, "phone": invented.phone, "card": invented.card,
        "iban": invented.iban, "ip": invented.ip,
    }  # fmt: skip


def context(rng: random.Random, intent: str, core: str, section: str) -> str:
    """The core, mostly with something beside the point: a matter settled, a topic this is not about, an old complaint."""
    kind = rng.choices(("none", "settled", "topic", "quoted"), weights=BESIDE_THE_POINT)[0]
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


def moment(rng: random.Random, period: Period) -> datetime:
    """Any time of the period, nights and weekends thinned out as at any help desk."""
    while True:
        time = period.start + timedelta(seconds=rng.randrange(int((period.end - period.start).total_seconds())))
        if rng.random() < (0.25 if time.hour < 7 else 1.0) * (0.5 if time.weekday() > 4 else 1.0):
            return time


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
