"""What every page is made with: one Jinja environment, and the rule for characters that no page can hold."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from configs.credentials import without_credentials
from tasks.data.text_parts import shown_parts
from tasks.report.draw import formats, times

UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


def render_page(template: str, **context: object) -> str:
    """A template filled in, as HTML. Every text is escaped (autoescape); what no page can hold becomes U+FFFD."""
    return UNPRINTABLE.sub("\ufffd", shown_parts(_template_environment().get_template(template).render(formats=formats, **context)))


@cache
def _template_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: without_credentials(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        share=formats.format_share,
        with_unit=formats.with_unit,
        number=formats.format_number,
        count=formats.format_count,
        size=formats.byte_size,
        seconds=formats.format_seconds,
        p_value=formats.p_value,
        clip=formats.clip_text,
        plain_name=formats.plain_name,
        first_upper=formats.first_upper,
        href=formats.safe_link,
        breakable=_breakable,
        day=times.day_text,
        moment=times.moment_text,
    )
    return environment


def trusted_svg(drawing: str) -> Markup:
    """A drawing as markup: the drawing functions have escaped every name in it."""
    return Markup(drawing)  # noqa: S704


def framed_chart(scale: str, drawing: str, axis: str) -> Markup:
    """A drawing with its scale to the left and its axis below."""
    return Markup('<div class="trend">{}{}{}</div>').format(trusted_svg(scale), trusted_svg(drawing), trusted_svg(axis))


def _breakable(name: str) -> Markup:
    """A name that may break after each underscore, so that long class names wrap where a reader would wrap them."""
    return Markup("_<wbr>").join(name.split("_"))
