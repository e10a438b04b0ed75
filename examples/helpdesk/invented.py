"""Personal data that belong to nobody: each value comes from a range that its registrar keeps free for examples, tests or films."""

from __future__ import annotations

import random

DOMAINS = ("example.com", "example.org", "example.net", "mail.example", "post.example")
SURNAMES = ("ashgrove", "birnbaum", "castellan", "dunmore", "eichhorn", "fairweather", "gallardo", "holloway", "moreau")
FIRST = ("ada", "bram", "carla", "dario", "edda", "femi", "gwen", "hugo", "ines", "jonas", "kaya", "lena", "marek", "nora", "priya")
# Card networks' and payment providers' published test numbers: they pass Luhn and can be charged nowhere.
CARDS = ("4111111111111111", "4242424242424242", "4012888888881881", "5555555555554444", "5105105105105100", "6011111111111117",
         "378282246310005", "371449635398431", "3530111333300000")  # fmt: skip


def email(rng: random.Random) -> str:
    first, last = rng.choice(FIRST), rng.choice(SURNAMES)
    local = rng.choice((f"{first}.{last}", f"{first[0]}.{last}", f"{last}{rng.randrange(50, 99)}", f"{first}_{last}"))
    return f"{local}@{rng.choice(DOMAINS)}"


def phone(rng: random.Random) -> str:
    """Ranges for drama: NANPA 555-01xx, Ofcom 020 7946 0xxx and 07700 900xxx, Bundesnetzagentur 030 23125xxx, Arcep 01 99 00."""
    last2, last3 = f"{rng.randrange(100):02d}", f"{rng.randrange(1000):03d}"
    area = rng.choice(("202", "312", "415", "617"))
    return rng.choice(
        (
            f"({area}) 555-01{last2}",
            f"+1 {area}-555-01{last2}",
            f"020 7946 0{last3}",
            f"+44 7700 900{last3}",
            f"07700 900{last3}",
            f"+49 30 23125 {last3}",
            f"+33 1 99 00 {last2} {rng.randrange(100):02d}",
        )
    )


def card(rng: random.Random) -> str:
    number = rng.choice(CARDS)
    if len(number) == 15:
        return rng.choice((number, f"{number[:4]} {number[4:10]} {number[10:]}"))
    blocks = [number[at : at + 4] for at in range(0, 16, 4)]
    return rng.choice((number, " ".join(blocks), "-".join(blocks)))


def iban(rng: random.Random) -> str:
    """A valid check number over no bank: code 00000000 (DE), TEST (GB), bank and branch of zeros (FR, ES)."""
    account = f"{rng.randrange(10**10):010d}"
    country, bban = rng.choice(
        (
            ("DE", "00000000" + account),
            ("GB", "TEST000000" + account[2:]),
            ("FR", "0000000000" + account + "000"),
            ("ES", "0000000000" + account),
        )
    )
    text = country + _check_digits(country, bban) + bban
    return rng.choice((text, " ".join(text[at : at + 4] for at in range(0, len(text), 4))))


def _check_digits(country: str, bban: str) -> str:
    """ISO 13616: 98 minus the number (letters as 10..35, country and 00 last) modulo 97."""
    return f"{98 - int(''.join(str(int(sign, 36)) for sign in bban + country + '00')) % 97:02d}"


def ip(rng: random.Random) -> str:
    """The documentation networks of RFC 5737 and RFC 3849."""
    if rng.random() < 0.15:
        return f"2001:db8::{rng.randrange(1, 0xFFFF):x}"
    return f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randrange(1, 255)}"
