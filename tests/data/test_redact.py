"""Personal data become placeholders, and nothing else does."""

import logging
import pickle
import re
import subprocess
import sys

import pytest
from counting import calls
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.schema import PATTERN_ENTITIES
from tasks.data.redaction.placeholders import PLACEHOLDER
from tasks.data.redaction.presidio import recognizer_classes
from tasks.data.redaction.recognizers import pattern_matches
from tasks.data.redaction.redact import Redactor

KEY = b"k" * 32
SHOWN = {
    "EMAIL_ADDRESS": [
        "anna.b@example.com", "a@corp.local", "jos\u00e9@b\u00fccher.de", "frida\uff20example.org",
        "\uff46\uff52\uff49\uff44\uff41@\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45\uff0e\uff43\uff4f\uff4d",
    ],
    "PHONE_NUMBER": ["+44 20 7946 0958", "(212) 555-0123", "00 49 30 901820", "0171/5554329", "+44\u201120\u20117946\u20110958"],
    "CREDIT_CARD": [
        "4111 1111 1111 1111", "2223003122003222", "378282246310005", "3530111333300000", "4111\u20131111\u20131111\u20131111",
        "4111\u20111111\u20111111\u20111111", "4111\u22121111\u22121111\u22121111", "4111  1111  1111  1111",
    ],
    "IBAN_CODE": [
        "DE89 3704 0044 0532 0130 00", "gb82west12345698765432", "DE89\u20133704\u20130044\u20130532\u20130130\u201300",
    ],
    "IP_ADDRESS": ["192.168.10.44", "2001:db8::8a2e:370:7334"],
    "US_SSN": ["123-45-6780", "457\u201355\u20135462"],
    "CRYPTO": ["1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"],
    "MAC_ADDRESS": ["00:1A:2B:3C:4D:5E"],
}  # fmt: skip
PLAIN = [
    "My order 4839201 of 2024-01-15 cost 1,250.00, see pages 2010-2015.",
    "Room 12, chapter 3, 7 of 9, std::vector at 12:30:45.",
    "Ticket 20240115 was closed; version 2.13.0 of 31/12/2025 is out.",
    "Pages 2010\u20132015 and 12\u201314 of 3/4, 1/2 cup at 5/8, section 04/2024 of 1/1234567.",
    "Contact us about invoice 10023345 today.",
    "He took 4000/2000 = <<4000/2000=2>>2 and is out 3000-1200=1800, so 60000 - 10800 = $49200 is left, not $0.75-0.25-0.10.",
]


def redacted(text, **more):
    return Redactor(PATTERN_ENTITIES, KEY, **more).redact([text])[0]


@pytest.mark.parametrize(("entity", "value"), [(e, v) for e, values in SHOWN.items() for v in values])
def test_a_value_is_replaced_by_a_placeholder_of_its_kind(entity, value):
    found = redacted(f"here: {value} thanks")
    assert value not in found and found.startswith(f"here: <{entity}:") and found.endswith("> thanks")


@pytest.mark.parametrize("text", PLAIN)
def test_orders_dates_sums_and_versions_stay(text):
    assert redacted(text) == text


def test_a_number_is_a_phone_where_a_word_of_calling_says_so():
    assert "<PHONE_NUMBER:" in redacted("They are not answering at 467 3395")
    assert redacted("The parts are 467 3395") == "The parts are 467 3395"


def test_equal_values_stay_equal_however_they_are_written_and_others_differ():
    a, b, c = Redactor(PATTERN_ENTITIES, KEY).redact(["4111 1111 1111 1111", "4111-1111-1111-1111", "4012888888881881"])
    assert a == b != c
    x, y = Redactor(PATTERN_ENTITIES, KEY).redact(["mail Anna@Example.com", "mail anna@example.com"])
    assert x == y


