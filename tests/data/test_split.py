"""A row's split depends on the row alone."""

import numpy as np

from tasks.data.preparation.split import TEST, VALIDATION, by_hash, by_time, split_position

TEXTS = [f"ticket {i} about something" for i in range(20_000)]


def codes(texts, groups=None, validation=0.1, test=0.2):
    where = [split_position(text, group) for text, group in zip(texts, groups or [None] * len(texts), strict=True)]
    return by_hash(np.array(where), validation, test)


def test_a_row_in_test_today_stays_in_test_tomorrow():
    today, tomorrow = codes(TEXTS[:500]), codes([*TEXTS[500:], *TEXTS[:500]])
    assert (tomorrow[-500:] == today).all()


def test_shares_are_what_was_asked_for():
    share = np.bincount(codes(TEXTS), minlength=3) / len(TEXTS)
    # binomial: 5 standard errors of 20,000 draws, sqrt(0.2 * 0.8 / 20,000) = 0.0028
    assert np.abs(share - [0.7, 0.1, 0.2]).max() < 5 * 0.0029


def test_a_larger_test_share_takes_rows_from_train_only():
    before, after = codes(TEXTS, test=0.2), codes(TEXTS, test=0.3)
    assert (after[before == TEST] == TEST).all() and (after[before == VALIDATION] == VALIDATION).all()


def test_rows_of_a_group_stay_together_and_case_or_spacing_moves_nothing():
    assert len(set(codes(TEXTS[:100], ["anna"] * 100).tolist())) == 1
    assert split_position("My  card", None) == split_position("my card ", None)


def test_the_split_of_version_1_is_this_one():
    assert [round(split_position(text, group), 6) for text, group in (("my card", None), ("my card", "anna"))] == [
        0.922742,
        0.860924,
    ]


def test_the_newest_rows_are_test_and_equal_times_are_not_parted():
    times = np.array([5, 1, 2, 3, 4, 6, 7, 8, 9, 9])
    assert by_time(times, 0.2, 0.2).tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 2, 2]
    times[-3] = 9
    assert by_time(times, 0.0, 0.2).tolist() == [0, 0, 0, 0, 0, 0, 0, 2, 2, 2]
