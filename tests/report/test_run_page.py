"""The page: one file, safe with any text, whole without any part, readable by all."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from page_reader import HOSTILE, Reader, read_page, with_every_text
from run_samples import EVERY, banking, classification, first_release, generation, inconclusive, least

from tasks.report.run import page
from tasks.report.run.data import Count, ReportData, from_json, to_json


def read(report: ReportData) -> Reader:
    return read_page(page.render_report(report))


@pytest.mark.parametrize("name", EVERY)
def test_every_report_is_one_well_formed_page_without_script_or_network(name: str) -> None:
    html = page.render_report(EVERY[name]())
    reader = read(EVERY[name]())
    tags = {tag for tag, _ in reader.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form"}
    assert not re.search(r"url\(|@import|\bon\w+=", html)
    assert not [attrs for _, attrs in reader.tags if "src" in attrs or (attrs.get("href") or "#").startswith(("//", "javascript"))]
    assert "nan" not in re.findall(r"[a-z]+", " ".join(re.findall(r'"([^"]*)"', html)).lower())


@pytest.mark.parametrize("make", [classification, generation, inconclusive])
def test_no_text_from_data_can_become_markup(make: Any) -> None:
    """The tags of the page are the same whether texts are hostile or harmless of the same shape."""
    harmless = read(with_every_text(make(), "h" * len(HOSTILE)))
    hostile = read(with_every_text(make(), HOSTILE))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in harmless.tags]
    assert [sorted(attrs) for _, attrs in hostile.tags] == [sorted(attrs) for _, attrs in harmless.tags]
    assert any("<script>alert('x')</script>" in text for text in hostile.text)
    assert "{{ 7*7 }}" in "".join(hostile.text)


def test_a_page_of_77_classes_stays_under_a_megabyte() -> None:
    assert len(page.render_report(banking()).encode()) < 1_000_000


def test_a_text_of_any_length_or_with_any_character_leaves_a_small_valid_page() -> None:
    report = classification()
    odd = replace(report.errors[0], text="\ud800 \x00 \x1b[31m \u202e " + "z" * 100_000)
    html = page.render_report(replace(report, errors=(odd,)))
    assert len(html.encode("utf-8")) < len(page.render_report(report)) + 2_000
    assert not page.UNPRINTABLE.search(html)


@pytest.mark.parametrize(
    ("make", "word", "tone", "sentence"),
    [
        (classification, "PROMOTE", "good", "Version 4 replaces version 3 as champion."),
        (first_release, "PROMOTE", "good", "Version 1 becomes the first champion."),
        (banking, "HOLD", "hold", "Version 3 stays champion."),
        (inconclusive, "INCONCLUSIVE", "wait", "Not enough evidence: version 3 stays champion."),
    ],
)
def test_the_verdict_is_said_in_word_sign_and_sentence(make: Any, word: str, tone: str, sentence: str) -> None:
    reader = read(make())
    text = " ".join("".join(reader.text).split())
    assert word in text and sentence in text
    assert ("body", {"class": tone}) in reader.tags
    for reason in make().reasons:
        assert " ".join(reason.split()) in text


def test_a_veto_stands_beside_the_verdict() -> None:
    head = page.render_report(banking()).split("</header>")[0]
    assert "harm shown" in head and "−22.5 points" in head


def test_absent_parts_leave_no_heading_and_no_link() -> None:
    ids = {attrs.get("id") for _, attrs in read(least()).tags if attrs.get("id")}
    assert ids == {"identity"}
    ids = {attrs.get("id") for _, attrs in read(generation()).tags if attrs.get("id")}
    assert "confusion" not in ids and "parts" not in ids and "samples" in ids


@pytest.mark.parametrize("name", EVERY)
def test_links_lead_to_sections_and_ids_are_unique(name: str) -> None:
    reader = read(EVERY[name]())
    ids = [attrs["id"] for _, attrs in reader.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {
        (attrs.get("href") or "")[1:] for tag, attrs in reader.tags if tag == "a" and (attrs.get("href") or "").startswith("#")
    }
    assert targets == set(ids)


@pytest.mark.parametrize("name", EVERY)
def test_charts_are_named_for_those_who_cannot_see_them_and_headers_have_a_scope(name: str) -> None:
    reader = read(EVERY[name]())
    for tag, attrs in reader.tags:
        if tag == "svg" and attrs.get("role") == "img":
            assert attrs.get("aria-label")
        if tag == "th":
            assert attrs.get("scope") in ("col", "row")


def test_only_a_web_address_becomes_a_link() -> None:
    report = classification()
    assert report.data is not None
    evil = replace(report, data=replace(report.data, data_docs="javascript:alert(1)"))
    assert not [1 for tag, attrs in read(evil).tags if tag == "a" and "javascript" in (attrs.get("href") or "")]
    web = replace(report, data=replace(report.data, data_docs="https://docs.example/run"))
    assert ("a", {"href": "https://docs.example/run"}) in read(web).tags


def test_equal_reports_give_equal_pages() -> None:
    assert page.render_report(classification()) == page.render_report(classification())


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [("ink", "paper"), ("soft", "paper"), ("soft", "panel"), ("good", "good-bg"), ("bad", "bad-bg"), ("hold", "hold-bg"),
     ("wait", "wait-bg"),
     ("paper", "good"), ("paper", "hold"), ("paper", "wait"), ("soft", "good-bg"), ("soft", "hold-bg"), ("soft", "wait-bg"),
     ("champion", "paper"), ("challenger", "paper"), ("bad", "paper")],
)  # fmt: skip
def test_text_stands_out_enough_in_light_and_in_dark(scheme: int, ink: str, ground: str) -> None:
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5."""
    style = (Path(page.__file__).parents[1] / "templates" / "style.html").read_text()
    colours = dict(re.findall(r"--([\w-]+):(#[0-9a-f]{6})", style.split("prefers-color-scheme:dark")[scheme]))
    high, low = sorted((luminance(colours[ink]), luminance(colours[ground])), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_copies_of_test_rows_are_said_with_what_became_of_them() -> None:
    report = classification()
    data = report.data
    assert data is not None
    assert "exact or near copy (Jaccard 0.85 or more) in training or validation: those copies were left out there." in words_of(
        report
    )
    exact = replace(report, data=replace(data, leakage_threshold=None))
    assert "18 test rows with an exact copy in training or validation: those copies" in words_of(exact)


def words_of(report: ReportData) -> str:
    return " ".join("".join(read(report).text).split())


def test_rows_of_labels_new_to_the_champion_and_what_unequal_groups_count_for_are_said() -> None:
    text = " ".join(read(classification()).text)
    assert "rows of labels new to the champion" in text and "refunds" in text
    assert "effective rows, as groups are unequal" in text
    assert "rows of labels new to the champion" not in " ".join(read(generation()).text)


def test_how_much_better_a_model_knows_its_own_rows_is_said_with_the_epoch_that_was_kept() -> None:
    report = classification()
    text = " ".join(" ".join(read(report).text).split())
    assert "500 of 2 058 training rows" in text and "A gap far above zero is overfitting" in text
    html = page.render_report(report)
    assert report.fit is not None and report.fit.scores[0].test is not None
    gap = 100 * (0.991 - report.fit.scores[0].test)
    assert f"{gap:+.1f} points" in html and "+0.150" in html and "epoch 4 is kept" in html
    assert "loss by epoch, epoch 4 kept" in html
    refit = page.render_report(replace(report, fit=replace(report.fit, refit=True)))
    idle = page.render_report(replace(report, fit=replace(report.fit, fitted=False)))
    assert "They were fitted to none of these" in idle and "They were fitted to the training rows" not in idle
    assert "fitted to the training rows and the validation rows" in refit and "chosen by" not in refit
    assert "Does it know" not in page.render_report(replace(report, fit=None))


def test_a_generators_page_says_which_of_its_two_sums_is_which() -> None:
    html = page.render_report(generation())
    assert "NLL per token, over all tokens" in html and "NLL per token, mean of rows" in html
    assert "where a long answer counts for more" in html and "as the gate and the slices below do" in html


def test_a_report_of_an_earlier_version_is_drawn_as_it_was() -> None:
    old = json.loads(to_json(classification()))
    for name in ("fit", "kept_epoch"):
        del old[name]
    for curve in old["curves"]:
        del curve["by"]
    html = page.render_report(from_json(json.dumps(old)))
    assert "by optimizer step" in html and "marked" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)


def test_a_label_in_a_reason_keeps_its_underscore_and_a_password_in_a_text_is_not_shown() -> None:
    report = classification()
    assert report.data is not None
    data = replace(
        report.data, source="http://me:Zqsecret1@h/x", quarantined=(Count(name="the same text is labelled `a_b`, `c_d`", n=1),)
    )
    html = page.render_report(replace(report, data=data))
    assert "`a_b`, `c_d`" in html and "Zqsecret1" not in html + to_json(replace(report, data=data))
