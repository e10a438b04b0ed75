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
from tasks.report.run.rows import Unit

EMPTY = LookRow(number=0, at="", start="", end="", rows=0, findings=())


@dataclass(frozen=True)
class LookVerdict:
    """What this look comes to: a word, its sign and tone, and one sentence."""

    word: str
    tone: Tone
    sign: str
    headline: str


def latest_look(report: LookReport) -> LookRow:
    return report.looks[-1] if report.looks else EMPTY


def alarm_start(report: LookReport, chosen: Iterable[str]) -> LookRow | None:
    """The first look of the unbroken alarm that lasts until now, of any of these monitors; looks not judged do not break it."""
    first: LookRow | None = None
    for name in chosen:
        start: LookRow | None = None
        for look in reversed(report.looks):
            finding = finding_of(look, name)
            if finding is not None and finding.alarm:
                start = look
            elif finding is not None and is_judged(finding):
                break
        if start is not None and (first is None or start.number < first.number):
            first = start
    return first


DECAY = {  # by what was labelled
    "performance.accuracy": "Accuracy has fallen",
    "performance.error": "Answers are further off",
    "performance.language_accuracy": "Accuracy has fallen in one language",
    "performance.language_error": "Answers are further off in one language",
}


def last_alarm(report: LookReport) -> LookRow | None:
    return next((look for look in reversed(report.looks) if look.alarms), None)


def look_verdict(report: LookReport) -> LookVerdict:
    """The word and sentence at the top of the page."""
    look = latest_look(report)
    alarms = [finding.monitor for finding in look.alarms]
    decay = [name for name in alarms if name.startswith("performance.")]
    drift = [name for name in alarms if name not in decay]
    if not any(is_judged(finding) for finding in look.findings) and not alarms:
        return LookVerdict("NOT JUDGED", "wait", "?", "Too few answers to say whether anything changed")
    if decay:
        with_drift = f", with drift in {list_monitors(drift)}" if drift else ""
        sentence = next((words for name, words in DECAY.items() if name in decay), "Accuracy has probably fallen")
        return LookVerdict("DECAY", "bad", "↓", f"{sentence}{_since_text(report, decay)}{with_drift}")
    if drift:
        return LookVerdict("DRIFT", "hold", "≠", f"Drift in {list_monitors(drift)}{_since_text(report, drift)}")
    doubtful = [finding.monitor for finding in look.findings if finding_mark(finding)[0] == "hold"]
    if doubtful:
        sentence = f"{first_upper(list_monitors(doubtful))} may have changed, or it is chance"
        return LookVerdict("NO ALARM YET", "wait", "?", f"{sentence}: more answers will tell")
    able = sum(is_judged(finding) for finding in look.findings)
    subject = f"None of {able} monitors" if able > 1 else "The one monitor that could judge"
    return LookVerdict("QUIET", "good", "\u2713", f"{subject} found {'a' if able > 1 else 'no'} change worth an alarm")


def _since_text(report: LookReport, chosen: Sequence[str]) -> str:
    first = alarm_start(report, chosen)
    if first is None:
        return ""
    return ", first seen at this look" if first.number == latest_look(report).number else f" since {times.day_text(first.at)}"


def list_monitors(chosen: Sequence[str], most: int = 3) -> str:
    """Monitors in a sentence: topics, vocabulary and 2 more."""
    titles = [lower_title(monitor_names.monitor_of(name).title) for name in chosen]
    if len(titles) > most:
        titles = [*titles[: most - 1], f"{len(titles) - most + 1} more"]
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}" if titles else ""


def lower_title(title: str) -> str:
    return title[:1].lower() + title[1:]


def look_reasons(report: LookReport) -> list[str]:
    """What the verdict rests on: alarms with their numbers, accuracy, what was done, what could not be judged."""
    look = latest_look(report)
    return [
        *(_alarm_sentence(report, finding) for finding in loudest_ratio(look.alarms)[:4]),
        *_quiet_sentences(report),
        *_accuracy_sentences(report),
        *_request_sentences(report),
        *_unjudged_sentences(look),
    ]


def loudest_ratio(alarms: Iterable[FindingRow]) -> list[FindingRow]:
    """Alarms, those with the largest effects as multiples of their minimum first."""
    return sorted(alarms, key=lambda finding: -effect_ratio(finding) if effect_ratio(finding) is not None else 0.0)  # type: ignore[operator]


