"""Texts with their spans: cut where spans begin and end, legible without colour, and never as markup."""

from __future__ import annotations

from dataclasses import replace

from page_reader import Reader
from run_samples import classification

from tasks.collect.run_spans import LONGEST, span_pieces
from tasks.report.run.data import from_json, to_json
from tasks.report.run.page import render_report
from tasks.report.run.rows import ClassRow, SpanExample, SpanPiece, SpanReport


def shown(pieces: tuple[SpanPiece, ...]) -> list[tuple[str, str, list[str]]]:
    kinds = {(False, False): "", (True, True): "both", (True, False): "missed", (False, True): "wrong"}
    return [
        (
            piece.text,
            "right" if piece.right else kinds[piece.wanted, piece.answered],
            [f"{end.mark} {end.label}" for end in piece.ends],
        )
        for piece in pieces
    ]


def test_a_text_is_cut_where_spans_begin_and_end_and_says_which_are_right_missed_and_wrong() -> None:
    text = "Ada met Bob Lee in Oslo"
    wanted, answered = ((0, 3, "A"), (8, 15, "A"), (19, 23, "P")), ((0, 3, "A"), (8, 11, "A"), (19, 23, "A"))
    assert shown(span_pieces(text, wanted, answered)) == [
        ("Ada", "right", ["right A"]),
        (" met ", "", []),
        ("Bob", "both", ["wrong A"]),
        (" Lee", "missed", ["missed A"]),
        (" in ", "", []),
        ("Oslo", "both", ["missed P", "wrong A"]),
    ]
    assert shown(span_pieces("plain", (), ())) == [("plain", "", [])]


def test_of_a_long_text_the_part_around_the_first_error_is_shown() -> None:
    text = "x" * 2000 + "Bob" + "y" * 2000
    pieces = span_pieces(text, ((2000, 2003, "A"),), ())
    whole = "".join(piece.text for piece in pieces)
    assert len(whole) <= LONGEST + 4 and whole.startswith("… ") and whole.endswith(" …")
    assert ("Bob", "missed", ["missed A"]) in shown(pieces)


def test_the_page_shows_types_and_texts_without_colour_and_without_markup_of_theirs() -> None:
    pieces = span_pieces("<b>Ada</b> met Bob", ((3, 6, "PER<x>"),), ((15, 18, "PER<x>"),))
    types = (ClassRow(name="PER<x>", n=7, recall=0.5, precision=None, f1=0.25, low=0.2, high=0.8),)
    report = replace(classification(), spans=SpanReport(types=types, examples=(SpanExample(id="t1", f1=0.0, pieces=pieces),)))
    html = render_report(from_json(to_json(report)))
    assert "<b>Ada" not in html and "PER<x>" not in html and "&lt;b&gt;" in html
    reader = Reader()
    reader.feed(html)
    text = " ".join("".join(reader.text).split())
    assert "missed PER<x>" in text and "wrong PER<x>" in text and "What it finds" in text and not reader.open
