"""Lumbrook's customers and calendar: who writes, from where, in which tongue, when, and which intents people confuse."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import invented
from grammar import Makers

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
    language = own if own is not None and rng.random() < 0.22 else "en"
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


def moment(rng: random.Random, period: Period) -> datetime:
    """Any time of the period, nights and weekends thinned out as at any help desk."""
    while True:
        time = period.start + timedelta(seconds=rng.randrange(int((period.end - period.start).total_seconds())))
        if rng.random() < (0.25 if time.hour < 7 else 1.0) * (0.5 if time.weekday() > 4 else 1.0):
            return time
