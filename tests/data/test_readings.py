"""Values are found where they touch words, are escaped, or have other signs between their groups."""

import re

import pytest
from counting import calls

from configs.schema import PATTERN_ENTITIES
from tasks.data.redaction.readings import part_values, unescape
from tasks.data.redaction.redact import Redactor

REDACTOR = Redactor((*PATTERN_ENTITIES, "URL"), b"k" * 32)


def kinds(text):
    return re.sub(r":\w{8}>", ">", Redactor(PATTERN_ENTITIES, b"k" * 32).redact([text])[0])


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("tel0171 1234567", "tel<PHONE_NUMBER>"),
        ("Fax030-1234567.", "Fax<PHONE_NUMBER>."),
        ("phone_4155552671", "phone_<PHONE_NUMBER>"),
        ("тел8 916 123 45 67", "тел<PHONE_NUMBER>"),
        ("visa4111111111111111", "visa<CREDIT_CARD>"),
        ("ssn:536-22-1234, ssn536221234", "ssn:<US_SSN>, ssn<US_SSN>"),
        ("ip192.168.10.44 ip2001:db8::1", "ip<IP_ADDRESS> ip<IP_ADDRESS>"),
        ("mac00:1a:2b:3c:4d:5e", "mac<MAC_ADDRESS>"),
    ],
)
def test_a_value_is_found_behind_a_word_for_its_kind_that_it_touches(text, clean):
    assert kinds(text) == clean


@pytest.mark.parametrize("text", ["hotel0171 1234567", "part0171 1234567", "ship192.168.10.44", "tel12345", "rura4111111111111111"])
def test_a_number_that_touches_another_word_is_part_of_that_word(text):
    assert kinds(text) == text


def test_a_mail_address_that_begins_with_a_word_for_a_number_stays_whole():
    assert kinds("phone4155552671@example.com") == "<EMAIL_ADDRESS>"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("我的电话是13812345678谢谢", "我的电话是<PHONE_NUMBER>谢谢"),
        ("我的卡号是4111111111111111请查收", "我的卡号是<CREDIT_CARD>请查收"),
        ("연락처는 010-1234-5678로", "연락처는 <PHONE_NUMBER>로"),
        ("地址2001:db8::1的", "地址<IP_ADDRESS>的"),
    ],
)
def test_a_value_is_found_between_letters_of_scripts_without_spaces(text, clean):
    assert kinds(text) == clean


@pytest.mark.parametrize(
    "card",
    ["4111.1111.1111.1111", "4111_1111_1111_1111", "4111/1111/1111/1111", "4111 - 1111 - 1111 - 1111", "4111 1111\n1111 1111"],
)
def test_a_card_is_found_whatever_parts_its_groups(card):
    assert kinds(f"pay by {card} now") == "pay by <CREDIT_CARD> now"


@pytest.mark.parametrize("text", ["rura4111 1111 1111 1111", "x3782 822463 10005", "4111-1111-1111-1111exp12/27"])
def test_a_card_in_groups_is_found_whatever_touches_it(text):
    assert "<CREDIT_CARD>" in kinds(text) and "1111" not in kinds(text)


@pytest.mark.parametrize("text", ["4111.1111.1111.1112", "4111\n1111\n1111\n1111", "4111.1111.1111.11114"])
def test_groups_of_digits_that_are_no_card_stay(text):
    assert "<CREDIT_CARD>" not in kinds(text)


@pytest.mark.parametrize(
    "iban",
    ["DE89.3704.0044.0532.0130.00", "DE89_3704_0044_0532_0130_00", "DE 89 3704 0044 0532 0130 00", "DE893 704 0044 0532 0130 00",
     "de89 3704 0044\n0532 0130 00", "GB82 WEST/1234/5698/7654/32"],
)  # fmt: skip
def test_an_iban_is_found_whatever_parts_its_groups(iban):
    assert kinds(f"send to {iban} now") == "send to <IBAN_CODE> now"


@pytest.mark.parametrize("text", ["The side is 160 cm if two of the sides are 40 cm", "up at 10 p.m. and down at 6 a.m. 2:15"])
def test_words_and_numbers_are_no_iban_though_their_check_digits_fit(text):
    assert kinds(text) == text


@pytest.mark.parametrize(
    "address",
    ['"john doe"@example.org', "anna.@example.ne.jp", "anna@[192.168.0.1]", "anna(at)example.com", "anna [at] example [dot] com",
     "anna@उदाहरण.कॉम"],
)  # fmt: skip
def test_a_mail_address_is_found_in_every_form_that_people_write(address):
    assert kinds(f"mail {address} now") == "mail <EMAIL_ADDRESS> now"


def test_a_joiner_behind_a_mail_address_does_not_hide_it():
    assert kinds("anna@example.com\u200d") == "<EMAIL_ADDRESS>"