def _alarm_sentence(report: LookReport, finding: FindingRow) -> str:
    kind = monitor_names.monitor_of(finding.monitor)
    ends = f" ({ends_of(finding)})" if ends_of(finding) else ""
    effect, least = (monitor_names.effect_text(value, kind.unit) for value in (finding.effect, finding.minimum))
    sentence = f"{kind.title}: {effect}{ends}, an alarm from {least}"
    first = alarm_start(report, [finding.monitor])
    since = (
        f"; since look {first.number}, {times.day_text(first.at)}"
        if first and first.number != latest_look(report).number
        else "; new"
    )
    return f"{sentence}; {formats.p_equals(finding.p)}{since}."


def _quiet_sentences(report: LookReport) -> list[str]:
    """Of a look without alarms: the finding nearest to one, and the last alarm."""
    look = latest_look(report)
    near = loudest_ratio(finding for finding in look.findings if is_judged(finding))
    if look.alarms or not near:
        return []
    nearest, kind = near[0], monitor_names.monitor_of(near[0].monitor)
    sentences = [
        f"The nearest to an alarm is {lower_title(kind.title)}: {monitor_names.effect_text(nearest.effect, kind.unit)}, where "
        f"{monitor_names.effect_text(nearest.minimum, kind.unit)} would matter."
    ]
    before = last_alarm(report)
    if before is not None:
        alarmed = list_monitors([alarm.monitor for alarm in before.alarms])
        sentences.append(f"The last alarm was at look {before.number}, {times.day_text(before.at)}: {alarmed}.")
    return sentences


def _accuracy_sentences(report: LookReport) -> list[str]:
    audit, test = newest_level(report, "audit"), newest_level(report, "test")
    if audit is None:
        return []
    ends = formats.interval_text(audit.low, audit.high, report.unit)
    spread = f" ({ends})" if ends else ""
    then = f"; {formats.with_unit(test.value, report.unit)} at release" if test else ""
    name = first_upper(formats.plain_name(report.metric))
    return [
        f"{name} on {formats.format_count(audit.n)} audited answers: {formats.with_unit(audit.value, report.unit)}{spread}{then}."
    ]


def newest_level(report: LookReport, kind: str) -> Level | None:
    return next((level for level in reversed(report.levels) if level.kind == kind and formats.is_number(level.value)), None)


def _request_sentences(report: LookReport) -> list[str]:
    """The last request, if it was made for the alarm that lasts."""
    first = alarm_start(report, [finding.monitor for finding in latest_look(report).alarms])
    if first is None or not report.requests:
        return []
    last = report.requests[-1]
    request_time, alarm_time = times.epoch_seconds(last.at), times.epoch_seconds(first.at)
    return [request_outcome(last)] if request_time and alarm_time and request_time >= alarm_time else []


def allowed_p(look: LookRow) -> str:
    """What p each monitor was held against at this look: one bound, or the range of them; "" where none was judged."""
    known = sorted(finding.alpha for finding in look.findings if finding.alpha is not None and formats.is_number(finding.alpha))
    if not known:
        return ""
    same = formats.p_value(known[0]) == formats.p_value(known[-1])
    return f"≤ {formats.p_value(known[-1])}" if same else f"≤ {formats.p_value(known[0])} to {formats.p_value(known[-1])}"


def level_dot(level: Level, unit: Unit) -> Dot | None:
    """One level as a dot with its title, or None where it has no time or value."""
    at = times.epoch_seconds(level.at)
    if at is None or not formats.is_number(level.value):
        return None
    ends = formats.interval_text(level.low, level.high, unit)
    known = formats.is_number(level.low) and formats.is_number(level.high)
    value = f"{formats.with_unit(level.value, unit)}{f' ({ends})' if ends else ''}"
    title = f"{times.day_text(level.at)}: {value}, {formats.format_count(level.n)} rows"
    return Dot(at, level.value, level.low if known else None, level.high if known else None, "none", title)


def _unjudged_sentences(look: LookRow) -> list[str]:
    silent = [finding for finding in look.findings if not is_judged(finding) and not finding.alarm]
    if not silent:
        return []
    if len(silent) == len(look.findings):
        reasons = dict.fromkeys(silence_reason(finding).removeprefix("not judged: ") for finding in silent)
        return [f"{first_upper(reason)}." for reason in reasons][:3]
    return [f"Not judged: {list_monitors([finding.monitor for finding in silent], 4)}. Silence of these is no good news."]
