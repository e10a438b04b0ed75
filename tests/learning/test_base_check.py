"""A base that cannot work is refused with setting and remedy, from its files and a small network of its kind."""

import json
import shutil
import subprocess
import sys

import pytest
import tiny
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from configs.errors import InputError
from configs.schema import Full, Lora
from tasks.common.bases import Base, find_base
from tasks.learning.base_check import check_base

CLASSIFY, WRITE = "text-classification", "text-generation"
GROUPED = {"num_key_value_heads": 2, "head_dim": 16}


def check(folder, problem=CLASSIFY, max_length=32, adapter=None):
    return check_base(find_base(str(folder)), problem, max_length, adapter or Lora(r=2))


def refused(folder, says, **settings):
    with pytest.raises(InputError, match=says):
        check(folder, **settings)


def edit(file, **values):
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def reweigh(folder, change):
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


@pytest.fixture
def bert(bert_folder, tmp_path):
    return shutil.copytree(bert_folder, tmp_path / "bert")


@pytest.fixture
def llama(llama_folder, tmp_path):
    return shutil.copytree(llama_folder, tmp_path / "llama")


# --- what works -------------------------------------------------------------------------------------------------------------


def test_bases_that_work_pass(bert_folder, llama_folder):
    assert check(bert_folder) == check(bert_folder, adapter=Full()) == check(llama_folder) == ()
    assert check(llama_folder, WRITE, 64) == ()


@pytest.mark.parametrize(
    ("model", "config", "settings"),
    [
        (hf.T5ForConditionalGeneration, hf.T5Config, tiny.T5),
        (hf.BartForConditionalGeneration, hf.BartConfig, tiny.BART),
        (hf.GPTNeoXForCausalLM, hf.GPTNeoXConfig, {"max_position_embeddings": 64}),
        (hf.Gemma2ForCausalLM, hf.Gemma2Config, GROUPED),
        (hf.RobertaForMaskedLM, hf.RobertaConfig, {"max_position_embeddings": 66}),  # without a pooler
        (hf.GPT2LMHeadModel, hf.GPT2Config, {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}),
    ],
)
def test_encoders_decoders_and_encoder_decoders_can_classify(tmp_path, model, config, settings):
    assert check(tiny.base(tmp_path, model, config, wrap=config is hf.RobertaConfig, **settings)) == ()


def test_weights_in_shards_pass_as_one_file_does(bert, tmp_path):
    model = hf.AutoModel.from_pretrained(bert)
    (bert / "model.safetensors").unlink()
    model.save_pretrained(bert, max_shard_size="20KB")
    assert len(list(bert.glob("model-*.safetensors"))) > 1
    assert check(bert) == ()


def test_a_base_of_any_size_is_checked_without_its_values(tmp_path):
    config = hf.LlamaConfig(hidden_size=512, intermediate_size=4096, num_hidden_layers=64, num_attention_heads=8, vocab_size=50_000)
    tiny.tokenizer(tmp_path, wrap=False)
    config.save_pretrained(tmp_path)
    with torch.device("meta"):
        shapes = {name: list(value.shape) for name, value in hf.AutoModelForCausalLM.from_config(config).named_parameters()}
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        size = 2 * torch.Size(shape).numel()
        header[name], end = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}, end + size
    encoded = json.dumps(header).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        file.truncate(8 + len(encoded) + end)  # a hole: reading it would give zeros, which no network answers with
    assert check_base(Base("big", tmp_path, "", "", 0), WRITE, 512, Lora()) == ()


def test_positions_beyond_those_it_was_made_for_are_told_where_the_network_reads_them(llama_folder):
    (notice,) = check(llama_folder, max_length=128)
    assert "model.max_length 128 is beyond the 64 tokens" in notice


# --- direction --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "config", "settings"),
    [
        (hf.BertModel, hf.BertConfig, {}),
        (hf.RobertaModel, hf.RobertaConfig, {}),
        (hf.T5ForConditionalGeneration, hf.T5Config, tiny.T5),
        (hf.BartForConditionalGeneration, hf.BartConfig, tiny.BART),
    ],
)
def test_what_sees_the_future_writes_no_text(tmp_path, model, config, settings):
    refused(tiny.base(tmp_path, model, config, wrap=False, **settings), "needs a causal decoder.*name a base", problem=WRITE)