@pytest.mark.parametrize("sign", ["\u200d", "\u2060", "\ufe0f", "\U000e0020"])
def test_unseen_characters_between_digits_hide_nothing(sign):
    assert (
        kinds(f"card {sign.join('4111111111111111')}, tel {sign.join('+491711234567')}") == "card <CREDIT_CARD>, tel <PHONE_NUMBER>"
    )


def test_digits_on_keycaps_are_digits():
    assert kinds("call " + "".join(f"{digit}\ufe0f\u20e3" for digit in "4155552671") + " now").startswith("call <PHONE_NUMBER>")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("mailto:anna%40example.com", "mailto:<EMAIL_ADDRESS>"),
        ("anna&#64;example.com anna&#x40;example.com anna&commat;example.com", "<EMAIL_ADDRESS> <EMAIL_ADDRESS> <EMAIL_ADDRESS>"),
        (r'{"to": "anna\u0040example.com"}', '{"to": "<EMAIL_ADDRESS>"}'),
        ("?phone=%2B49%20171%201234567&x=1", "?phone=<PHONE_NUMBER>&x=1"),
        ("?user_phone=4155552671&x=1", "?user_phone=<PHONE_NUMBER>&x=1"),
        ("<td>4111&nbsp;1111&nbsp;1111&nbsp;1111</td>", "<td><CREDIT_CARD></td>"),
    ],
)
def test_a_value_is_found_where_its_signs_are_escaped(text, clean):
    assert kinds(text) == clean


def test_spans_lie_where_the_value_stands_in_the_text_as_it_came():
    text = "50%20 off: tel0171 1234567 or anna%40example.com"
    assert {text[span.start : span.end] for span in REDACTOR.spans(text)} >= {"0171 1234567", "anna%40example.com"}


@pytest.mark.parametrize(
    "part",
    [
        "tel1111111",
        "电1",
        "%40",
        "a(at)b.",
        '"a@b',
        "DE11",
        "4111.",
        "1\u200d",
        "a.@",
        "*1",
        "1) ",
        "_1",
        "a:1:",
        "\\n1",
        "ip::a",
        "<at",
    ],
)
def test_reading_a_hostile_text_takes_no_more_than_linear_work(part):
    REDACTOR.redact_each(["tel0171 1234567 of anna%40example.com, 电话13812345678"])
    short, long = (calls(REDACTOR.redact_each, [part * (size // len(part))]) for size in (5_000, 20_000))
    assert long < 5 * short + 1000


def test_a_text_without_escapes_or_touching_values_is_read_as_it_stands():
    text = "My order 4839201 of 2024-01-15 cost 1,250.00 (100 %), see tel. 2 & 3"
    assert part_values(unescape(text)[0])[0] == text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("**0171 2345678** or *(415) 555-2671*", "**<PHONE_NUMBER>** or *<PHONE_NUMBER>*"),
        ("* 0171 2345678\n* 0171 2345679", "* <PHONE_NUMBER>\n* <PHONE_NUMBER>"),
        ("1) 0171 2345678\n2) 0171 2345679", "1) <PHONE_NUMBER>\n2) <PHONE_NUMBER>"),
        ("call (0 30) 1234567 now", "call <PHONE_NUMBER> now"),
        ("_4111111111111111_ and _anna@example.com_", "_<CREDIT_CARD>_ and <EMAIL_ADDRESS>"),
        ("scan_4111111111111111.pdf from host_192.168.10.44", "scan_<CREDIT_CARD>.pdf from host_<IP_ADDRESS>"),
        (r'"a\n4111111111111111\n0171 2345678"', r'"a\n<CREDIT_CARD>\n<PHONE_NUMBER>"'),
        ("x=0171 2345678&y=(415) 555-2671", "x=<PHONE_NUMBER>&y=<PHONE_NUMBER>"),
    ],
)
def test_marks_of_layout_beside_a_value_hide_nothing(text, clean):
    assert kinds(text) == clean


@pytest.mark.parametrize(
    "text", ["source:2001:db8::1", "ip:fe80::1", "ipv6:fe80::1", "2001:db8::1: timed out", "from 2001:db8::1:\nrefused"]
)
def test_a_colon_before_or_behind_an_address_hides_nothing(text):
    assert "<IP_ADDRESS>" in kinds(text) and "::1" not in kinds(text)


@pytest.mark.parametrize(
    "text", ["20*3000000=60000000", "5 * 12345678 * 2", "see 12:30:45: done", "a_2024_01_15 and x_1234567", "f(x)*2"]
)
def test_sums_times_and_names_in_code_stay(text):
    assert kinds(text) == text


@pytest.mark.parametrize("text", ["Seattle, WA 98101-1234", "HP 467 3395 and number 467 3395", "GSM 900 1800 1900 MHz"])
def test_a_word_that_stands_before_numbers_of_any_kind_makes_none_a_phone(text):
    assert kinds(text) == text
