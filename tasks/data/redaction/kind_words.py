"""Words of some languages that say what kind of value stands beside them, as parts of patterns; case does not count."""

from __future__ import annotations

PHONE_WORDS = (
    "phones?", "ph", "tel", "telephone", "telefone", "tel[eé]fonos?", "telefoon", "telefonnummer", "t[ée]l", "t[ée]l[ée]phone",
    "tlf", "mobiles?", "mobil", "mobiel", "mob", "m[óo]vil", "cell(?:phone)?", "cel", "celular", "cellulare", "handy",
    "handynummer", "puhelin", "fax", "telefax", "telefon", "call", "dial", "hotline", "sms", "whats ?app", "viber",
)  # fmt: skip
PHONE_WORDS_OF_OTHER_SCRIPTS = (
    "тел", "телефон[ау]?", "моб", "мобильный", "факс", "звоните", "τηλ", "τηλ[έε]φωνο", "κιν", "κινητ[όο]", "هاتف", "جوال",
    "موبايل", "تلفن", "טלפון", "נייד", "फ़ोन", "फोन", "मोबाइल",
)  # fmt: skip
PHONE_WORDS_WITHOUT_SPACES = (
    "电话", "電話", "手机", "手機", "携帯", "联系", "聯絡", "传真", "傳真", "전화", "휴대폰", "핸드폰", "연락처", "โทร",
    "เบอร์", "มือถือ",
)  # fmt: skip
# Words that stand before numbers of any kind: they part a value that touches them, and make no number a phone.
NUMBER_WORDS = ("hp", "wa", "gsm", "number", "nummer", "n[úu]mero", "num[ée]ro", "num", "nr", "номер", "नंबर")
CARD_WORDS = (
    "cards?", "credit", "debit", "visa", "master ?card", "amex", "cc", "maestro", "discover", "jcb", "diners", "karte",
    "kreditkarte", "carte", "carta", "tarjeta", "cart[ãa]o", "kaart",
)  # fmt: skip
SSN_WORDS = ("ssns?", "ssid", "social", "security")
ADDRESS_WORDS = ("ip", "ipv4", "ipv6", "addr", "address", "host", "client", "mac")