def test_a_causal_network_cannot_pool_its_first_token(llama):
    (llama / "1_Pooling").mkdir()
    (llama / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    refused(llama, "all texts would be alike: set pooling_mode_lasttoken")
    (llama / "1_Pooling" / "config.json").write_text('{"pooling_mode_lasttoken": true}')
    assert check(llama) == ()


# --- positions, adapter -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("config", "positions"), [(hf.BertConfig, 64), (hf.RobertaConfig, 63)])
def test_more_tokens_than_positions_are_refused_with_the_most_there_can_be(tmp_path, config, positions):
    model = hf.BertModel if config is hf.BertConfig else hf.RobertaModel
    folder = tiny.base(tmp_path, model, config, wrap=True, max_position_embeddings=64)
    refused(folder, f"model.max_length 128: .* for {positions} tokens: set model.max_length={positions} or less", max_length=128)
    assert check(folder, max_length=positions) == ()


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        (("query", "no_such"), "no_such names no module of .*: its linear layers are .*query"),
        (("LayerNorm",), "not to be had with .*query"),
        ("quer", "not to be had with"),
        ("(", "not to be had with"),
        (("pooler.dense",), "pooler.dense names no module"),  # the base pools by means, so its pooler is dropped
    ],
)
def test_targets_of_lora_that_match_nothing_are_refused_with_what_there_is(bert_folder, targets, says):
    refused(bert_folder, f"adapter.target_modules.*{says}", adapter=Lora(target_modules=targets))


@pytest.mark.parametrize("targets", ["all-linear", ("query",), ("layer.1.output.dense",), r".*\.(key|value)"])
def test_targets_of_lora_that_match_something_pass(bert_folder, targets):
    assert check(bert_folder, adapter=Lora(r=2, target_modules=targets)) == ()


# --- files ------------------------------------------------------------------------------------------------------------------


def test_a_truncated_file_is_refused_with_its_size(bert):
    file = bert / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    refused(bert, "model.safetensors has .* bytes where its header announces")
    file.write_bytes(file.read_bytes()[:5])
    refused(bert, "no whole safetensors file")
    file.write_bytes(b"")
    refused(bert, "no whole safetensors file")
    file.write_bytes((8).to_bytes(8, "little") + b"no json!")
    refused(bert, "no readable header")


def test_a_missing_shard_or_index_is_named(bert):
    model = hf.AutoModel.from_pretrained(bert)
    (bert / "model.safetensors").unlink()
    model.save_pretrained(bert, max_shard_size="20KB")
    shard = sorted(bert.glob("model-*.safetensors"))[1]
    held = shard.read_bytes()
    shard.unlink()
    refused(bert, rf"{shard.name} of \d+ shards are missing in")
    save_file({"other": torch.zeros(1)}, shard)
    refused(bert, rf"{shard.name} lacks .*, which model.safetensors.index.json places there")
    shard.write_bytes(held)
    (bert / "model.safetensors.index.json").unlink()
    refused(bert, "neither model.safetensors nor model.safetensors.index.json")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{not json", "config.json is no JSON .*line 1, column 2"),
        ("[]", "config.json holds no JSON object"),
        ("{}", "names no model_type"),
        ('{"model_type": "nobody_has_this"}', "does not know its model_type nobody_has_this"),
        ('{"model_type": "own", "auto_map": {"AutoConfig": "configuration_own.OwnConfig"}}', "code of its own, which is not run"),
    ],
)
def test_a_config_that_cannot_be_read_is_refused(bert, content, says):
    (bert / "config.json").write_text(content)
    refused(bert, says)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"quantization_config": {"quant_method": "gptq", "bits": 4}},
            r"quantized \(gptq\).*name the base that they were made from",
        ),
        ({"pad_token_id": 99}, "pad_token_id 99 and vocab_size 45"),
        ({"num_attention_heads": 7}, "describes no network"),
        ({"num_hidden_layers": 3}, "weights lack encoder.layer.2.*would start at random"),
        ({"num_hidden_layers": 1}, "weights hold encoder.layer.1.*more layers than its config.json"),
        ({"intermediate_size": 48}, "as 64x?.*config.json makes it 48"),
        ({"model_type": "vit"}, "its network does not read token ids"),
    ],
)
def test_a_config_that_does_not_fit_the_weights_is_refused(bert, values, says):
    edit(bert / "config.json", **values)
    refused(bert, says)


