"""What every page is made with: one Jinja environment, and the rule for characters that no page can hold."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from configs.credentials import without_credentials
from tasks.data.text_parts import MARK, shown_parts
from tasks.data.turns import ROLES, is_conversation, turns_of
from tasks.report.draw import formats, times

MOST_TURNS, LONGEST_TURN = 12, 420  # turns of a conversation that a page shows, characters of each
ROLE = re.compile(rf"(?:{MARK}|(?<=>))({'|'.join(ROLES)}){MARK}")  # of a turn that a page has as it is kept
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


def render_page(template: str, **context: object) -> str:
    """A template filled in, as HTML. Every text is escaped (autoescape); what no page can hold becomes U+FFFD."""
    page = _template_environment().get_template(template).render(formats=formats, **context)
    return UNPRINTABLE.sub("\ufffd", shown_parts(ROLE.sub(r"\n\1: ", page)))


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
        turns=_shown_input,
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


def _shown_input(text: str) -> Markup:
    """What was read: a conversation turn by turn, each with its role, the newest last; any other text as it is."""
    if not is_conversation(text):
        return Markup("<bdi>{}</bdi>").format(without_credentials(formats.clip_text(text)))
    turns = turns_of(text)
    older = len(turns) - MOST_TURNS
    rows = [f"older turns: {formats.format_count(older)}"] if older > 0 else []
    shown_parts = [
        Markup('<span class="turn"><b>{}</b><bdi>{}</bdi></span>').format(
            turn.role, without_credentials(formats.clip_text(turn.content, LONGEST_TURN))
        )
        for turn in turns[-MOST_TURNS:]
    ]
    return Markup("").join([*(Markup('<span class="soft">{}</span>').format(row) for row in rows), *shown_parts])


def _breakable(name: str) -> Markup:
    """A name that may break after each underscore, so that long class names wrap where a reader would wrap them."""
    return Markup("_<wbr>").join(name.split("_"))
