"""What MLflow shows of a run in fields of its own."""

import json
import subprocess

from tasks.tracking.run_facts import SplitFacts, dataset_inputs, origin_tags, system_sampler


def git(folder, *words):
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.example", *words], check=True, capture_output=True
    )


def test_a_run_names_its_user_its_command_and_the_commit_it_starts_from(tmp_path):
    alone = origin_tags("tunekeeper retrain", tmp_path)
    assert alone["mlflow.source.name"] == "tunekeeper retrain" and alone["mlflow.user"]
    assert not any("git" in name for name in alone)
    git(tmp_path, "init", "-b", "main")
    git(tmp_path, "commit", "--allow-empty", "-m", "first")
    git(tmp_path, "remote", "add", "origin", "https://me:Zqsecret1@git.example/a/b.git")
    found = origin_tags("tunekeeper retrain", tmp_path)
    commit = subprocess.run(["git", "-C", str(tmp_path), "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    assert found["mlflow.source.git.commit"] == commit.strip() and found["mlflow.source.git.branch"] == "main"
    assert "git.example/a/b.git" in found["mlflow.source.git.repoURL"] and "Zqsecret1" not in str(found)


def test_a_user_without_a_name_is_the_machine(tmp_path, monkeypatch):
    def nameless():
        raise KeyError("uid 4711")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert origin_tags("x", tmp_path)["mlflow.user"] == "tunekeeper"


def test_a_split_is_named_by_hash_source_and_columns_and_no_row_of_it_is_told():
    columns = {"id": "string", "text": "string", "time": "timestamp[us, tz=UTC]", "score": "double", "n": "int64"}
    given = {"rows.csv": "local", "s3://b/rows.csv": "s3", "https://h/rows.csv": "http", "hf://a/b/train": "hugging_face",
             "postgresql+psycopg2://h/d/t": "sql"}  # fmt: skip
    made = dataset_inputs([SplitFacts("tiny test", "test", "ab" * 32, source, 7, columns) for source in given])
    assert [each.dataset.source_type for each in made] == list(given.values())
    for each, source in zip(made, given, strict=True):
        assert source.partition("://")[2] in each.dataset.source and each.dataset.digest == ("ab" * 32)[:36]
        assert json.loads(each.dataset.profile) == {"num_rows": 7}
        kinds = {column["name"]: column["type"] for column in json.loads(each.dataset.schema)["mlflow_colspec"]}
        assert kinds == {"id": "string", "text": "string", "time": "datetime", "score": "double", "n": "long"}
        assert [(tag.key, tag.value) for tag in each.tags] == [("mlflow.data.context", "test")]


def test_how_busy_the_machine_is_comes_by_mlflows_own_names():
    seen = system_sampler()()
    assert {
        "system/cpu_utilization_percentage",
        "system/system_memory_usage_megabytes",
        "system/disk_usage_percentage",
    } <= seen.keys()
    assert all(isinstance(value, float) for value in seen.values()) and seen["system/system_memory_usage_megabytes"] > 0
