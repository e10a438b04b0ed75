"""The HTML page of one look of the monitors: one file, no script, no network, made as the page of a run is."""

from __future__ import annotations

from functools import partial

from markupsafe import Markup

from tasks.report.draw import charts, formats, series, times
from tasks.report.draw.charts import Domain
from tasks.report.environment import framed_chart, render_page, trusted_svg
from tasks.report.monitor import changed_texts, monitor_names, request_story, tracks, view
from tasks.report.monitor.data import ChangeRow, LookReport
from tasks.report.run.page import DENSE

HEIGHT, TALL = 112, 200


def render_look(report: LookReport) -> str:
    """The page of a look, as HTML. Pure: equal data give equal pages; every text from data is escaped."""
    look = view.latest_look(report)
    return render_page(
        "look.html",
        report=report,
        look=look,
        view=view,
        request_story=request_story,
        changed_texts=changed_texts,
        list_monitors=view.list_monitors,
        tracks=tracks,
        verdict=view.look_verdict(report),
        monitors=tracks.monitor_keys(report),
        judged_monitors=[finding.monitor for finding in look.findings if tracks.is_judged(finding)],
        has_changes=bool(report.words or report.texts or report.classes or report.languages or report.lengths),
        grown_words=[word.name for word in report.words.more] if report.words else [],
        allowed_p=view.allowed_p(look),
        reference_rows=max((finding.n_reference for finding in look.findings), default=0),
        draw=_LookDrawings(report),
        dense_above=DENSE,
        monitor_of=monitor_names.monitor_of,
        effect_text=monitor_names.effect_text,
        effect_number=monitor_names.effect_number,
        monitor_anchor=_monitor_anchor,
    )


def _monitor_anchor(name: str) -> str:
    return f"monitor-{name}"


class _LookDrawings:
    """The charts of one look's page; all trends share one axis of time."""

    def __init__(self, report: LookReport) -> None:
        self.report = report
        self.xs = series.time_domain([at for look in report.looks if (at := times.epoch_seconds(look.at)) is not None])

    def strip(self, name: str) -> Markup:
        looks = tracks.binned_looks(self.report.looks, name)
        unit = monitor_names.monitor_of(name).unit
        cells = [
            (
                tracks.effect_ratio(finding) if finding is not None else None,
                tracks.finding_mark(finding)[0],
                tracks.finding_title(look, finding, unit),
            )
            for look, finding in looks
        ]
        alarms = sum(finding is not None and finding.alarm for _, finding in looks)
        return trusted_svg(
            series.effect_strip(cells, f"{monitor_names.monitor_of(name).title}: {alarms} of {len(looks)} looks are alarms")
        )

    def binned(self) -> int:
        return -(-len(self.report.looks) // tracks.MOST_COLUMNS)

    def first_look(self) -> str:
        return times.day_text(self.report.looks[0].at, self._spans_years()) if self.report.looks else ""

    def last_look(self) -> str:
        return times.day_text(self.report.looks[-1].at, self._spans_years()) if len(self.report.looks) >= series.LEAST else ""

    def _spans_years(self) -> bool:
        return self.xs[1] - self.xs[0] > 300 * times.DAY

    def trend(self, name: str) -> Markup:
        dots = tracks.track_dots(self.report, name)
        kind = monitor_names.monitor_of(name)
        findings = (finding for look in reversed(self.report.looks) for finding in look.findings)
        limit = next((finding.minimum for finding in findings if finding.monitor == name), None)
        if not any(dot.value is not None for dot in dots):
            return Markup("")
        below = -limit if limit and kind.sides == 2 and any((dot.value or 0.0) < -limit / 2 for dot in dots) else None
        ends = _ends_without_extremes([end for dot in dots for end in (dot.low, dot.high)])
        ys = charts.domain_of([0.0, limit and 1.25 * limit, below and 1.25 * below, *(dot.value for dot in dots), *ends], 0.06)
        label = f"{kind.title} over {len(dots)} looks; the last: {dots[-1].title}"
        show, plane = partial(_tick_text, unit=kind.unit), series.Plane(self.xs, ys, HEIGHT)
        return framed_chart(
            series.scale_labels(show, plane),
            series.trend_chart(dots, plane, (limit, below), label),
            series.time_axis(self.xs, 5),
        )

    def levels(self) -> Markup:
        report = self.report
        audits, estimates = (series.thin_dots(self._level_dots(kind)) for kind in ("audit", "estimate"))
        test = next(iter(reversed(self._level_dots("test"))), None)
        moments = [dot.x for dot in (*audits, *estimates)]
        xs = series.time_domain([*moments, *self.xs], 0.0)
        every = [*audits, *estimates, *([test] if test else [])]
        values = [value for dot in every for value in (dot.value, dot.low, dot.high)]
        share = report.unit == "share"
        ys = charts.domain_of(values, floor=0.0, ceiling=1.0 if share else None)
        show = partial(series.level_tick, share=share)
        label = f"{formats.plain_name(report.metric)} over time: {len(audits)} audits, {len(estimates)} estimates"
        plane = series.Plane(xs, ys, TALL)
        drawn = series.level_chart(audits, estimates, test, plane, label)
        return framed_chart(series.scale_labels(show, plane, 5), drawn, series.time_axis(xs))

    def _level_dots(self, kind: str) -> list[series.Dot]:
        return [dot for level in self.report.levels if level.kind == kind and (dot := view.level_dot(level, self.report.unit))]

    def share_domain(self, changes: tuple[ChangeRow, ...]) -> Domain:
        shares = [value or 0.0 for change in changes for value in (change.window, change.reference)]
        return 0.0, min(1.0, 1.04 * max(shares, default=1.0)) or 1.0

    def share_bar(self, change: ChangeRow, domain: Domain) -> Markup:
        reference = formats.format_share(change.reference)
        label = f"{change.name}: {formats.format_share(change.window)} now, {reference} in the reference"
        now = charts.Estimate(change.window, change.window_low, change.window_high)
        return trusted_svg(charts.bar_chart(now, change.reference, domain, label))


def _ends_without_extremes(ends: list[float | None]) -> list[float]:
    """The ends of intervals that may set an axis: those of a look with few rows reach far, and would flatten all others."""
    known = sorted(end for end in ends if end is not None and formats.is_number(end))
    cut = len(known) // 50 if len(known) >= 20 else 0
    return known[cut : len(known) - cut]


def _tick_text(value: float, unit: monitor_names.Unit) -> str:
    return formats.MINUS.join(f"{100 * value if unit == 'share' else value:g}".split("-"))
