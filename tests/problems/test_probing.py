"""What a network is, is found by asking it, whatever its name: direction, width, positions."""

import pytest
import torch
import transformers as hf

from configs.errors import InputError
from tasks.problems.probing import build_reduced, longest_text, probe_network, reduced_config

SHAPE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 60}
MARKS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
GROUPED = {**SHAPE, **MARKS, "num_key_value_heads": 2}
GPT = {"n_embd": 32, "n_layer": 3, "n_head": 2, "vocab_size": 60, **MARKS}
CAUSAL = {
    "gpt_neox": (hf.GPTNeoXConfig, {**SHAPE, **MARKS, "max_position_embeddings": 64}, None),
    "gemma2": (hf.Gemma2Config, {**GROUPED, "head_dim": 16}, None),
    "opt": (hf.OPTConfig, {**SHAPE, **MARKS, "ffn_dim": 64, "word_embed_proj_dim": 32, "max_position_embeddings": 64}, 64),
    "phi3": (hf.Phi3Config, GROUPED, None),
    "gpt2": (hf.GPT2Config, {**GPT, "n_positions": 64}, 64),
    "bloom": (hf.BloomConfig, {"hidden_size": 32, "n_layer": 3, "n_head": 2, "vocab_size": 60, **MARKS}, None),
    "falcon": (hf.FalconConfig, {**SHAPE, **MARKS}, None),
    "mixtral": (hf.MixtralConfig, {**GROUPED, "num_local_experts": 2}, None),
    "mamba": (hf.MambaConfig, {"hidden_size": 32, "num_hidden_layers": 3, "vocab_size": 60, **MARKS}, None),
    "codegen": (hf.CodeGenConfig, {**GPT, "n_head": 4, "rotary_dim": 8, "n_positions": 64}, 64),
}
SEES_ALL = {
    "bert": (hf.BertConfig, {**SHAPE, "max_position_embeddings": 64}, 64),
    "roberta": (hf.RobertaConfig, {**SHAPE, **MARKS, "pad_token_id": 1, "max_position_embeddings": 66}, 64),
    "electra": (hf.ElectraConfig, {**SHAPE, "embedding_size": 32, "max_position_embeddings": 48}, 48),
    "modernbert": (hf.ModernBertConfig, {**SHAPE, **MARKS, "cls_token_id": 2, "sep_token_id": 3}, None),
    "deberta": (hf.DebertaV2Config, {**SHAPE, "max_position_embeddings": 64}, 64),
    "gemma3": (hf.Gemma3TextConfig, {**GROUPED, "head_dim": 16, "use_bidirectional_attention": True}, None),
}


def network(config, settings):
    torch.manual_seed(0)
    return hf.AutoModel.from_config(config(**settings))


@pytest.mark.parametrize("name", CAUSAL)
def test_a_network_that_sees_no_later_token_is_causal_whatever_its_name(name):
    config, settings, positions = CAUSAL[name]
    asked = probe_network(network(config, settings))
    assert (asked.causal, asked.width, asked.positions) == (True, 32, positions)


@pytest.mark.parametrize("name", SEES_ALL)
def test_a_network_that_sees_later_tokens_is_not_causal_whatever_its_name(name):
    config, settings, positions = SEES_ALL[name]
    asked = probe_network(network(config, settings))
    assert (asked.causal, asked.width, asked.positions) == (False, 32, positions)


@pytest.mark.parametrize("name", [*CAUSAL, *SEES_ALL])
def test_a_reduced_network_answers_as_the_whole_one(name):
    config, settings, _ = {**CAUSAL, **SEES_ALL}[name]
    deep = config(**{key: 6 if value == 3 and "layer" in key else value for key, value in settings.items()})
    small = build_reduced(hf.AutoModel, deep)
    assert reduced_config(deep).num_hidden_layers == 2
    assert probe_network(small) == probe_network(hf.AutoModel.from_config(deep))


@pytest.mark.parametrize("config", [hf.T5Config, hf.BartConfig])
def test_the_encoder_of_an_encoder_decoder_sees_later_tokens(config):
    import tiny

    settings = tiny.T5 if config is hf.T5Config else tiny.BART
    asked = probe_network(network(config, {**settings, **MARKS, "vocab_size": 60}).get_encoder())
    assert (asked.causal, asked.width, asked.positions) == (False, 32, None if config is hf.T5Config else 64)


def test_asking_changes_neither_mode_nor_random_state():
    model = network(*CAUSAL["gpt2"][:2]).train()
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    probe_network(model)
    assert model.training and torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("positions", [True, False])
def test_the_longest_text_is_what_the_network_reads_at_once(positions):
    name = "roberta" if positions else "gpt_neox"
    config, settings, _ = {**CAUSAL, **SEES_ALL}[name]
    model = network(config, settings)
    asked = probe_network(model)
    assert longest_text(model, asked, 32) == 32
    assert longest_text(model, asked, 128) == (64 if positions else 128)
    model.eval()(input_ids=torch.full((1, 64), 7))
    if positions:
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=torch.full((1, 65), 7))


def test_positions_that_grow_as_they_are_read_are_no_limit():
    shape = {"d_model": 32, "num_layers": 2, "attention_heads": 2, "ffn_dim": 64, "vocab_size": 60}
    model = network(hf.XGLMConfig, {**shape, **MARKS, "max_position_embeddings": 16})
    assert longest_text(model, probe_network(model), 40) == 40


def test_a_limit_that_no_table_shows_is_found_by_reading():
    model = network(*SEES_ALL["bert"][:2])
    asked = probe_network(model)
    assert longest_text(model, type(asked)(asked.causal, asked.width, None), 500) == 64


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda model: torch.nn.init.constant_(model.encoder.layer[0].output.dense.weight, torch.nan), "no finite numbers"),
        (lambda model: torch.nn.init.zeros_(model.encoder.layer[1].output.LayerNorm.weight), "all tokens alike"),
    ],
)
def test_damaged_weights_are_told(break_it, says):
    model = network(*SEES_ALL["bert"][:2])
    break_it(model)
    with pytest.raises(InputError, match=says):
        probe_network(model)


def test_a_network_of_images_reads_no_text():
    model = network(hf.ViTConfig, {key: value for key, value in SHAPE.items() if key != "vocab_size"})
    with pytest.raises(InputError, match="does not read token ids"):
        probe_network(model)
