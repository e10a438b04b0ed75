"""What is told of a text without a network."""

import math

from tasks.data.text_stats import UNSURE, text_stats


def test_each_text_has_its_length_its_language_and_its_share_of_new_words():
    asked = []

    def language_of(text):
        asked.append(text)
        return "en"

    texts = ["the card was lost in the mail today", "the card was lost in the mail today", "zebra card", "", "12 34"]
    found = text_stats(texts, ["the", "card", "was", "lost", "in", "mail", "today"], language_of)
    assert found["length"].tolist() == [8, 8, 2, 0, 2]
    assert found["language"].tolist() == ["en", "en", UNSURE, UNSURE, UNSURE] and len(asked) == 1
    assert found["vocabulary"].tolist()[:3] == [0, 0, 0.5] and math.isnan(found["vocabulary"][3]) and found["vocabulary"][4] == 1
    assert found["missing"].tolist() == [False, False, False, True, False]
