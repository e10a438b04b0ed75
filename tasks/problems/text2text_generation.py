"""text2text-generation: an encoder-decoder that reads one text and writes another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.schema import Supervised
from tasks.problems import seq2seq
from tasks.problems.baselines import written
from tasks.problems.likelihood import log_likelihoods
from tasks.problems.text_writer import TextWriter
from tasks.problems.types import Adapt, Autocast, EncodedRows, Example, Floats, Loss, Network, Spec, Writing

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel

    from tasks.problems.probing import Probe


class Text2TextGeneration(TextWriter):
    """Sources in, targets out; targets may have a tokenizer of their own."""

    task_type = "SEQ_2_SEQ_LM"
    base_class = finetuned_class = "AutoModelForSeq2SeqLM"
    finetuned_table = "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES"
    decodes_base = True
    wanted_network = (
        "text2text-generation needs an encoder-decoder with a head that writes, and this network is none: name a base such as "
        "BART, T5 or Pegasus, or set problem: text-generation for one that continues texts"
    )

    def load_tokenizer(self, base: Path, target_tokenizer: str, languages: tuple[str, ...] = ()) -> seq2seq.PairedTokenizer:
        return seq2seq.read_tokenizers(base, target_tokenizer, languages)

    def check_languages(self, base: Path, target_tokenizer: str, languages: tuple[str, ...]) -> None:
        """The token that a target begins with has to be known too."""
        self.load_tokenizer(base, target_tokenizer, languages)

    def build_model(self, spec: Spec, base: Path, tokenizer: seq2seq.PairedTokenizer, adapt: Adapt) -> tuple[nn.Module, Spec]:
        return adapt(seq2seq.load_seq2seq(base)), spec

    def outline_model(self, spec: Spec, config: PretrainedConfig, adapt: Adapt) -> nn.Module:
        import torch
        from transformers import AutoModelForSeq2SeqLM

        return adapt(AutoModelForSeq2SeqLM.from_config(config, dtype=torch.float32))

    def probed_part(self, model: PreTrainedModel) -> PreTrainedModel:
        return model.get_encoder()

    def accepts_config(self, config: PretrainedConfig) -> bool:
        return bool(config.is_encoder_decoder)

    def check_probe(self, name: str, base: Path, probe: Probe) -> None:
        """Any encoder will do."""

    def model_logits(self, model: PreTrainedModel, ids: torch.Tensor) -> Any:
        start = ids.new_full(ids.shape, model.config.decoder_start_token_id or 0)  # any will do
        return model(input_ids=ids, attention_mask=ids.new_ones(ids.shape), decoder_input_ids=start).logits

    def encode_rows(self, tokenizer: seq2seq.PairedTokenizer, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        return seq2seq.encode_pairs(tokenizer, rows, spec.max_length)

    def collator(self, network: Network) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
        return seq2seq.collate_pairs(network.tokenizer)

    def loss_of(self, network: Network, rows: EncodedRows, objective: Supervised) -> Loss:
        return seq2seq.token_loss(objective.label_smoothing)

    def log_likelihoods(self, network: Network, examples: list[Example], batch_size: int, autocast: Autocast) -> Floats:
        return log_likelihoods(network.model, examples, self.collator(network), batch_size, autocast, shifted=False)

    def write_answers(self, network: Network, texts: Sequence[str], writing: Writing, batch_size: int) -> list[str]:
        return seq2seq.write_targets(network, texts, writing, batch_size)

    def written_baselines(self, train: pd.DataFrame, test: pd.DataFrame, new_tokens: int) -> tuple[written.WrittenBaseline, ...]:
        """What was read, as it is."""
        return (written.copied_source(test["text"].tolist(), new_tokens),)

    def target_tokens(self, example: Example) -> list[int]:
        return list(example["labels"])

    def vocabulary_size(self, tokenizer: seq2seq.PairedTokenizer) -> int:
        return len(tokenizer.target)
