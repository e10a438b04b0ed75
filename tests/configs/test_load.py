"""A config that says something twice, or stands for more than it shows, is an error that names key and line."""

from __future__ import annotations

import os
import threading
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from configs.errors import InputError
from configs.load import load_pipeline
from configs.schema import Monitor, Pipeline, Schedule, Serving

HEAD = "name: a\nproblem: text-classification\nmodel: {base: b}\n"


def config(folder: Path, text: str) -> Path:
    path = folder / "keep.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{HEAD}data:\n  source: a.csv\n  source: b.csv\n", r"line 6: the key `source` is there already, in line 5"),
        (f'{HEAD}data: {{source: a.csv}}\n"name": b\n', r"line 5: the key `name` is there already, in line 1"),
        (f"{HEAD}data: &x\n  source: *x\n", r"line 4: a value that holds itself"),
        (f"{HEAD}data: {{? [a, b] : c}}\n", r"line 4: a key is a list"),
        (f'{HEAD}data: {{source: "\\ud800.csv"}}\n', r"line 4: holds half of a surrogate pair"),
        (f"{HEAD}data: {{source: a.csv, time: 2026-02-31}}\n", r"a value that is none of its kind"),
        (f"{HEAD}data: {{max_characters: {'9' * 5000}}}\n", r"a value that is none of its kind"),
        (f"{HEAD}data: {'[' * 50_000}\n", r"nested too deeply"),
        (f"{HEAD}data: {{source: a.csv\n", r"is no YAML"),
        ("a" * 250_001, r"and a config at most 250,000"),
    ],
)
def test_what_no_config_may_hold_is_named_by_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as refused:
        load_pipeline(config(tmp_path, text))
    assert "keep.yaml" in str(refused.value) and len(str(refused.value)) < 1000