@pytest.mark.parametrize("zero", [0xFF10, 0x0660, 0x0966])
@pytest.mark.parametrize("entity", ["CREDIT_CARD", "PHONE_NUMBER", "US_SSN", "IP_ADDRESS"])
def test_a_number_has_one_tag_in_the_digits_of_every_script(entity, zero):
    texts = [f"here: {value} thanks" for value in SHOWN[entity] if not set(value) & set("abcdef")]
    other = [text.translate({48 + n: zero + n for n in range(10)}) for text in texts]
    assert other != texts and FAST.redact(other) == FAST.redact(texts) != texts


def test_another_key_gives_another_tag():
    assert redacted("a@b.com") != Redactor(PATTERN_ENTITIES, b"j" * 32).redact(["a@b.com"])[0]


def test_redacting_twice_changes_nothing_more():
    once = redacted("mail a@b.com or call +44 20 7946 0958")
    assert redacted(once) == once and len(PLACEHOLDER.findall(once)) == 2


def test_overlapping_finds_leave_nothing_standing():
    found = Redactor((*PATTERN_ENTITIES, "URL"), KEY).redact(["see https://example.com/?u=anna@example.com now"])[0]
    assert "anna" not in found and "example" not in found and found.endswith(" now")


@pytest.mark.parametrize(
    "number",
    ["+33.1.42.68.53.00", "+44 4111 1111 1111 1111 22", "+33.1.42.68.53.00.17", "+4111-1111-1111-1111-2", "+44 123-45-6780 12"],
)
def test_nothing_stays_of_a_phone_in_which_another_kind_of_number_matches(number):
    found = redacted(f"call {number} today")
    assert found.startswith("call <PHONE_NUMBER:") and found.endswith("> today") and len(PLACEHOLDER.findall(found)) == 1


def test_numbers_side_by_side_stay_what_they_are():
    found = redacted("192.168.10.44 030 1234567, 4111-1111-1111-1111 +44 20 7946 0958")
    assert re.sub(r":\w+>", ">", found) == "<IP_ADDRESS> <PHONE_NUMBER>, <CREDIT_CARD> <PHONE_NUMBER>"


def test_only_the_named_entities_are_replaced_and_all_are_counted():
    redactor = Redactor(("EMAIL_ADDRESS",), KEY)
    assert redactor.redact(["a@b.com 192.168.10.44", "c@d.org"])[0].endswith("> 192.168.10.44")
    assert redactor.counts == {"EMAIL_ADDRESS": 2}


def test_a_pickled_redactor_does_the_same():
    redactor = Redactor(PATTERN_ENTITIES, KEY)
    expected = redactor.redact(["mail a@b.com"])
    assert pickle.loads(pickle.dumps(redactor)).redact(["mail a@b.com"]) == expected


def test_no_found_value_is_logged(caplog):
    with caplog.at_level(logging.DEBUG):
        for values in SHOWN.values():
            Redactor(PATTERN_ENTITIES, KEY).redact(values)
    assert not any(value in caplog.text for values in SHOWN.values() for value in values)


TOUCHING = [
    "tel",
    "ip",
    "\u7535\u8bdd",
    "%40",
    "&#64;example.com",
    "a (at) b.de",
    "4111.1111.1111.1111",
    "DE89.3704.0044.0532.0130.00",
]
PIECES = st.one_of(
    st.sampled_from([v for values in SHOWN.values() for v in values] + PLAIN + TOUCHING),
    st.text(alphabet="0123456789-. ()+/x@:abcdefABCDEF\u0660\u0663\uff11\uff12\u00a0\n", max_size=30),
    st.text(max_size=8),
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(PIECES, max_size=5), st.sampled_from(["", " ", " call "]))
def test_the_prefilter_hides_nothing_from_the_recognizers(pieces, joint):
    text = joint.join(pieces)
    entities = (*PATTERN_ENTITIES, "URL")
    assert FAST.redact([text]) == SLOW.redact([text]), entities


FAST, SLOW = (Redactor((*PATTERN_ENTITIES, "URL"), KEY, prefilter=on) for on in (True, False))


