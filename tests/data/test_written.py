"""Values that cells write out: as JSON, as Python and as NumPy do."""

import pytest

from tasks.data.written import read_written


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('["a", null]', ["a", None]),
        ("['a', None]", ["a", None]),
        ("['a' 'b'\n 'c']", ["a", "b", "c"]),
        ("['a' \"b's\"]", ["a", "b's"]),
        ("[1 0 1]", [1, 0, 1]),
        ("[[0 3] [4 5]]", [[0, 3], [4, 5]]),
        ("[{'of': 'say \"x\" \"y\"'}\n {'of': 'gpt'}]", [{"of": 'say "x" "y"'}, {"of": "gpt"}]),
        ("{'text': array(['art'], dtype=object), 'start': array([25], dtype=int32)}", {"text": ["art"], "start": [25]}),
        ("{'a', 'b'}", {"a", "b"}),
    ],
)  # fmt: skip
def test_a_written_value_is_read(text, value):
    assert read_written(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "['a' ... 'b']",
        "['a', ...]",
        "[a, b]",
        "open('x')",
        "array(1, 2)",
        "['a\nb' 'c']",
        "[" * 3000,
        "[1.5 -2]",
        "a\0b",
        "",
        "[\\",
    ],
)
def test_what_writes_no_whole_value_is_refused(text):
    with pytest.raises(ValueError, match="no value"):
        read_written(text)
