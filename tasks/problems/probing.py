"""Probes a network by forward passes: does a position see later tokens, how wide is its output, how many positions has it?

Names and settings tell it for listed networks only; a forward pass tells it for every network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from configs.errors import InputError
from tasks.problems.library_errors import REFUSALS, first_line

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel

TOKENS = 7  # of a probe: odd, so that hardly any other dimension of a network is taken for its positions
KEPT = 4  # tokens at its beginning that stay when the rest is changed
NOISE = 1e-5  # of the largest output: what fp32 may differ by where nothing reaches a position
FEW_LAYERS, FEW_TOKENS, NARROW = 2, 512, 128  # of a reduced network
EFFORT = 10**10  # tokens times weights of a pass that takes about a second


@dataclass(frozen=True)
class Probe:
    """`causal`: no position sees a later token; `width`: size of the last dimension of the output; `positions`: None, no limit."""

    causal: bool
    width: int
    positions: int | None


def probe_network(network: nn.Module) -> Probe:
    """Probe a network of token ids by three forward passes over a few tokens; its mode and the random state stay.

    Raises InputError where it does not take token ids with a mask, or its output is no number or the same for all tokens.
    """
    first, second = _probe_texts(network)
    tables = _PositionTables(network)
    was_training = network.training
    network.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            with tables:
                before = _run_network(network, first)
            again, after = _run_network(network, first), _run_network(network, second)
    except REFUSALS as error:
        raise InputError(f"its network does not read token ids with an attention mask ({first_line(error)})") from error
    finally:
        network.train(was_training)
    if not (torch.isfinite(before).all() and torch.isfinite(after).all()):
        raise InputError("its network answers a plain text with values that are no finite numbers: its weights are damaged")
    noise = max(NOISE * float(before.abs().max()), 10 * _largest_difference(before, again))
    if _largest_difference(before[KEPT:], after[KEPT:]) <= noise:
        raise InputError("its network answers all tokens alike: its weights are damaged, or it does not read token ids")
    return Probe(_largest_difference(before[:KEPT], after[:KEPT]) <= noise, int(before.shape[-1]), tables.positions)


def longest_text(network: nn.Module, probe: Probe, most: int) -> int:
    """The most tokens, up to `most`, that a network of this kind reads at once: by its tables, confirmed by passes over as many.

    Where passes would take longer than a moment the tables decide alone.
    """
    limit = most if probe.positions is None else min(most, probe.positions)
    further = min(most, limit + 1)  # a table may grow as it is read
    if further * sum(value.numel() for value in network.parameters()) > EFFORT:
        return limit
    if _can_read(network, further):
        return most if further > limit else limit
    low, high = 0, further  # the longest text lies in [low, high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _can_read(network, middle) else (low, middle)
    return low


def embedding_rows(network: PreTrainedModel) -> int | None:
    """How many tokens a network has embeddings for; None where it computes them."""
    try:
        table = network.get_input_embeddings()
    except NotImplementedError:
        return None
    weight = getattr(table, "weight", None)
    return None if weight is None else int(weight.shape[0])


def reduced_config(config: PretrainedConfig) -> PretrainedConfig:
    """The same kind of network with few layers, tokens and inner units: as causal as the whole, and made in a moment."""
    layers = getattr(config.get_text_config(), "num_hidden_layers", None)

    def smaller(name: str, value: object) -> object:
        match value:
            case dict():
                return {key: smaller(str(key), each) for key, each in value.items()}
            case list() if len(value) == layers and layers > FEW_LAYERS:
                return value[:FEW_LAYERS]
            case bool() | None:
                return value
            case int() if "layer" in name and value == layers:
                return min(value, FEW_LAYERS)
            case int() if name.endswith("vocab_size"):
                return min(value, FEW_TOKENS)
            case int() if name.endswith(("_token_id", "_token_index")):
                return value if value < FEW_TOKENS else 0
            case int() if "intermediate_size" in name or "ffn_dim" in name:
                return min(value, NARROW)
        return value

    return type(config).from_dict(smaller("", config.to_dict()))


def build_reduced(model_class: Any, config: PretrainedConfig) -> nn.Module:
    """A random network of `model_class` in fp32 to probe: reduced, or as it is where its settings cannot be reduced."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            return model_class.from_config(reduced_config(config), dtype=torch.float32)  # type: ignore[no-any-return]
        except REFUSALS:  # settings that depend on one another; a fault of the config itself shows once more
            return model_class.from_config(config, dtype=torch.float32)  # type: ignore[no-any-return]


