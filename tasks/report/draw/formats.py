"""Numbers and outcomes in the words a reader expects. One place, so that page, Markdown and terminal never disagree."""

from __future__ import annotations

import math
from urllib.parse import quote

from configs.schema import metric_titles
from tasks.report.run.rows import Unit

MINUS = "\u2212"
ABSENT = "\u2013"
THIN = "\u202f"

OUTCOMES = {
    "shown": ("good", "\u2713"),
    "no harm shown": ("good", "\u2713"),
    "met": ("good", "\u2713"),
    "open": ("wait", "?"),
    "ruled out": ("bad", "\u2715"),
    "harm shown": ("bad", "\u2715"),
    "missed": ("bad", "\u2715"),
}
NAMES = metric_titles() | {
    "f1": "F1",
    "f1_weighted": "F1 weighted",
    "ece": "calibration error",
    "matthews_correlation": "Matthews correlation",
    "brier": "Brier score",
    "top_3_accuracy": "top-3 accuracy",
}
VERDICTS = {"PROMOTE": ("good", "\u2713"), "HOLD": ("hold", "\u2016"), "INCONCLUSIVE": ("wait", "?"), "ADOPTED": ("good", "+")}


def is_number(value: float | None) -> bool:
    """Whether there is a finite number to show."""
    return value is not None and math.isfinite(value)


def format_number(value: float | None, digits: int = 3) -> str:
    """`digits` significant digits, thousands parted by thin spaces, a true minus sign."""
    if value is None or not math.isfinite(value):
        return ABSENT
    size = abs(float(f"{value:.{digits - 1}e}"))  # rounded first: 99.96 is 100, not 100.0
    if size == 0:
        return "0"
    if size >= 10 ** (digits - 1):
        text = f"{value:,.0f}".replace(",", THIN)
    elif size < 1e-3:
        text = f"{value:.{digits - 1}e}"
    else:
        text = f"{value:.{digits - 1 - math.floor(math.log10(size))}f}"
    return text.replace("-", MINUS)


def format_share(value: float | None, digits: int = 1) -> str:
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{100 * value:.{digits}f}{THIN}%".replace("-", MINUS)


def with_unit(value: float | None, unit: Unit) -> str:
    return format_share(value) if unit == "share" else format_number(value)


def without_unit(value: float | None, unit: Unit) -> str:
    """The value without its unit, for the ends of an interval."""
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{100 * value:.1f}".replace("-", MINUS) if unit == "share" else format_number(value)


def interval_text(low: float | None, high: float | None, unit: Unit) -> str:
    if not (is_number(low) and is_number(high)):
        return ""
    return f"{without_unit(low, unit)} to {without_unit(high, unit)}"


def signed_text(value: float | None, unit: Unit) -> str:
    """A difference: +1.8 for shares (in points), +0.04 for numbers."""
    if value is None or not math.isfinite(value):
        return ABSENT
    text = f"{100 * value:+.1f}" if unit == "share" else ("+" if value > 0 else "") + format_number(value)
    return text.replace("-", MINUS)


def difference_text(value: float | None, unit: Unit) -> str:
    return signed_text(value, unit) + (" points" if unit == "share" and is_number(value) else "")


def signed_interval(low: float | None, high: float | None, unit: Unit) -> str:
    if not (is_number(low) and is_number(high)):
        return ""
    return f"{signed_text(low, unit)} to {signed_text(high, unit)}"


def p_value(value: float | None) -> str:
    """A p-value or an alpha with two significant digits; what is smaller than any decision needs is only bounded."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if value < 1e-6:
        return "< 0.000001"
    if value >= 0.1:
        return f"{value:.2f}"
    return f"{value:.{1 - math.floor(math.log10(value))}f}"


def p_equals(value: float | None) -> str:
    """The p-value as a statement: p = 0.013, p < 0.000001."""
    text = p_value(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def format_count(value: int | None) -> str:
    return ABSENT if value is None else f"{value:,}".replace(",", THIN)


def byte_size(value: int | None) -> str:
    """Bytes in the unit that gives one to three digits before the point."""
    if value is None:
        return ABSENT
    amount, unit = float(value), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def format_seconds(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return ABSENT
    if round(value, 1) < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def outcome_mark(word: str) -> tuple[str, str, str]:
    """(tone, sign, words): sign and words carry the meaning, so colour is never needed to read it."""
    key = word.replace("_", " ").strip()
    return (*OUTCOMES.get(key, ("none", "\u00b7")), key or ABSENT)


def clip_text(text: str, length: int = 700) -> str:
    """A text short enough for a page, with how many characters were cut."""
    return text if len(text) <= length else f"{text[:length]}\u2026 (+{format_count(len(text) - length)} characters)"


def plain_name(name: str) -> str:
    """A metric's or a reason's machine name as words; a sentence keeps the names in it."""
    return NAMES.get(name, name if " " in name else name.replace("_", " "))


def first_upper(sentence: str) -> str:
    """The first letter made large, and no other touched: names keep their own."""
    return sentence[:1].upper() + sentence[1:]


def safe_link(address: str | None) -> str:
    """An address that a page may link to, or "": web, file, a path (made a file address), or a name beside the page.

    Any other scheme in a text from data, such as `javascript:`, is shown and never linked.
    """
    address = (address or "").strip()
    if not address or address.startswith(("//", "\\\\")) or any(ord(character) < 32 for character in address):
        return ""
    if address.lower().startswith(("https://", "http://", "file:///")):
        return address
    if address.startswith("/"):
        return f"file://{quote(address)}"
    return "" if ":" in address.split("/", 1)[0] else quote(address)
