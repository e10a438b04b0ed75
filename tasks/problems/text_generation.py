"""text-generation: a decoder that continues a prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from configs.schema import Supervised
from tasks.problems import decoder
from tasks.problems.conversations import encode_conversations
from tasks.problems.likelihood import log_likelihoods
from tasks.problems.padding import IGNORED
from tasks.problems.text_writer import TextWriter
from tasks.problems.types import Adapt, Autocast, EncodedRows, Example, Floats, Network, Spec, Writing

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedTokenizerBase, Trainer

    from tasks.problems.probing import Probe


class TextGeneration(TextWriter):
    """Prompts in, completions out."""

    task_type = "CAUSAL_LM"
    base_class = finetuned_class = "AutoModelForCausalLM"
    finetuned_table = "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"
    is_causal = True
    wanted_network = (
        "text-generation needs a causal decoder, and a position of this network sees the tokens after it: name a base that was "
        "trained to continue texts (GPT-2, Llama, Qwen, ...)"
    )

    def build_model(self, spec: Spec, base: Path, tokenizer: PreTrainedTokenizerBase, adapt: Adapt) -> tuple[nn.Module, Spec]:
        return adapt(decoder.load_decoder(base)), spec

    def outline_model(self, spec: Spec, config: PretrainedConfig, adapt: Adapt) -> nn.Module:
        import torch
        from transformers import AutoModelForCausalLM

        return adapt(AutoModelForCausalLM.from_config(config, dtype=torch.float32))

    def accepts_config(self, config: PretrainedConfig) -> bool:
        return not config.is_encoder_decoder

    def check_probe(self, name: str, base: Path, probe: Probe) -> None:
        if not probe.causal:
            raise self.refuse_network(name)

    def encode_rows(self, tokenizer: PreTrainedTokenizerBase, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        if spec.messages:
            return encode_conversations(tokenizer, rows, spec.max_length, earlier=True)
        return decoder.encode_completions(tokenizer, rows, spec.max_length)

    def encode_answers(self, tokenizer: PreTrainedTokenizerBase, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        if spec.messages:
            return encode_conversations(tokenizer, rows, spec.max_length, earlier=False)
        return decoder.encode_completions(tokenizer, rows, spec.max_length)

    def collator(self, network: Network) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
        return decoder.collate_rows(network.pad_id)

    def make_trainer(
        self,
        network: Network,
        rows: EncodedRows,
        objective: Supervised,
        settings: dict[str, object],
        extend: Callable[[type[Trainer]], type[Trainer]],
    ) -> Trainer:
        """TRL's supervised trainer over rows that are tokenized already, so that training and scoring see the same tokens."""
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer

        tokenizer = network.tokenizer
        prepared = {"dataset_kwargs": {"skip_prepare_dataset": True}, "max_length": network.spec.max_length, "packing": False}
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        return extend(SFTTrainer)(
            model=network.model,
            args=SFTConfig(**settings, **prepared, label_smoothing_factor=objective.label_smoothing, gradient_checkpointing=False),
            train_dataset=Dataset.from_list(rows.train),
            eval_dataset=Dataset.from_list(rows.held_out) if rows.held_out else None,
            processing_class=tokenizer,
            data_collator=self.collator(network),
        )

    def log_likelihoods(self, network: Network, examples: list[Example], batch_size: int, autocast: Autocast) -> Floats:
        return log_likelihoods(network.model, examples, self.collator(network), batch_size, autocast, shifted=True)

    def write_answers(self, network: Network, texts: Sequence[str], writing: Writing, batch_size: int) -> list[str]:
        return decoder.generate_answers(network, texts, writing, batch_size)

    def target_tokens(self, example: Example) -> list[int]:
        return [token for token in example["labels"] if token != IGNORED]

    def vocabulary_size(self, tokenizer: PreTrainedTokenizerBase) -> int:
        return len(tokenizer)
