"""What a snapshot leaves for the next one does not depend on how it was read, and stays small."""

import pandas as pd
import pytest

from expectations.reference import describe_records

FRAME = pd.DataFrame({"text": ["red red blue", "red <PERSON:ab12> green 42", None], "target": ["a", "b", "b"]})


def test_a_reference_is_the_same_however_the_records_are_cut() -> None:
    whole = describe_records([FRAME], labels=True)
    assert whole == describe_records([FRAME[:1], FRAME[1:]], labels=True)
    assert whole.vocabulary == ("red", "blue", "green")
    assert whole.label_shares == pytest.approx({"a": 1 / 3, "b": 2 / 3})


def test_of_too_many_words_the_rarest_go_and_free_text_leaves_no_shares() -> None:
    assert describe_records([FRAME], labels=False, most_words=1) == describe_records([FRAME], labels=False, most_words=1)
    assert describe_records([FRAME], labels=False, most_words=1).vocabulary == ("red",)
    assert describe_records([FRAME], labels=False).label_shares == {}
