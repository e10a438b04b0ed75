"""A base is found where it is said to be, and no other is taken for it."""

import hashlib
import os
import shutil

import pytest

from configs.errors import InputError
from tasks.common.bases import base_files, earlier_pooling_of, find_base, pooling_of, read_base


@pytest.fixture
def copy(bert_folder, tmp_path):
    return shutil.copytree(bert_folder, tmp_path / "copy")


def weights_of(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_a_folder_is_known_by_the_hash_of_its_weights(bert_folder):
    found = find_base(str(bert_folder), sha256=weights_of(bert_folder))
    assert found.path == bert_folder and found.weights == weights_of(bert_folder)
    assert found.bytes == sum(file.stat().st_size for file in base_files(bert_folder))


def test_an_installed_package_is_a_base(copy, tmp_path, monkeypatch):
    package = tmp_path / "packages" / "tiny_base_package"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    shutil.move(copy, package / "model")
    monkeypatch.syspath_prepend(str(package.parent))
    assert find_base("package:tiny_base_package/model").path == package / "model"
    with pytest.raises(InputError, match="the package tiny_base_package has no folder `other`"):
        find_base("package:tiny_base_package/other")


@pytest.mark.parametrize("name", ["package:no_such_package/model", "package:not an identifier/model"])
def test_a_package_that_is_not_installed_is_named(name):
    with pytest.raises(InputError, match=r"no package `.*` is installed"):
        find_base(name)


def test_other_weights_than_the_config_names_are_refused(bert_folder):
    with pytest.raises(InputError, match=f"its weights have sha256 {weights_of(bert_folder)}, model.sha256 says abab"):
        find_base(str(bert_folder), sha256="ab" * 32)


@pytest.mark.parametrize(
    "name", ["./no/such/folder", "/no/such", "~/no/such", "~nobody-of-that-name/a", "justaname", "a/b/c", "", "x" * 300]
)
def test_a_folder_that_is_not_there_is_named(name):
    with pytest.raises(InputError, match="no such folder"):
        find_base(name)


def test_a_hub_name_without_hub_or_cache_is_the_users_to_mend():
    with pytest.raises(InputError, match="nor in the hub's cache"):
        find_base("nobody/nothing")


def test_pickled_weights_are_refused_and_it_is_told_how_to_write_others(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    says = r"other weight formats are refused: pytorch_model\.bin can run code: .*save_pretrained\(.*safe_serialization=True\)"
    with pytest.raises(InputError, match=says):
        find_base(str(copy))


def test_an_adapter_is_no_base_and_it_is_told_how_to_make_one_of_it(copy):
    for name in ("config.json", "model.safetensors"):
        (copy / name).unlink()
    (copy / "adapter_config.json").write_text("{}")
    (copy / "adapter_model.safetensors").touch()
    with pytest.raises(InputError, match=r"holds an adapter, which is no base: merge it first: .*merge_and_unload\(\)"):
        find_base(str(copy))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "model-00001-of-00002.safetensors"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda place: place.symlink_to("/nowhere")], ids=["pipe", "dangling link"])
def test_a_base_that_is_no_regular_file_is_refused_and_not_waited_for(copy, name, make):
    (copy / ("config.json" if name == "config.json" else "model.safetensors")).unlink()
    make(copy / name)
    with pytest.raises(InputError, match=f"{name} in .* is no file but a pipe, a device or a link that leads nowhere: fetch"):
        find_base(str(copy))


def test_a_link_to_weights_is_a_file_as_any_other(copy):
    (copy / "model.safetensors").rename(copy.parent / "blob")
    (copy / "model.safetensors").symlink_to(copy.parent / "blob")
    assert find_base(str(copy)).weights == hashlib.sha256((copy.parent / "blob").read_bytes()).hexdigest()


def test_any_file_that_is_loaded_changes_the_digest_and_no_other_does(copy):
    before = read_base(copy, "x")
    (copy / "README.md").write_text("a model")
    (copy / "pytorch_model.bin").write_bytes(b"never read")
    assert read_base(copy, "x") == before
    tokens = copy / "tokenizer.json"
    tokens.write_text(tokens.read_text().replace("Lowercase", "NFC"))
    after = read_base(copy, "x")
    assert after.digest != before.digest and after.weights == before.weights


def test_sharded_weights_have_one_hash(copy):
    shutil.copy(copy / "model.safetensors", copy / "model-00002-of-00002.safetensors")
    (copy / "model.safetensors").rename(copy / "model-00001-of-00002.safetensors")
    found = read_base(copy, "x")
    (copy / "model-00002-of-00002.safetensors").write_bytes(b"other")
    assert read_base(copy, "x").weights != found.weights


@pytest.mark.parametrize(
    ("said", "pooling"),
    [
        ('{"pooling_mode_mean_tokens": true}', "mean"),
        ('{"pooling_mode": "mean"}', "mean"),
        ('{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}', "first"),
        ('{"pooling_mode_max_tokens": true, "include_prompt": true}', "max"),
        ('{"pooling_mode_lasttoken": true}', "last"),
        ('{"pooling_mode": "lasttoken", "embedding_dimension": 32}', "last"),
        ('{"pooling_mode": ["cls"]}', "first"),
        ("{}", None),
    ],
)
def test_a_base_says_how_it_was_trained_to_pool(copy, said, pooling):
    (copy / "1_Pooling" / "config.json").write_text(said)
    assert pooling_of(copy) == pooling
    shutil.rmtree(copy / "1_Pooling")
    assert pooling_of(copy) is None


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ('{"pooling_mode_weightedmean_tokens": true}', "weightedmean"),
        ('{"pooling_mode_mean_sqrt_len_tokens": true}', "mean_sqrt_len_tokens"),
        ('{"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true}', r"mean \+ max"),
        ('{"pooling_mode": "weightedmean"}', "weightedmean"),
        ("{", "1_Pooling/config.json is no JSON .*line 1, column 2"),
    ],
)
def test_a_pooling_that_is_not_supported_is_refused_by_name(copy, said, named):
    (copy / "1_Pooling" / "config.json").write_text(said)
    with pytest.raises(InputError, match=named):
        pooling_of(copy)


@pytest.mark.parametrize(
    ("said", "pooling"),
    [
        ('{"pooling_mode_max_tokens": true}', None),
        ('{"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true}', "mean"),
        ('{"pooling_mode": "cls"}', "first"),
    ],
)
def test_versions_of_before_keep_what_was_heeded_of_it_then(copy, said, pooling):
    (copy / "1_Pooling" / "config.json").write_text(said)
    assert earlier_pooling_of(copy) == pooling


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_pointer_in_place_of_a_file_is_refused_with_the_command_that_fetches_it(copy, name):
    (copy / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(InputError, match=rf"{name} in .* is a git-LFS pointer.*git lfs pull"):
        find_base(str(copy), sha256="ab" * 32)


def test_the_files_of_another_tokenizer_belong_to_a_base_that_has_no_tokenizer_json(copy):
    before = read_base(copy, "x").digest
    (copy / "sentencepiece.bpe.model").write_bytes(b"pieces")
    assert read_base(copy, "x").digest == before
    (copy / "tokenizer.json").unlink()
    assert "sentencepiece.bpe.model" in {file.name for file in base_files(copy)}