def test_aliases_that_stand_for_values_without_end_are_refused_before_any_is_built(tmp_path: Path) -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30))
    path = config(tmp_path, f"l0: &l0 [a, b]\n{levels}\n")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"line 6: stands for more than 100,000 values"):
            load_pipeline(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_value_of_many_parts_is_not_written_out_in_an_error(tmp_path: Path) -> None:
    many = "[" + ", ".join(["[a, b]"] * 20_000) + "]"
    with pytest.raises(InputError, match=r"data\.time") as refused:
        load_pipeline(config(tmp_path, f"{HEAD}data: {{source: a.csv, time: {many}}}\n"))
    assert len(str(refused.value)) < 500


def test_aliases_and_merged_keys_are_read_as_ever(tmp_path: Path) -> None:
    text = f"{HEAD}data: &data\n  source: &file a.csv\n  test: *file\n"
    assert load_pipeline(config(tmp_path, text)).data.test == "a.csv"
    merged = f"{HEAD}data:\n  <<: {{source: a.csv, text: words}}\n  text: body\n"
    assert load_pipeline(config(tmp_path, merged)).data.text == "body"


@pytest.mark.parametrize(
    ("override", "says"),
    [("data.window={start: 2026-01-01, start: 2026-02-01}", "`start` is there already"), ("data.text=\udcff", "surrogate")],
)
def test_an_override_is_read_as_strictly_as_the_file(tmp_path: Path, override: str, says: str) -> None:
    path = config(tmp_path, f"{HEAD}data: {{source: a.csv}}\n")
    with pytest.raises(InputError, match=says):
        load_pipeline(path, [override])
    assert load_pipeline(path, ["data.text=a: b: c"]).data.text == "a: b: c"


@pytest.mark.parametrize(
    "override",
    [
        "data.source=postgresql://u:hunter two@host/db/t",
        f"data.source=postgresql://u:{'hunter' * 60}@host/db/t",  # more than an error shows
        "data.source=[rows.csv, 'postgresql://u:hunter two@host/db/t']",
        "postgresql://u:hunter two@host/db/t",
        "name.x=postgresql://u:hunter two@host/db/t",
    ],
)
def test_an_error_does_not_show_a_password_that_holds_a_space_or_is_long(tmp_path: Path, override: str) -> None:
    path = config(tmp_path, f"{HEAD}data: {{source: a.csv}}\n")
    with pytest.raises(InputError, match=r"postgresql://\*\*\*@host/db/t") as refused:
        load_pipeline(path, [override])
    assert "hunter" not in str(refused.value) and "two@" not in str(refused.value)


@pytest.mark.parametrize(
    ("override", "adapter", "split"),
    [
        ("adapter.r=4", "lora", "hash"),
        ("data.split.test=0.3", "lora", "hash"),
        ("data.split.column=part", "lora", "given"),
        ("data.test=b.csv", "lora", "given"),
        ("adapter.kind=full", "full", "hash"),
    ],
)
def test_a_setting_of_an_adapter_or_a_split_needs_no_kind_beside_it(
    tmp_path: Path, override: str, adapter: str, split: str
) -> None:
    pipeline = load_pipeline(config(tmp_path, f"{HEAD}data: {{source: a.csv}}\n"), [override])
    assert (pipeline.adapter.kind, pipeline.data.split.by) == (adapter, split)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("data.split.validation=10%", r"data\.split\.validation = '10%': "),
        ("data.split={by: time, teest: 0.1}", r"data\.split\.teest: unknown key; did you mean `test`"),
        ("adapter={kind: full, r: 3}", r"adapter\.r: unknown key; drop it"),
        ("data.source=5", r"data\.source = 5: "),
        ("data.source=[5]", r"data\.source\.0 = 5: must be a text: put it in quotes"),
        ("data=a.csv", r"data = 'a\.csv': has keys of its own below it: write them, such as `data: \{source: a\.csv\}`"),
        ("data.redact=no", r"data\.redact = False: has keys .* such as `redact: \{enabled: false\}`"),
        ("data.split=time", r"data\.split = 'time': has keys .* such as `split: \{by: time\}`"),
        ("data.split={by: random}", r"data\.split\.by = 'random': write one of 'hash', 'time', 'given'"),
        ("data.slices=region", r"data\.slices = 'region': must be a list: write `slices: \[region\]`"),
        ("data.text=~", r"data\.text = None: has no value: write one, or leave the key out"),
        ("model=m", r"model = 'm': has keys .* such as `model: \{base: m\}`"),
        ("adapter=lora", r"adapter = 'lora': has keys .* such as `adapter: \{kind: lora\}`"),
        ("objective=[{}, {kind: preference, beta: x}]", r"objective\.1\.beta = 'x': must be a number"),
        (
            "objective=[{kind: prefer}, {}]",
            r"objective\.0\.kind = 'prefer': write one of 'contrastive', 'supervised', 'preference'",
        ),
        ("adapter={kind: sparse}", r"adapter\.kind = 'sparse': write one of 'full', 'frozen'"),
        ("objective=preference", r"objective = 'preference': has keys .* such as `objective: \{kind: preference\}`"),
        ("schedule.retrain=12:30", r"schedule\.retrain = 750: must be a text: put it in quotes \(YAML reads 12:30 as 750"),
        ("gate.floors=0.5", r"gate\.floors = 0\.5: must be names with a value each: write `floors: \{NAME: VALUE\}`"),
        (
            "problem=seq2seq",
            r"problem = 'seq2seq': is no problem: write one of text-classification, .*, summarization, translation$",
        ),
        ("problem=[a]", r"problem = \['a'\]: is no problem: write one of"),
        ("gate.floors={str: x, accuracy: x}", r"gate\.floors\.accuracy = 'x': "),
        ("training.epoch=5", r"training\.epoch: unknown key; did you mean `epochs`"),
        ("text=body", r"text: unknown key; it is a setting of data: write `data: \{text: \.\.\.\}`"),
        ("base=b", r"base: unknown key; it is a setting of model: write"),
        (
            "problem=Text_Classification",
            r"problem = 'Text_Classification': is no problem: did you mean text-classification\? write one",
        ),
        ("training.schedule=liner", r"training\.schedule = 'liner': did you mean linear\? write one of 'linear', 'cosine' or"),
        ("training.epochs=three", r"training\.epochs = 'three': must be a whole number, such as 3"),
        ("training.seed=1.5", r"training\.seed = 1\.5: must be a whole number"),
        ("training.learning_rate=0,1", r"training\.learning_rate = '0,1': must be a number, such as 0\.1: write 0\.1"),
        ("training.refit=maybe", r"training\.refit = 'maybe': must be true or false"),
        ("evaluation.judge={url: localhost/v1, model: m}", r"evaluation\.judge\.url = 'localhost/v1': is an address such as"),
        ("evaluation.judge={url: 'http://a/v1', model: m, key: k}", r"evaluation\.judge\.key: unknown key; "),
        (
            "evaluation.judge={url: 'http://a/v1', model: m, agreement: a.jsonl}",
            r"evaluation\.judge\.agreement = 'a\.jsonl': has",
        ),
    ],
)
def test_a_fault_is_named_by_the_keys_that_the_file_has_and_helped_by_those_of_its_kind(tmp_path, override, says):
    with pytest.raises(InputError, match=rf"(?m)^  {says}"):
        load_pipeline(config(tmp_path, f"{HEAD}data: {{source: a.csv}}\n"), [override])


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("gate.ceilings={accuracy: 0.9}", r"gate\.ceilings: more of accuracy is better: write it under gate\.floors"),
        ("gate.floors={f1_macro: 0.5, log_loss: 0.4}", r"gate\.floors: less of log_loss is better: write it under gate\.ceilings"),
    ],
)
def test_a_bound_that_would_let_no_good_model_pass_is_refused(tmp_path, override, says):
    with pytest.raises(InputError, match=says):
        load_pipeline(config(tmp_path, f"{HEAD}data: {{source: a.csv}}\n"), [override])
    right = "gate={floors: {accuracy: 0.5, a_metric_of_the_report: 1}, ceilings: {log_loss: 2}}"
    assert load_pipeline(config(tmp_path, f"{HEAD}data: {{source: a.csv}}\n"), [right]).gate.ceilings == {"log_loss": 2}


