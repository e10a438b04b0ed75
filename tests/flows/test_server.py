"""The Prefect server that Tunekeeper keeps: one per home, each at a port of its own."""

from __future__ import annotations

import pytest

from configs.errors import InfraError
from flows.server import _listen


def test_of_two_that_want_one_port_the_second_takes_another_or_says_that_it_cannot() -> None:
    with _listen([0]) as first:
        wanted = first.getsockname()[1]
        with _listen([wanted, 0]) as second:
            assert second.getsockname()[1] != wanted
        with pytest.raises(InfraError, match=f"{wanted}.*is free"):
            _listen([wanted])
    with _listen([wanted, 0]) as again:
        assert again.getsockname()[1] == wanted
