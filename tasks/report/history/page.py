"""The history of a model on one HTML page: one file, no script, no network, made as the page of a run is."""

from __future__ import annotations

from functools import partial

from markupsafe import Markup

from tasks.report.draw import charts, formats, lanes, series, times
from tasks.report.environment import framed_chart, render_page, trusted_svg
from tasks.report.history import view
from tasks.report.history.data import History, Version
from tasks.report.monitor import request_story
from tasks.report.monitor import view as monitor_view
from tasks.report.monitor.data import Level

TALL = 150


def render_history(history: History) -> str:
    """The page of a model, as HTML. Pure: equal data give equal pages; every text from data is escaped."""
    return render_page(
        "history.html",
        history=history,
        view=view,
        request_story=request_story,
        list_monitors=monitor_view.list_monitors,
        draw=_HistoryDrawings(history),
        span_text=times.span_text,
        cost_totals=view.cost_totals(history),
    )


class _HistoryDrawings:
    """The charts of one history; all lanes share one axis of time."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.periods = view.serving_periods(history)
        self.changes = [period.start for period in self.periods]
        versions, looks = (version.at for version in history.versions), (look.at for look in history.looks)
        moments = [*(move.at for move in history.moves), *versions, *looks]
        known = [at for at in map(times.epoch_seconds, moments) if at is not None]
        self.xs = series.time_domain([*known, view.page_end(history)] if known else [], 0.02)
        scored = [value for version in history.versions for value in (version.value, version.low, version.high)]
        self.scores = charts.domain_of(scored, floor=0.0, ceiling=1.0 if history.unit == "share" else None)

    def served(self) -> Markup:
        spans = [
            lanes.ServedSpan(
                period.start,
                period.end,
                f"v{period.version}",
                "current" if period.current else "back" if period.taken_back else "past",
                f"version {period.version}: {times.span_text(period.end - period.start)}"
                f"{', then taken back' if period.taken_back else ''}",
            )
            for period in self.periods
        ]
        return trusted_svg(lanes.version_lane(spans, self.xs, self.changes, f"Which version served when: {len(spans)} reigns"))

    def verdicts(self) -> Markup:
        marks = [
            (at, *formats.VERDICTS[version.verdict], f"version {version.version}, {times.day_text(version.at)}: {version.verdict}")
            for version in self.history.versions
            if (at := times.epoch_seconds(version.at)) is not None and version.verdict in formats.VERDICTS
        ]
        return trusted_svg(lanes.event_marks(marks, self.xs, self.changes, f"{len(marks)} verdicts of the gate"))  # type: ignore[arg-type]

    def moves(self) -> Markup:
        marks = [
            (at, *view.KINDS[move.kind][:2], f"{times.day_text(move.at)}: {view.move_sentence(move)}, by {move.who}")
            for move in view.applied_moves(self.history)
            if (at := times.epoch_seconds(move.at)) is not None and move.kind in view.KINDS
        ]
        return trusted_svg(lanes.event_marks(marks, self.xs, self.changes, f"{len(marks)} moves of the alias"))

    def legend(self) -> list[tuple[str, str, str]]:
        """The signs that stand on the lanes, each once, with their words."""
        verdicts = {version.verdict for version in self.history.versions}
        names = {"PROMOTE": "promoted", "HOLD": "held", "INCONCLUSIVE": "not enough evidence"}
        # an adoption has one sign, and its move carries it
        signs = [(*formats.VERDICTS[verdict], name) for verdict, name in names.items() if verdict in verdicts]
        kinds = {move.kind for move in view.applied_moves(self.history)} - {"PROMOTE"}
        return signs + [mark for kind, mark in view.KINDS.items() if kind in kinds]

    def looks(self) -> Markup:
        marks = [
            (
                at,
                bool(look.alarms),
                f"version {look.version}, look {look.number}, {times.day_text(look.at)}: {monitor_view.list_monitors(look.alarms)}",
            )
            for look in self.history.looks
            if (at := times.epoch_seconds(look.at)) is not None
        ]
        alarms = sum(alarm for _, alarm, _ in marks)
        return trusted_svg(lanes.look_marks(marks, self.xs, self.changes, f"{len(marks)} looks of the monitors, {alarms} alarms"))

    def has_levels(self) -> bool:
        return bool(view.test_scores(self.history) or any(level.kind == "audit" for level in self.history.levels))

    def levels(self) -> Markup:
        history = self.history
        tests, audits = self._level_dots(view.test_scores(history)), self._level_dots(view.audit_levels(history))
        share = history.unit == "share"
        values = [value for dot in (*tests, *audits) for value in (dot.value, dot.low, dot.high)]
        ys = charts.domain_of(values, floor=0.0, ceiling=1.0 if share else None)
        label = f"{formats.plain_name(history.metric)}: {len(tests)} versions at release, {len(audits)} audits"
        plane = series.Plane(self.xs, ys, TALL)
        drawn = lanes.score_lane(audits, tests, plane, self.changes, label)
        return framed_chart(series.scale_labels(partial(series.level_tick, share=share), plane, 4), drawn, "")

    def _level_dots(self, levels: list[Level]) -> list[series.Dot]:
        return [dot for level in levels if (dot := monitor_view.level_dot(level, self.history.unit)) is not None]

    def axis(self) -> Markup:
        return trusted_svg(series.time_axis(self.xs, 8))

    def score(self, version: Version) -> Markup:
        ends = formats.interval_text(version.low, version.high, self.history.unit)
        value = formats.with_unit(version.value, self.history.unit)
        label = f"version {version.version}: {value}{f', interval {ends}' if ends else ''}"
        tone = "champion" if version.version == self.history.champion else "challenger"
        estimate = charts.Estimate(version.value, version.low, version.high)
        return trusted_svg(charts.interval_chart(estimate, self.scores, tone, label))

    def score_axis(self) -> Markup:
        return trusted_svg(charts.axis_labels(self.scores, partial(series.level_tick, share=self.history.unit == "share"), 4))

    def cost_bar(self, version: Version) -> Markup:
        longest = max((other.training_seconds or 0.0 for other in self.history.versions), default=0.0)
        label = f"version {version.version}: {formats.format_seconds(version.training_seconds)}"
        return trusted_svg(charts.bar_chart(charts.Estimate(version.training_seconds), domain=(0.0, longest or 1.0), label=label))

    def thumbs(self, up: int, down: int) -> Markup:
        return trusted_svg(
            charts.stacked_bar([(f"{up} up", up, "up"), (f"{down} down", down, "down")], f"{up} thumbs up, {down} down", 12)
        )