@pytest.mark.parametrize("override", ["data.source=5", "data.source={a: 1}", "adapter.target_modules=5", "data.test=[[a]]"])
def test_a_setting_that_takes_a_text_or_a_list_has_one_line_for_one_fault(tmp_path, override):
    with pytest.raises(InputError, match="must be a text") as refused:
        load_pipeline(config(tmp_path, f"{HEAD}data: {{source: a.csv}}\n"), [override])
    assert len(str(refused.value).splitlines()) == 3


@pytest.mark.parametrize("value", ["postgresql://u:hunter two@host/db/t", "[postgresql://u:hunter two@host/db/t]"])
@pytest.mark.parametrize("setting", ["data", "data.slices", "model", "data.split", "problem"])
def test_what_is_to_be_written_instead_is_shown_without_a_credential(tmp_path, setting, value):
    with pytest.raises(InputError) as refused:
        load_pipeline(config(tmp_path, f"{HEAD}data: {{source: a.csv}}\n"), [f"{setting}={value}"])
    assert "hunter" not in str(refused.value) and "two@" not in str(refused.value)


@pytest.mark.parametrize(
    ("problem", "data", "says"),
    [
        ("summarization", "text: body", r"data\.text: summarization reads no column .* by prompt and completion"),
        ("text-generation", "label: kind", r"data\.label: text-generation reads no column .* by prompt and completion"),
        ("text-classification", "prompt: body", r"data\.prompt: text-classification reads no column .* by text and label"),
        ("text-classification", "completion: kind", r"data\.completion: text-classification reads no column .* by text and label"),
    ],
)
def test_a_column_of_another_problem_is_no_setting_without_effect(tmp_path, problem, data, says):
    head = HEAD.replace("text-classification", problem)
    with pytest.raises(InputError, match=says):
        load_pipeline(config(tmp_path, f"{head}data: {{source: a.csv, {data}}}\n"))
    whole = load_pipeline(config(tmp_path, f"{head}data: {{source: a.csv}}\n"))
    assert Pipeline.model_validate(whole.model_dump(mode="json")) == whole


