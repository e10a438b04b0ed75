"""The HTML page of a run: one file, no script, no network. Templates hold the words, charts and plots the lines, view the order."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from markupsafe import Markup

from tasks.report.draw import charts, formats, plots
from tasks.report.environment import UNPRINTABLE, render_page
from tasks.report.environment import trusted_svg as _svg
from tasks.report.run import view
from tasks.report.run.data import ComparisonRow, Curve, ReportData
from tasks.report.run.rows import Unit

if TYPE_CHECKING:
    from tasks.report.run.data import StageCost, System
    from tasks.report.run.rows import ClassRow, SliceRow

__all__ = ["UNPRINTABLE", "render_report"]
DENSE = 25
"""Above so many classes the page turns to small rows and a small heatmap."""


def render_report(report: ReportData) -> str:
    """The page of a report, as HTML. Pure: equal reports give equal pages.

    Every text from data is escaped (autoescape), and characters that no page can hold become U+FFFD.
    """
    return render_page("page.html", report=report, view=view, draw=_RunDrawings(report), dense_above=DENSE)


class _RunDrawings:
    """The charts of one report, each as markup that the templates place: holds the axes that rows share."""

    def __init__(self, report: ReportData) -> None:
        self.report = report
        self.scores = view.score_domain(report)
        self.slices = charts.domain_of([v for s in report.slices for v in (s.value, s.low, s.high, s.champion)], floor=0.0)

    def score(self, system: System) -> Markup:
        score = view.score_of(system, self.report.primary_metric)
        if score is None:
            return Markup("")
        ends = formats.interval_text(score.low, score.high, score.unit)
        label = f"{system.name}: {formats.with_unit(score.value, score.unit)} {ends}"
        estimate = charts.Estimate(score.value, score.low, score.high)
        return _svg(charts.interval_chart(estimate, self.scores, system.role, label.strip()))

    def score_axis(self) -> Markup:
        score = view.primary_score(self.report)
        return _svg(charts.axis_labels(self.scores, partial(_tick_text, unit=score.unit if score else "number")))

    def difference(self, comparison: ComparisonRow, axis: charts.Domain, height: int = 28) -> Markup:
        """One difference of the gate on the axis that it shares with its table."""
        if not formats.is_number(comparison.difference):
            return Markup("")
        ends = formats.signed_interval(comparison.low, comparison.high, comparison.unit)
        value = formats.difference_text(comparison.difference, comparison.unit)
        label = f"{comparison.name}: {value}" + (f", interval {ends}" if ends else "")
        estimate = charts.Estimate(comparison.difference, comparison.low, comparison.high)
        tone = formats.outcome_mark(comparison.outcome)[0]
        return _svg(charts.difference_chart(estimate, axis, tone, comparison.margin or 0.0, label, height))

    def difference_axis(self, unit: Unit, axis: charts.Domain) -> Markup:
        return _svg(charts.axis_labels(axis, partial(_signed_tick_text, unit=unit), 5))

    def class_bar(self, row: ClassRow) -> Markup:
        label = f"{row.name}: recall {formats.format_share(row.recall)} of {row.n}"
        return _svg(charts.bar_chart(charts.Estimate(row.recall, row.low, row.high), row.champion, label=label))

    def slice_bar(self, row: SliceRow) -> Markup:
        domain = (0.0, 1.0) if row.unit == "share" else (0.0, self.slices[1])
        label = f"{row.column} {row.name}: {formats.with_unit(row.value, row.unit)} of {row.n} rows"
        return _svg(charts.bar_chart(charts.Estimate(row.value, row.low, row.high), row.champion, domain, label))

    def curves(self, panel: str, curves: list[Curve]) -> Markup:
        by, epoch = curves[0].by, self.report.kept_epoch
        mark = (float(epoch), f"epoch {epoch} is kept") if by == "epoch" and epoch is not None else None
        label = f"{panel} by {'optimizer step' if by == 'step' else by}" + (f", epoch {epoch} kept" if mark else "")
        points = [(curve.name, curve.points) for curve in curves]
        return _svg(plots.line_chart(points, partial(_tick_text, unit=curves[0].unit), label, by, mark))

    def reliability(self) -> Markup:
        calibration = self.report.calibration
        if calibration is None:
            return Markup("")
        bins = [(b.low, b.high, b.n, b.confidence, b.accuracy, b.accuracy_low, b.accuracy_high) for b in calibration.bins]
        return _svg(
            plots.reliability_chart(bins, f"Reliability: expected calibration error {formats.format_share(calibration.ece)}")
        )

    def heatmap(self) -> Markup:
        confusion = self.report.confusion
        if confusion is None:
            return Markup("")
        return _svg(
            plots.confusion_heatmap(confusion.labels, confusion.counts, f"Confusion matrix of {len(confusion.labels)} classes")
        )

    def number_plot(self) -> Markup:
        numbers = self.report.numbers
        if numbers is None:
            return Markup("")
        label = f"Predicted against true numbers of {len(numbers.points)} test rows"
        return _svg(plots.scatter_chart(numbers.points, partial(_tick_text, unit="number"), ("true", "predicted"), label))

    def stage_bar(self, stage: StageCost) -> Markup:
        longest = max((other.seconds for other in self.report.cost.stages), default=0.0) if self.report.cost else 0.0
        label = f"{stage.name}: {formats.format_seconds(stage.seconds)}"
        return _svg(charts.bar_chart(charts.Estimate(stage.seconds), domain=(0.0, longest or 1.0), label=label))

    def stack(self, parts: list[tuple[str, float]], label: str) -> Markup:
        toned = [(title, amount, f"tone-{rank % 6}") for rank, (title, amount) in enumerate(parts)]
        return _svg(charts.stacked_bar(toned, label))


def _tick_text(value: float, unit: Unit) -> str:
    return f"{100 * value:g}%" if unit == "share" else f"{value:g}"


def _signed_tick_text(value: float, unit: Unit) -> str:
    return formats.MINUS.join(f"{100 * value if unit == 'share' else value:+g}".split("-")) if value else "0"