def _probe_texts(network: PreTrainedModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Two texts (1, TOKENS) that begin alike, of tokens that have no special meaning for the network."""
    rows = embedding_rows(network) or FEW_TOKENS
    settings = network.config.get_text_config().to_dict()
    special = {value for name, value in settings.items() if name.endswith("_token_id") and isinstance(value, int)}
    plain = [token for token in range(rows) if token not in special]
    if len(plain) < 2:
        raise InputError(f"its network has embeddings for {rows} tokens: too few to read a text")
    step = max(1, len(plain) // (2 * TOKENS + 3))
    places = [(3 * number + 2) % TOKENS * step for number in range(TOKENS)]  # not in order: positions are
    other = [*places[:KEPT], *((place + (TOKENS + 1) * step) for place in places[KEPT:])]
    texts = [[plain[place % len(plain)] for place in row] for row in (places, other)]
    if texts[0] == texts[1]:
        texts[1][-1] = next(token for token in plain if token != texts[0][-1])
    return torch.tensor(texts[:1]), torch.tensor(texts[1:])


def _run_network(network: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """(TOKENS, width) hidden states or logits."""
    torch.manual_seed(0)
    ids = ids.to(next(network.parameters()).device)
    outputs = network(input_ids=ids, attention_mask=torch.ones_like(ids))
    values = getattr(outputs, "last_hidden_state", None)
    values = getattr(outputs, "logits", None) if values is None else values
    if values is None or values.ndim != 3 or values.shape[1] != TOKENS:
        raise ValueError("it gives no vector for each token")
    return values[0].float().cpu()  # type: ignore[no-any-return]


def _can_read(network: nn.Module, tokens: int) -> bool:
    few, _ = _probe_texts(network)
    ids = few.repeat(1, -(-tokens // TOKENS))[:, :tokens].to(next(network.parameters()).device)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            network.eval()(input_ids=ids, attention_mask=torch.ones_like(ids))
    except REFUSALS:
        return False
    return True


def _largest_difference(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().max())


@dataclass
class _PositionTables(TorchFunctionMode):
    """Records which of a network's tables are read at consecutive places, one for each token: those are its positions."""

    network: nn.Module
    limits: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        values = [*self.network.parameters(), *self.network.buffers()]
        self.held = {value.untyped_storage().data_ptr() for value in values}

    @property
    def positions(self) -> int | None:
        return min(self.limits, default=None)

    def __torch_function__(
        self, func: Callable[..., object], types: object, args: tuple[object, ...] = (), kwargs: Mapping[str, object] | None = None
    ) -> object:
        match getattr(func, "__name__", ""), args:
            case "embedding", (torch.Tensor() as one, torch.Tensor() as other, *_):
                table, index = (one, other) if one.is_floating_point() else (other, one)
                self._note_lookup(table, 0, index)
            case "index_select" | "gather", (torch.Tensor() as table, int() as dim, torch.Tensor() as index):
                self._note_lookup(table, dim, index)
            case "__getitem__", (torch.Tensor() as table, index):
                for dim, part in enumerate(index if isinstance(index, tuple) else (index,)):
                    self._note_indexing(table, dim, part)
        return func(*args, **(kwargs or {}))

    def _note_indexing(self, table: torch.Tensor, dim: int, part: object) -> None:
        if isinstance(part, torch.Tensor) and dim == 0:
            self._note_lookup(table, 0, part)
        elif isinstance(part, slice) and isinstance(part.stop, int) and part.stop - (part.start or 0) == TOKENS:
            self._note_limit(table, dim, int(part.start or 0))

    def _note_lookup(self, table: torch.Tensor, dim: int, index: torch.Tensor) -> None:
        places = index.squeeze()
        if places.ndim == 2 and bool((places == places[:, :1]).all()):  # one place for the whole row of a table
            places = places[:, 0]
        if index.dtype in (torch.long, torch.int) and places.shape == (TOKENS,) and bool((places.diff() == 1).all()):
            self._note_limit(table, dim, int(places[0]))

    def _note_limit(self, table: torch.Tensor, dim: int, start: int) -> None:
        if dim < table.ndim and table.shape[dim] > TOKENS and table.untyped_storage().data_ptr() in self.held:
            self.limits.append(table.shape[dim] - start)