@pytest.mark.parametrize("sign", ["|", ">", "#", "-", "&", "?", " ", "\t", "€"])
def test_a_sign_alone_is_that_sign_and_no_yaml(tmp_path, sign):
    path = config(tmp_path, f"{HEAD}data: {{source: a.csv}}\n")
    assert load_pipeline(path, [f"data.separator={sign}"]).data.separator == sign
    assert load_pipeline(path, ["data.separator=~"]).data.separator is None


def test_a_config_that_cannot_be_opened_is_the_users(tmp_path):
    (tmp_path / "a.csv").touch()
    for path, says in ((tmp_path / f"{'x' * 300}.yaml", "File name too long"), (tmp_path / "a.csv" / "b.yaml", "Not a directory")):
        with pytest.raises(InputError, match=rf"cannot be read \({says}\): correct the path") as refused:
            load_pipeline(path)
        assert len(str(refused.value)) < 400


def test_a_config_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "keep.yaml")
    with pytest.raises(InputError, match=r"keep\.yaml is no file but a pipe or a device: write the config to a file"):
        load_pipeline(tmp_path / "keep.yaml")


@pytest.mark.parametrize("setting", ["training.early_stopping", "training.batch_size", "training.learning_rate", "gate.margin"])
@pytest.mark.parametrize(("value", "read_as"), [("true", 1), ("no", 0)])
def test_a_truth_is_no_number(tmp_path, setting, value, read_as):
    section, name = setting.split(".")
    with pytest.raises(InputError, match=rf"{section}: {name} is (true|false), which would be read as {read_as}"):
        load_pipeline(config(tmp_path, f"{HEAD}data: {{source: a.csv}}\n"), [f"{setting}={value}"])


@pytest.mark.parametrize("value", [".inf", "1e999", ".nan"])
@pytest.mark.parametrize("setting", ["training.learning_rate", "serving.timeout_seconds", "gate.floors"])
def test_a_number_without_end_is_no_setting(tmp_path, setting, value):
    given = f"{{accuracy: {value}}}" if setting == "gate.floors" else value
    with pytest.raises(InputError, match=rf"{setting}.*: Input should be a finite number"):
        load_pipeline(config(tmp_path, f"{HEAD}data: {{source: a.csv}}\n"), [f"{setting}={given}"])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("{source: a.csv, slices: [a, b, a]}", r"data\.slices = .*: names `a` more than once"),
        ("{source: a.csv, labels: [a, b, ' a']}", r"data\.labels = .*: names `a` more than once"),
        ("{source: a.csv, text: label}", r"data: text and label are one column, `label`"),
        ("{source: a.csv, prompt: x, completion: x}", r"data: prompt and completion are one column, `x`"),
        ("{source: a.csv, max_characters: 1000000000000000000000}", r"data\.max_characters = .*less than or equal to 1000000000"),
        ("{source: a.csv, time: t, window: {start: 2026-02-01, end: 2026-01-01}}", r"start \(2026-02-01\) is not before end"),
        (
            "{source: a.csv, time: t, window: {start: '2026-01-01T01:00:00+02:00', end: '2025-12-31T23:00:00Z'}}",
            r"data\.window: start \(2026-01-01T01:00:00\+02:00\) is not before end \(2025-12-31T23:00:00Z\)",
        ),
    ],
)
def test_data_of_which_no_run_can_come_are_refused_before_any_are_read(tmp_path, data, says):
    with pytest.raises(InputError, match=says):
        load_pipeline(config(tmp_path, f"{HEAD}data: {data}\n"))


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("evaluation.bootstrap", "1000000000", "less than or equal to 100000"),
        ("release.approval_timeout_hours", "1e300", "less than or equal to 876600"),
        ("serving.max_wait_ms", "1e300", "less than or equal to 3155760000000"),
        ("serving.timeout_seconds", "1e300", "less than or equal to 3155760000"),
        ("serving.follow_seconds", "1e300", "less than or equal to 3155760000"),
        ("monitor.window_days", "1000000", "less than or equal to 36525"),
        ("gate.window", "1000000000", "less than or equal to 36525"),
        ("schedule.cooldown_hours", "1e300", "less than or equal to 876600"),
        ("schedule.on_new_data_minutes", "1e300", "less than or equal to 52596000"),
        ("schedule.on_new_data_minutes", "1e-8", "greater than or equal to 1"),
        ("gate.looks_per_year", "9" * 400, "less than or equal to 1000000"),
        ("monitor.looks_per_year", "9" * 400, "less than or equal to 1000000"),
    ],
)
def test_a_number_that_no_clock_or_memory_can_hold_is_refused(tmp_path, setting, value, says):
    with pytest.raises(InputError, match=rf"{setting} = .*{says}"):
        load_pipeline(config(tmp_path, f"{HEAD}data: {{source: a.csv, time: t}}\n"), [f"{setting}={value}"])


