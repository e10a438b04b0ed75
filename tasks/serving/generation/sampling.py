"""How the next token is drawn: the likeliest one, or a draw that one seed repeats."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Sampling:
    """`temperature` divides the logits, and 0 takes the likeliest token; of the rest, the likeliest that have `top_p` together."""

    temperature: float
    top_p: float
    seed: int


class TokenDrawer:
    """Draws the tokens of one answer, with random numbers of its own."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._random = torch.Generator().manual_seed(sampling.seed)

    @property
    def is_greedy(self) -> bool:
        return self._sampling.temperature == 0

    def draw_token(self, logits: torch.Tensor) -> int:
        """A token, of logits (vocabulary,).

        One uniform number is looked up in the cumulated probabilities, in the order of the vocabulary: rounding that hangs on what
        else is in the batch moves that sum by 1e-7 or so, and changes a token about as rarely. Where logits are equal, an order by
        probability would change many.
        """
        scaled = (logits.double() - logits.max()) / self._sampling.temperature
        shares = torch.softmax(scaled, 0)
        if self._sampling.top_p < 1:
            ordered, places = shares.sort(descending=True, stable=True)
            likelier = ordered.cumsum(0) - ordered
            outside = likelier >= self._sampling.top_p
            outside[0] = False
            shares[places[outside]] = 0
        sums = shares.cumsum(0)
        drawn = torch.rand((), generator=self._random, dtype=torch.float64).to(sums.device) * sums[-1]
        return int(torch.searchsorted(sums, drawn, right=True).clamp(max=len(sums) - 1))
