"""What a look's page works out before it draws: the verdict in plain words, tracks of monitors, since when. No HTML here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.report.draw import formats, times
from tasks.report.draw.formats import first_upper
from tasks.report.draw.series import Dot, Tone
from tasks.report.monitor import monitor_names
from tasks.report.monitor.data import FindingRow, Level, LookReport, LookRow
from tasks.report.monitor.request_story import request_outcome
from tasks.report.monitor.tracks import effect_ratio, ends_of, finding_mark, finding_of, is_judged, silence_reason
from tasks.report.run.data import Unit

EMPTY = LookRow(number=0, at="", start="", end="", rows=0, findings=())


@dataclass(frozen=True)
class LookVerdict:
    """What this look comes to: a word, its sign and tone, and one sentence."""

    word: str
    tone: Tone
    sign: str
    headline: str


def latest_look(watch: LookReport) -> LookRow:
    return watch.looks[-1] if watch.looks else EMPTY


def alarm_start(watch: LookReport, chosen: Iterable[str]) -> LookRow | None:
    """The first look of the unbroken alarm that lasts until now, of any of these monitors; looks not judged do not break it."""
    first: LookRow | None = None
    for name in chosen:
        start: LookRow | None = None
        for look in reversed(watch.looks):
            finding = finding_of(look, name)
            if finding is not None and finding.alarm:
                start = look
            elif finding is not None and is_judged(finding):
                break
        if start is not None and (first is None or start.number < first.number):
            first = start
    return first


def last_alarm(watch: LookReport) -> LookRow | None:
    return next((look for look in reversed(watch.looks) if look.alarms), None)


def look_verdict(watch: LookReport) -> LookVerdict:
    """The word and sentence at the top of the page."""
    look = latest_look(watch)
    alarms = [one.monitor for one in look.alarms]
    decay = [name for name in alarms if name.startswith("performance.")]
    drift = [name for name in alarms if name not in decay]
    if not any(is_judged(one) for one in look.findings) and not alarms:
        return LookVerdict("NOT JUDGED", "wait", "?", "Too few answers to say whether anything changed")
    if decay:
        with_drift = f", with drift in {list_monitors(drift)}" if drift else ""
        what = "Accuracy has fallen" if "performance.accuracy" in decay else "Accuracy has probably fallen"
        return LookVerdict("DECAY", "bad", "↓", f"{what}{_since(watch, decay)}{with_drift}")
    if drift:
        return LookVerdict("DRIFT", "hold", "≠", f"Drift in {list_monitors(drift)}{_since(watch, drift)}")
    doubtful = [one.monitor for one in look.findings if finding_mark(one)[0] == "hold"]
    if doubtful:
        what = f"{first_upper(list_monitors(doubtful))} may have changed, or it is chance"
        return LookVerdict("NO ALARM YET", "wait", "?", f"{what}: more answers will tell")
    able = sum(is_judged(one) for one in look.findings)
    who = f"None of {able} monitors" if able > 1 else "The one monitor that could judge"
    return LookVerdict("QUIET", "good", "\u2713", f"{who} found {'a' if able > 1 else 'no'} change worth an alarm")


def _since(watch: LookReport, chosen: Sequence[str]) -> str:
    first = alarm_start(watch, chosen)
    if first is None:
        return ""
    return ", first seen at this look" if first.number == latest_look(watch).number else f" since {times.day_text(first.at)}"


def list_monitors(chosen: Sequence[str], most: int = 3) -> str:
    """Monitors in a sentence: topics, vocabulary and 2 more."""
    titles = [lower_title(monitor_names.monitor_of(name).title) for name in chosen]
    if len(titles) > most:
        titles = [*titles[: most - 1], f"{len(titles) - most + 1} more"]
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}" if titles else ""


def lower_title(title: str) -> str:
    return title[:1].lower() + title[1:]


def look_reasons(watch: LookReport) -> list[str]:
    """What the verdict rests on: alarms with their numbers, accuracy, what was done, what could not be judged."""
    look = latest_look(watch)
    return [
        *(_alarm(watch, one) for one in loudest_ratio(look.alarms)[:4]),
        *_quiet(watch),
        *_accuracy(watch),
        *_answered(watch),
        *_unjudged(look),
    ]


def loudest_ratio(alarms: Iterable[FindingRow]) -> list[FindingRow]:
    """By how many times its minimum the effect is."""
    return sorted(alarms, key=lambda one: -effect_ratio(one) if effect_ratio(one) is not None else 0.0)  # type: ignore[operator]


def _alarm(watch: LookReport, one: FindingRow) -> str:
    kind = monitor_names.monitor_of(one.monitor)
    ends = f" ({ends_of(one)})" if ends_of(one) else ""
    effect, least = (monitor_names.effect_text(value, kind.unit) for value in (one.effect, one.minimum))
    said = f"{kind.title}: {effect}{ends}, an alarm from {least}"
    first = alarm_start(watch, [one.monitor])
    begun = (
        f"; since look {first.number}, {times.day_text(first.at)}"
        if first and first.number != latest_look(watch).number
        else "; new"
    )
    return f"{said}; {formats.p_equals(one.p)}{begun}."


def _quiet(watch: LookReport) -> list[str]:
    """Of a look without alarms: how near the nearest came, and when something last spoke."""
    look = latest_look(watch)
    near = loudest_ratio(one for one in look.findings if is_judged(one))
    if look.alarms or not near:
        return []
    one, kind = near[0], monitor_names.monitor_of(near[0].monitor)
    said = [
        f"The nearest to an alarm is {lower_title(kind.title)}: {monitor_names.effect_text(one.effect, kind.unit)}, where "
        f"{monitor_names.effect_text(one.minimum, kind.unit)} would matter."
    ]
    before = last_alarm(watch)
    if before is not None:
        alarmed = list_monitors([alarm.monitor for alarm in before.alarms])
        said.append(f"The last alarm was at look {before.number}, {times.day_text(before.at)}: {alarmed}.")
    return said


def _accuracy(watch: LookReport) -> list[str]:
    audit, test = newest_level(watch, "audit"), newest_level(watch, "test")
    if audit is None or watch.unit != "share":
        return []
    ends = formats.interval_text(audit.low, audit.high, watch.unit)
    spread = f" ({ends})" if ends else ""
    then = f"; {formats.with_unit(test.value, watch.unit)} at release" if test else ""
    name = first_upper(formats.plain_name(watch.metric))
    return [
        f"{name} on {formats.format_count(audit.n)} audited answers: {formats.with_unit(audit.value, watch.unit)}{spread}{then}."
    ]


def newest_level(watch: LookReport, kind: str) -> Level | None:
    return next((one for one in reversed(watch.levels) if one.kind == kind and formats.is_number(one.value)), None)


def _answered(watch: LookReport) -> list[str]:
    """The last request, if it was made for the alarm that lasts."""
    first = alarm_start(watch, [one.monitor for one in latest_look(watch).alarms])
    if first is None or not watch.requests:
        return []
    last = watch.requests[-1]
    asked, begun = times.epoch_seconds(last.at), times.epoch_seconds(first.at)
    return [request_outcome(last)] if asked and begun and asked >= begun else []


def allowed_p(look: LookRow) -> str:
    """What p each monitor was held against at this look: one bound, or the range of them; "" where none was judged."""
    known = sorted(one.alpha for one in look.findings if one.alpha is not None and formats.is_number(one.alpha))
    if not known:
        return ""
    same = formats.p_value(known[0]) == formats.p_value(known[-1])
    return f"≤ {formats.p_value(known[-1])}" if same else f"≤ {formats.p_value(known[0])} to {formats.p_value(known[-1])}"


def level_dot(one: Level, unit: Unit) -> Dot | None:
    """One level as a dot with its title, or None where it has no time or value."""
    at = times.epoch_seconds(one.at)
    if at is None or not formats.is_number(one.value):
        return None
    ends = formats.interval_text(one.low, one.high, unit)
    known = formats.is_number(one.low) and formats.is_number(one.high)
    value = f"{formats.with_unit(one.value, unit)}{f' ({ends})' if ends else ''}"
    said = f"{times.day_text(one.at)}: {value}, {formats.format_count(one.n)} rows"
    return Dot(at, one.value, one.low if known else None, one.high if known else None, "none", said)


def _unjudged(look: LookRow) -> list[str]:
    silent = [one for one in look.findings if not is_judged(one) and not one.alarm]
    if not silent:
        return []
    if len(silent) == len(look.findings):
        return [
            f"{first_upper(why)}." for why in dict.fromkeys(silence_reason(one).removeprefix("not judged: ") for one in silent)
        ][:3]
    return [f"Not judged: {list_monitors([one.monitor for one in silent], 4)}. Silence of these is no good news."]
