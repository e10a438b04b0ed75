"""The base classes of our expectations: plain words in Data Docs, and one number against bounds for those about the whole."""

# mypy: disable-error-code="misc,untyped-decorator"

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from great_expectations.expectations.expectation import ColumnAggregateExpectation, render_suite_parameter_string
from great_expectations.render import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.renderer import renderer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration


class RenderedExpectation:
    """Renders `rendered_text` and the bounds that the user set; without it Data Docs show a Python call in a warning box."""

    rendered_text: ClassVar[str] = ""
    needs: ClassVar[dict[str, str]] = {}  # part of Context -> the kwarg that may stand in for it
    whole: ClassVar[bool] = False  # needs all rows at once, not one chunk after another
    counts_words: ClassVar[bool] = False

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    @render_suite_parameter_string
    def _prescriptive_renderer(
        cls,
        configuration: ExpectationConfiguration | None = None,
        result: Any = None,
        runtime_configuration: Mapping[str, object] | None = None,
        **_: object,
    ) -> list[RenderedStringTemplateContent]:
        config = configuration if configuration is not None else result.expectation_config
        fields = cls.__fields__  # type: ignore[attr-defined]  # pydantic 1, which the expectations inherit
        bounds = {k: config.kwargs.get(k, fields[k].default) for k in cls.success_keys if k in fields}  # type: ignore[attr-defined]
        bounds = {k: str(v) for k, v in bounds.items() if v is not None}
        bounds_text = "".join(f"; {k.replace('_', ' ')}: ${k}" for k in bounds)
        template = {
            "template": f"{cls.rendered_text}{bounds_text}.",
            "params": bounds,
            "styling": (runtime_configuration or {}).get("styling"),
        }
        return [RenderedStringTemplateContent(content_block_type="string_template", string_template=template)]


class Aggregate(RenderedExpectation, ColumnAggregateExpectation):
    """One number of a column against one bound; its metric gives {"value": number, "details": words}."""

    whole: ClassVar[bool] = True
    success_keys: ClassVar[tuple[str, ...]] = ("min_value", "max_value")
    min_value: float | None = None
    max_value: float | None = None

    @classmethod
    def is_abstract(cls) -> bool:
        return not getattr(cls, "metric_dependencies", ()) or bool(super().is_abstract())

    def _validate(self, metrics: Mapping[str, Mapping[str, Any]], **_: object) -> dict[str, object]:
        measured = metrics[self.metric_dependencies[0]]
        value = measured["value"]
        low, high = self.min_value, self.max_value
        success = (low is None or value >= low) and (high is None or value <= high)
        return {"success": success, "result": {"observed_value": value, "details": measured["details"]}}
