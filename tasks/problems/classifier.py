"""A network with a head over classes: an encoder, the pooling that its base was trained to, one linear layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from configs.errors import InputError
from tasks.data.text_parts import MARK, split_parts
from tasks.problems.padding import batches_by_length, pad_tokens

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from transformers.modeling_outputs import BaseModelOutput

    from tasks.problems.types import Autocast, Example

Pooling = Literal["mean", "first", "last", "max", "pooler"]
SURE = 1e-7  # the least doubt that a focal loss reckons with: at none its slope has no end
HEAD = "head"  # the parameters that start from nothing, and so learn faster


def build_classifier(encoder: nn.Module, hidden_size: int, labels: int, pooling: Pooling) -> nn.Module:
    """An encoder with a fresh head of shape (labels, hidden_size); the caller seeds."""
    from torch import nn

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder
            self.head = nn.Linear(hidden_size, labels)
            nn.init.normal_(self.head.weight, std=0.02)
            nn.init.zeros_(self.head.bias)
            self.pooling = pooling

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: object) -> dict[str, torch.Tensor]:
            return {"logits": self.head(self.embed(input_ids, attention_mask)).float()}

        def embed(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            outputs = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
            return pool_tokens(outputs, attention_mask, self.pooling)

    return Classifier()


def pool_tokens(outputs: BaseModelOutput, attention_mask: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """One vector a row, (batch, hidden), from (batch, tokens, hidden); padding, on the right, is left out."""
    import torch

    if pooling == "pooler":
        pooled: torch.Tensor = outputs.pooler_output
        return pooled
    hidden = outputs.last_hidden_state
    if pooling == "first":
        return hidden[:, 0]  # type: ignore[no-any-return]
    if pooling == "last":
        return hidden[range(len(hidden)), attention_mask.sum(1) - 1]  # type: ignore[no-any-return]
    if pooling == "max":
        beside = attention_mask.unsqueeze(-1) == 0
        return hidden.masked_fill(beside, -torch.inf).amax(1).nan_to_num(neginf=0.0)  # type: ignore[no-any-return]
    mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)  # type: ignore[no-any-return]


def load_encoder(path: Path, pooling: Pooling | None) -> tuple[nn.Module, int, Pooling]:
    """The base without its language-model head, the width of its output, and how to pool it.

    Of an encoder-decoder it is the encoder. `pooling` is the base's own setting; where it has none, the network is
    probed. One that sees no later token pools its last token, which has seen all others. One that sees them pools as it was
    trained to: by its pooler, if the base holds weights for it (else it would be random); by its first token, if that is a mark
    of its tokenizer made for this; else, as the encoder of an encoder-decoder, which is read at all positions, by their mean.
    Raises InputError where the network does not read texts.
    """
    from tasks.problems.probing import probe_network

    network, info = _load(path)
    encoder = network.get_encoder() if network.config.is_encoder_decoder else network
    try:
        probe = probe_network(encoder)
    except InputError as error:
        raise InputError(f"model.base {path}: {error}: name another base") from None
    has_pooler = getattr(encoder, "pooler", None) is not None
    if pooling is None:
        trained = has_pooler and not any(name.startswith("pooler.") for name in info["missing_keys"])
        pooling = unsaid_pooling(
            causal=probe.causal, pooler=trained, first=encoder is network and marks_first_token(_tokenizer(path))
        )
    if has_pooler and pooling != "pooler":
        encoder.pooler = None  # unused weights would be adapted, stored and decayed for nothing
    return encoder, probe.width, pooling


def unsaid_pooling(*, causal: bool, pooler: bool, first: bool) -> Pooling:
    """The pooling of a base that names none; `pooler` and `first`: it has a trained one."""
    return "last" if causal else "pooler" if pooler else "first" if first else "mean"


def load_earlier_encoder(path: Path, pooling: str | None) -> tuple[nn.Module, int, Pooling]:
    """As `load_encoder` was when networks were stored without their pooling: those keep what their weights were trained with."""
    encoder, _ = _load(path)
    has_pooler = getattr(encoder, "pooler", None) is not None
    is_decoder = encoder.config.model_type in ("gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma", "phi")  # of that rule
    default: Pooling = "pooler" if has_pooler else "last" if is_decoder else "first"
    pooled: Pooling = "mean" if pooling == "mean" else "first" if pooling == "first" else default
    if has_pooler and pooled != "pooler":
        encoder.pooler = None
    return encoder, int(encoder.config.hidden_size), pooled


def marks_first_token(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a tokenizer puts a special token of its own before every text, as [CLS]."""
    whole, bare = tokenizer("a")["input_ids"], tokenizer("a", add_special_tokens=False)["input_ids"]
    return bool(whole) and whole[0] in tokenizer.all_special_ids and whole[1 : 1 + len(bare)] == bare