def test_every_duration_may_be_a_hundred_years_and_dates_hold_it():
    years = timedelta(days=36_525)
    serving = {"max_wait_ms": years / timedelta(milliseconds=1), "timeout_seconds": years.total_seconds()}
    schedule = {"cooldown_hours": years / timedelta(hours=1), "on_new_data_minutes": years / timedelta(minutes=1)}
    Serving.model_validate({**serving, "follow_seconds": years.total_seconds()})
    Schedule.model_validate(schedule)
    assert datetime.now(UTC) - timedelta(days=Monitor(window_days=36_525).window_days) + 2 * years
    assert years.total_seconds() < threading.TIMEOUT_MAX


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ('schedule.work_pool=""', r"schedule\.work_pool = '': is no name of a Prefect work pool: write letters"),
        ("schedule.work_pool=../x y", r"schedule\.work_pool = '\.\./x y': is no name of a Prefect work pool"),
        ("training.work_pool=a/b", r"training\.work_pool = 'a/b': is no name of a Prefect work pool"),
        ("name=My Model", r"name = 'My Model': a name is made of a to z in lower case, digits and -"),
        ("model.target_tokenizer=../x", r"model\.target_tokenizer = '\.\./x': is no name of a folder in the base"),
    ],
)
def test_a_name_that_is_none_is_told_how_it_is_written(tmp_path, override, says):
    path = config(tmp_path, f"{HEAD}data: {{source: a.csv}}\n")
    with pytest.raises(InputError, match=says):
        load_pipeline(path, [override])
    assert load_pipeline(path, ["schedule.work_pool=my pool 2.b"]).schedule.work_pool == "my pool 2.b"


@pytest.mark.parametrize(
    ("problem", "column", "setting"),
    [
        ("text-ranking", "query", "text"), ("text-ranking", "relevance", "number"),
        ("sentence-similarity", "sentence2", "text_pair"),
        ("sentence-similarity", "anchor", "text"), ("translation", "source_text", None), ("summarization", "summary", "completion"),
    ],
)  # fmt: skip
def test_a_column_that_a_problem_knows_by_its_name_is_no_setting_and_the_error_says_which_is(tmp_path, problem, column, setting):
    with pytest.raises(InputError, match=rf"data\.{column}: unknown key") as refused:
        load_pipeline(config(tmp_path, f"{HEAD}data: {{source: a.csv}}\n"), [f"problem={problem}", f"data.{column}=c"])
    assert (f"write `{setting}: ...`" in str(refused.value)) == (setting is not None)


def test_a_judges_key_in_the_place_of_its_variables_name_is_refused_and_not_repeated(tmp_path):
    judge = "evaluation.judge={url: 'http://a/v1', model: m, key_variable: 'abc-def-123'}"
    with pytest.raises(InputError, match="key_variable is no name of an environment variable") as refused:
        load_pipeline(config(tmp_path, f"{HEAD}data: {{source: a.csv}}\n"), [judge, "problem=text-generation"])
    assert "abc-def" not in str(refused.value)
