"""Tokens are drawn by their probabilities, the same ones with the same seed, whatever else is in the batch."""

import pytest
import torch

from tasks.serving.generation.sampling import Sampling, TokenDrawer

LOGITS = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))


def draws(count, logits=LOGITS, temperature=1.0, top_p=1.0, seed=0):
    drawer = TokenDrawer(Sampling(temperature, top_p, seed))
    return [drawer.draw_token(logits) for _ in range(count)]


def test_shares_are_those_of_the_logits():
    """10,000 draws: each share within four standard errors, which fails by chance for one seed in 4,000 or so."""
    seen = torch.bincount(torch.tensor(draws(10_000)), minlength=4) / 10_000
    wanted = LOGITS.exp()
    assert ((seen - wanted).abs() < 4 * (wanted * (1 - wanted) / 10_000).sqrt()).all()


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.0, {0}), (0.4, {0}), (0.5, {0}), (0.6, {0, 1}), (0.81, {0, 1, 2}), (1.0, {0, 1, 2, 3})]
)
def test_top_p_keeps_the_likeliest_that_have_so_much_together(top_p, kept):
    assert set(draws(2_000, top_p=top_p)) == kept


def test_a_low_temperature_takes_the_likeliest_however_low_it_is():
    for temperature in (0.01, 1e-6, 1e-300):
        assert set(draws(50, LOGITS.flip(0), temperature)) == {3}


def test_what_is_ruled_out_is_never_drawn():
    assert set(draws(500, torch.tensor([0.0, float("-inf"), 0.0, float("-inf")]))) == {0, 2}


def test_the_same_seed_draws_the_same_and_rounding_of_the_logits_changes_next_to_nothing():
    noisy = LOGITS + torch.tensor([1e-6, -1e-6, 1e-6, -1e-6])
    assert draws(500, seed=3) == draws(500, seed=3) == draws(500, noisy, seed=3) != draws(500, seed=4)
    equal = torch.zeros(1000)  # rounding decides any order of these
    assert draws(200, equal) == draws(200, equal + torch.randn(1000, generator=torch.Generator().manual_seed(1)) * 1e-9)