ANALYZED = {
    kind: made() for kind, made in recognizer_classes(("CREDIT_CARD", "IP_ADDRESS", "US_SSN", "CRYPTO", "MAC_ADDRESS")).items()
}


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(PIECES, max_size=5), st.sampled_from(["", " ", "-"]))
def test_patterns_match_what_presidio_itself_finds_with_them(pieces, joint):
    text = joint.join(pieces)
    for kind, recognizer in ANALYZED.items():
        ours = {(span.start, span.end, span.score) for span in pattern_matches(kind, recognizer)(text)}
        theirs = {(each.start, each.end, each.score) for each in recognizer.analyze(text, [kind], None)}
        assert theirs <= ours, kind
        for start, end, score in ours - theirs:  # it leaves out what lies within another
            assert any(first <= start and end <= last and score <= best for first, last, best in theirs), kind


@pytest.mark.parametrize("hostile", ["a{}@", "{}@x.yz", "{}"])
@pytest.mark.parametrize("part", ["a", "a.b-", "@", "1", "1-", "::"])
def test_a_hostile_text_takes_no_more_than_linear_work(part, hostile):
    redactor = Redactor(PATTERN_ENTITIES, KEY)
    redactor.redact(["call +44 20 7946 0958 or a@b.com"])
    short, long = (calls(redactor.redact, [hostile.format(part * (size // len(part)))]) for size in (5_000, 20_000))
    assert long < 5 * short + 1000  # four times the text; square work would be sixteen times as much


def test_neither_spacy_nor_torch_is_imported_and_presidio_stays_whole():
    code = (
        "import sys; from tasks.data.redaction.redact import Redactor\n"
        "r = Redactor(('EMAIL_ADDRESS', 'PHONE_NUMBER', 'US_SSN'), b'k' * 32)\n"
        "assert 'presidio_analyzer.pattern' not in sys.modules\n"
        "assert '<EMAIL' in r.redact(['a@b.com'])[0]\n"
        "assert not {'spacy', 'torch', 'transformers'} & set(sys.modules), 'heavy'\n"
        "assert not [m for m in sys.modules if m.startswith('presidio_analyzer')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_second_redactor_imports_nothing_anew():
    code = (
        "import gc; from tasks.data.redaction.redact import Redactor\n"
        "made = lambda: [Redactor(('EMAIL_ADDRESS', 'URL'), b'k' * 32).redact(['a@b.com']) for _ in range(3)]\n"
        "made(); gc.collect(); before = len(gc.get_objects())\n"
        "made(); gc.collect(); assert len(gc.get_objects()) - before < 10, len(gc.get_objects()) - before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


COSTLY = [
    *(v for values in SHOWN.values() for v in values), "1", "1 ", "9", "0", "a", "A", "f", "@", ".", ":", "-", "/", "(", ")", "+",
    "x", "~", "#", " ", ", ", "\n", "\u0663", "\u00a0", "2125550123 ", "030 1234567 ", "call ",
    "+33.1.42.68.53.00 ", "www.", "http://", "bc1q", " ext 1",
    "tel", "card", "ip", "\u7535\u8bdd", "%40", "&#64;", "(at)", "DE89", "\u200d", "_", '"',
]  # fmt: skip


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(COSTLY), min_size=1, max_size=8))
def test_no_text_costs_more_than_so_much_a_character(pieces):
    """Calls of functions, of Python's and C's: 45 a character are about 5 ms a kilobyte. What is over its budget is given up."""
    text = "".join(pieces) * (4_000 // len("".join(pieces)))
    EAGER.redact_each([text[:50]])  # what is imported and compiled once
    assert calls(EAGER.redact_each, [text]) <= 60 * len(text)


EAGER = Redactor((*PATTERN_ENTITIES, "URL"), KEY)
EAGER.redact(["call +44 20 7946 0958 or a@b.com, 4111 1111 1111 1111"])