def test_weights_that_would_start_at_random_are_refused_but_for_a_pooler(bert, llama):
    reweigh(bert, lambda held: {name: value for name, value in held.items() if not name.startswith("pooler.")})
    assert check(bert) == ()
    reweigh(bert, lambda held: {name: value for name, value in held.items() if "layer.1.attention.self.query" not in name})
    refused(bert, "weights lack encoder.layer.1.attention.self.query.bias")
    reweigh(llama, lambda held: {name: value for name, value in held.items() if name != "lm_head.weight"})
    assert check(llama) == ()
    refused(llama, "weights lack lm_head.weight", problem=WRITE)


# --- tokenizer --------------------------------------------------------------------------------------------------------------


def test_a_base_without_its_tokenizer_is_refused_and_the_missing_file_named(bert):
    for file in bert.glob("tokenizer*"):
        file.unlink()
    refused(bert, "holds no tokenizer.json")
    (bert / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    refused(bert, "reads every text as unknown tokens: .* holds no tokenizer.json")


def test_a_tokenizer_that_cannot_be_read_is_refused(bert):
    (bert / "tokenizer.json").write_text("{}")
    refused(bert, "its tokenizer cannot be read")


def test_a_tokenizer_that_makes_every_text_unknown_is_refused(bert):
    file = bert / "tokenizer.json"
    broken = json.loads(file.read_text())
    broken["normalizer"] = {"type": "Prepend", "prepend": "_"}
    broken["pre_tokenizer"] = None
    file.write_text(json.dumps(broken))
    refused(bert, "reads every text as unknown tokens: put the tokenizer there")


def test_fewer_embeddings_than_tokens_are_refused(tmp_path):
    refused(tiny.base(tmp_path, hf.BertModel, hf.BertConfig, wrap=True, vocab_size=20), "for 20 tokens, .* ids up to 44")


def test_a_padding_token_beyond_the_embeddings_is_refused(llama):
    tokenizer = hf.AutoTokenizer.from_pretrained(llama)
    tokenizer.add_special_tokens({"pad_token": "<padding>"})  # and the network was not resized
    tokenizer.save_pretrained(llama)
    refused(llama, "for 45 tokens, .* ids up to 45")


def test_an_end_token_is_needed_where_one_is_written(llama):
    file = llama / "tokenizer_config.json"
    file.write_text(json.dumps({name: value for name, value in json.loads(file.read_text()).items() if name != "eos_token"}))
    refused(llama, "no end token.*eos_token in tokenizer_config.json", problem=WRITE)
    assert check(llama) == ()


def test_a_tokenizer_of_other_files_is_read_from_them(bert, tmp_path):
    words = json.loads((bert / "tokenizer.json").read_text())["model"]["vocab"]
    (bert / "vocab.txt").write_text("\n".join(words))
    (bert / "tokenizer.json").unlink()
    (bert / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    assert check(bert) == ()
    from tasks.learning.base_tokenizer import write_tokenizer

    write_tokenizer(bert, tmp_path / "written.json")
    assert json.loads((tmp_path / "written.json").read_text())["model"]["vocab"] == words


def test_what_the_files_tell_is_told_before_anything_heavy_is_imported(bert):
    for file in bert.glob("tokenizer*"):
        file.unlink()
    code = (
        "import sys; from configs.errors import InputError; from configs.schema import Full\n"
        "from tasks.common.bases import find_base; from tasks.learning.base_check import check_base\n"
        f"try: check_base(find_base({str(bert)!r}), 'text-classification', 16, Full())\n"
        "except InputError as error: print('torch' in sys.modules, 'transformers' in sys.modules, error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("False False") and "holds no tokenizer.json" in said