def _load(path: Path) -> tuple[PreTrainedModel, dict[str, list[str]]]:
    """The whole network in fp32, and transformers' report on the weights that it loaded."""
    import torch
    from transformers import AutoModel

    network, info = AutoModel.from_pretrained(
        path, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32, output_loading_info=True
    )
    return network, info


def _tokenizer(path: Path) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)


def load_classifier(path: Path, pad_id: int) -> nn.Module:
    """A model with the head that it was fine-tuned with, as `save_pretrained` wrote both; `forward` and `embed` as a classifier's.

    A row's vector is the mean over its tokens. There is no unpadded way through it, as its own head may read any position.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    network = AutoModelForSequenceClassification.from_pretrained(
        path, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
    )
    if network.config.pad_token_id is None:  # a decoder finds a row's last token by it
        network.config.pad_token_id = pad_id

    class OwnHead(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.encoder = network.base_model
            self.pooling = "own"

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: object) -> dict[str, torch.Tensor]:
            return {"logits": self.network(input_ids=input_ids, attention_mask=attention_mask).logits.float()}

        def embed(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return pool_tokens(self.encoder(input_ids=input_ids, attention_mask=attention_mask), attention_mask, "mean")

    return OwnHead()


def encode_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Token ids of each text, cut at `max_length`; of two texts side by side the longer one is cut first."""
    if any(MARK in text for text in texts):
        return _encode_pairs(tokenizer, texts, max_length)
    ids: list[list[int]] = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]
    return ids


def _encode_pairs(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """With the tokenizer's own mark between two texts, or a new line where it has none."""
    if tokenizer.num_special_tokens_to_add(pair=True) <= tokenizer.num_special_tokens_to_add(pair=False):
        return encode_texts(tokenizer, ["\n".join(split_parts(text)) for text in texts], max_length)
    firsts, others = zip(*((parts[0], "\n".join(parts[1:])) for parts in map(split_parts, texts)), strict=True)
    ids: list[list[int]] = tokenizer(list(firsts), list(others), truncation="longest_first", max_length=max_length)["input_ids"]
    return ids


def collate_rows(pad_id: int) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
    """Rows of token ids -> one padded batch, as long as its longest row."""
    import torch

    def batch(rows: list[Example]) -> dict[str, torch.Tensor]:
        padded = pad_tokens([row["input_ids"] for row in rows], pad_id)
        return padded | ({"labels": torch.tensor([row["labels"] for row in rows])} if "labels" in rows[0] else {})

    return batch


def cross_entropy_loss(weights: torch.Tensor | None, smoothing: float, focal_gamma: float = 0.0) -> Callable[..., torch.Tensor]:
    """Cross-entropy summed over rows and divided by the rows of the whole accumulated batch.

    With `focal_gamma` each row counts by (1 - p) to its power, p the probability of its class (Lin et al. 2017, arXiv:1708.02002).
    """
    from torch.nn.functional import cross_entropy

    def compute(
        outputs: dict[str, torch.Tensor], labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        logits = outputs["logits"]
        scale = None if weights is None else weights.to(logits.device)
        if focal_gamma:
            each = cross_entropy(logits, labels, reduction="none")
            each = each * (-each.neg().expm1()).clamp(min=SURE) ** focal_gamma  # 1 - p
            rows = (each if scale is None else each * scale[labels]).sum()
        else:
            rows = cross_entropy(logits, labels, weight=scale, label_smoothing=smoothing, reduction="sum")
        return rows / (len(labels) if num_items_in_batch is None else num_items_in_batch)

    return compute


def run_in_batches(
    model: nn.Module, ids: Sequence[Sequence[int]], pad_id: int, batch_size: int, autocast: Autocast, *, embeddings: bool = False
) -> npt.NDArray[np.float32]:
    """Logits (n, labels) or pooled embeddings (n, hidden) of token id rows, in the order given; longest rows first."""
    import torch

    device, rows = next(model.parameters()).device, [{"input_ids": row} for row in ids]
    out: npt.NDArray[np.float32] | None = None
    model.eval()
    with torch.inference_mode():
        for places, batch in batches_by_length(rows, collate_rows(pad_id), batch_size, device):
            with autocast():
                values = model.embed(**batch) if embeddings else model(**batch)["logits"]  # type: ignore[operator]
            values = values.float().cpu().numpy()
            out = np.empty((len(ids), values.shape[1]), np.float32) if out is None else out
            out[places] = values
    return np.empty((0, 0), np.float32) if out is None else out
