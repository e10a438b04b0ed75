"""`tunekeeper init`: whatever shape a newcomer's rows have, the first config loads and prepares, and says what was guessed."""

import json
import random
import re
from pathlib import Path

import newcomers
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from configs.errors import InputError
from configs.load import load_pipeline
from configs.schema import Pipeline
from expectations.run import Context, validate_records
from flows.__main__ import main
from flows.cli.init_yaml import MOST_LINES, render_yaml
from tasks.common.bases import find_base
from tasks.contract import contract_suites
from tasks.data.preparation.load import loaded_source, redactor_of
from tasks.data.preparation.prepare import prepare_rows
from tasks.data.preparation.vocabulary import KnownLabels, check_vocabulary, count_labels
from tasks.data.snapshot.snapshot import Snapshot, write_snapshot


@pytest.fixture
def init(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder: exit code, its JSON object, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEKEEPER_HOME", str(tmp_path / "home"))

    def run(*words: object):
        with pytest.raises(SystemExit) as left:
            main(["init", *map(str, words)])
        printed, said = capsys.readouterr()
        return int(left.value.code or 0), json.loads(printed) if printed else None, said

    return run


def prepared(pipeline: Pipeline, home: Path) -> Snapshot:
    """The snapshot that a run would seal: both contracts are held, and nothing stops it."""
    suites, limit, context = contract_suites(pipeline), pipeline.contract.max_quarantined, Context()
    with loaded_source(pipeline.data, pipeline.problem, home) as raw:
        first = validate_records(raw.reader(), suites, stage="raw", context=context, max_quarantined=limit, docs_dir=None)
        assert first.success, first.stopped
        aside = {row: "; ".join(reasons) for row, reasons in first.quarantined.items()}
        candidate = prepare_rows(raw, pipeline.data, redactor_of(pipeline.data, home), aside)
        second = validate_records(
            candidate.reader(), suites, stage="prepared", context=context, max_quarantined=limit, docs_dir=None
        )
        assert second.success, second.stopped
        return write_snapshot(candidate, home, {"rows": "0" * 64}, None)


@pytest.mark.parametrize("write", newcomers.NEWCOMERS, ids=lambda write: write.__name__)
def test_the_first_config_of_a_newcomers_file_loads_and_prepares(init, tmp_path, write):
    source = write(tmp_path, random.Random(write.__name__))
    code, outcome, said = init("first", "--data", source, "--json")
    assert code == 0, said
    assert outcome["columns"] == newcomers.NEWCOMERS[write] and outcome["fault"] is None and outcome["whole"]
    text = Path("first.yaml").read_text()
    assert len(text.splitlines()) <= MOST_LINES
    pipeline = load_pipeline(Path("first.yaml"))
    counts = prepared(pipeline, tmp_path / "home").manifest["splits"]
    assert min(counts["train"], counts["validation"], counts["test"]) > 0, counts


def write_tickets(folder: Path, **columns: object) -> str:
    """A file of tickets in which every cell but for the times begins with CELL."""
    draw = random.Random(3)
    days = [f"2025-{n % 12 + 1:02}-{n % 28 + 1:02}" for n in range(newcomers.ROWS)]
    rows = {
        "ticket_id": [f"CELL{n:04}" for n in range(newcomers.ROWS)],
        "created": days,
        "customer": [f"CELL customer {draw.randrange(60)}" for _ in days],
        "text": [f"CELL {newcomers.sentence(draw)}" for _ in days],
        "intent": [f"CELL {draw.choice('abc')}" for _ in days],
        **columns,
    }
    return newcomers.write_csv(folder / "tickets.csv", list(rows), list(map(list, zip(*rows.values(), strict=True))))


def test_what_is_written_and_said_holds_no_cell_of_the_data(init, tmp_path):
    source = write_tickets(tmp_path)
    code, _, said = init("first", "--data", source)
    assert code == 0 and "next: tunekeeper retrain first.yaml" in said
    code, outcome, noise = init("second", "--data", source, "--json")
    assert code == 0 and noise == "" and outcome["next"] == "tunekeeper retrain second.yaml"
    for text in (said, json.dumps(outcome), Path("first.yaml").read_text()):
        assert "CELL" not in text


def test_a_customer_who_comes_again_is_split_by_hash_and_the_yaml_says_why(init, tmp_path):
    _, outcome, _ = init("first", "--data", write_tickets(tmp_path), "--json")
    assert outcome["split"] == {"by": "hash"} and outcome["columns"]["time"] == "created"
    assert "  split: {by: hash}               # by time only " in Path("first.yaml").read_text()
    assert len(Path("first.yaml").read_text().splitlines()) == MOST_LINES


def test_a_column_that_holds_the_split_is_taken_as_it_says(init, tmp_path):
    parts = ["train", "train", "validation", "test"] * (newcomers.ROWS // 4)
    _, outcome, _ = init("first", "--data", write_tickets(tmp_path, part=parts), "--json")
    assert outcome["split"] == {"by": "given", "column": "part"}


def test_a_column_that_fits_as_well_stands_beside_the_one_that_was_taken(init, tmp_path):
    draw = random.Random(4)
    bodies = [f"CELL {newcomers.sentence(draw)}" for _ in range(newcomers.ROWS)]
    _, outcome, _ = init("first", "--data", write_tickets(tmp_path, body=bodies), "--json")
    assert outcome["other_columns"]["text"] == ["body"]
    assert "  text: text                      # or: body\n" in Path("first.yaml").read_text()


@pytest.mark.parametrize("there", ["first.yaml", "first.contract.json"])
def test_a_file_that_is_there_is_not_overwritten_and_nothing_else_is_written(init, tmp_path, there):
    Path(there).write_text("mine")
    code, outcome, said = init("first", "--data", write_tickets(tmp_path), "--json")
    assert (code, outcome) == (2, None) and said.startswith(f"error: {there} is there already, and is not overwritten: move it")
    assert Path(there).read_text() == "mine" and sorted(p.name for p in Path().glob("first*")) == [there]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["My_Model"], "NAME 'My_Model': a pipeline's name is made of a to z .*write tunekeeper init my-model"),
        (["first", "--problem", "clasification"], "--problem clasification: is no problem: did you mean text-classification"),
        (["first", "--base", "a/b/c"], "--base a/b/c: no such folder"),
        (["first", "--problem", "text-generation", "--base", "BERT"], "--base .*: text-generation needs a causal decoder"),
    ],
)
def test_what_cannot_be_is_told_with_its_remedy_and_nothing_is_written(init, tmp_path, bert_folder, words, says):
    source = newcomers.faq(tmp_path, random.Random(5))
    given = [str(bert_folder) if word == "BERT" else word for word in words]
    code, _, said = init(*given, "--data", source, "--json")
    assert code == 2 and re.match(f"error: {says}", said), said
    assert not list(Path().glob("*.yaml")) and not list(Path().glob("*.contract.json"))


def test_a_base_of_another_kind_than_the_columns_ask_for_is_refused_with_what_was_seen(init, tmp_path, bart_folder):
    code, _, said = init("first", "--data", write_tickets(tmp_path), "--base", bart_folder)
    assert code == 2 and "fit text-classification (`text` holds texts of" in said and "name such a base" in said


@pytest.mark.parametrize(
    ("write", "problem", "kind"),
    [
        (newcomers.faq, "text-generation", "a causal decoder"),
        (newcomers.faq, "summarization", "an encoder-decoder"),
        (newcomers.chats, "text-generation", "a causal decoder whose tokenizer has a chat template"),
    ],
)
def test_without_a_base_the_line_to_fill_in_is_marked_and_retrain_says_what_is_missing(init, tmp_path, write, problem, kind):
    source = write(tmp_path, random.Random(6))
    code, outcome, _ = init("first", "--problem", problem, "--data", source, "--json")
    assert code == 0 and outcome["base_needed"] == kind and outcome["next"].startswith("fill in model.base in first.yaml")
    assert f"# fill in: {kind}: a folder" in Path("first.yaml").read_text()
    with pytest.raises(InputError, match=r"model\.base FILL-IN: no such folder; name a local folder, package:NAME/FOLDER or"):
        find_base(load_pipeline(Path("first.yaml")).model.base)


def test_a_given_base_is_checked_and_its_tokens_are_counted(init, tmp_path, llama_folder):
    source = newcomers.faq(tmp_path, random.Random(7))
    code, outcome, said = init("first", "--data", source, "--base", llama_folder, "--json")
    assert code == 0, said
    assert outcome["problem"] == "text-generation" and outcome["base_needed"] is None
    assert outcome["model"]["base"] == str(llama_folder)


def test_rows_without_a_header_are_told(init, tmp_path):
    (tmp_path / "a.csv").write_text("".join(f'"CELL I liked it {n} times, truly",positive\n' for n in range(50)))
    code, _, said = init("first", "--data", "a.csv")
    assert code == 2 and "a.csv: its first line seems to be a row and no header (2 of 2 names" in said and "CELL" not in said


def test_columns_that_fit_no_problem_are_described_and_not_shown(init, tmp_path):
    rows = [[f"CELL {n} is a sentence of its own", ""] for n in range(50)]
    code, _, said = init("first", "--data", newcomers.write_csv(tmp_path / "a.csv", ["body", "answer"], rows))
    assert code == 2 and "`body` holds texts of 6 words; `answer` is empty: name a source with a column" in said
    assert said.count("CELL") == 0


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["refund", "Refund ", "late"], "data.label: some values of `intent` differ in spelling alone"),
        (["ann@example.com", "bob@example.com"], "data.label: 2 of 2 labels hold personal data"),
    ],
)
def test_what_would_stop_a_run_is_told_before_it_is_begun(init, tmp_path, labels, says):
    source = write_tickets(tmp_path, intent=(labels * newcomers.ROWS)[: newcomers.ROWS])
    code, outcome, _ = init("first", "--data", source, "--json")
    assert code == 0 and outcome["fault"].startswith(says) and "example.com" not in json.dumps(outcome)
    with pytest.raises(InputError):
        pipeline = load_pipeline(Path("first.yaml"))
        with loaded_source(pipeline.data, pipeline.problem, tmp_path / "home") as raw:
            check_vocabulary(count_labels(raw.rows, ()), KnownLabels({}), "may_grow")


def test_the_longest_yaml_has_fifteen_lines_and_reads_as_it_was_meant():
    settings = {
        "name": "a", "problem": "p",
        "data": {name: f"{name}: #1" for name in ("source", "separator", "id", "text", "pair", "label", "time", "group", "split")},
        "model": {"base": "two\nlines", "target_tokenizer": "t", "max_length": 3},
        "contract": {"suite": "s", "max_quarantined": 0.1},
    }  # fmt: skip
    comments = {"model.base": "first", "model.max_length": "second", "data.text": "a\nline", "name": "dropped"}
    text = render_yaml(settings, comments, "heading")
    assert len(text.splitlines()) == MOST_LINES and yaml.safe_load(text) == settings
    assert "# first; second" in text and "# a?line" in text and "# heading" in text


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), st.characters(exclude_categories=["Cs"]))
@example("text", "\xa0")
@example("a", "\x85")
@example("=", "\u202e")
def test_a_column_of_any_name_stands_in_the_yaml_as_it_is_and_nobody_is_deceived_of_it(name, end):
    column = name + end
    text = render_yaml({"name": "a", "data": {"text": column}, "model": {"base": column}}, {"data.text": column}, "heading")
    assert yaml.safe_load(text) == {"name": "a", "data": {"text": column}, "model": {"base": column}}
    assert all(line.isprintable() for line in text.split("\n"))


def test_no_name_of_a_column_or_a_file_commands_the_terminal(init, tmp_path):
    rows = "\n".join(f"the parcel number {n} came late again,{'late' if n % 2 else 'soon'}" for n in range(60))
    source = tmp_path / "rows\x1b[2J.csv"
    source.write_text(f"text\x1b[31m\x07,label\u202e\n{rows}\n")
    code, _, said = init("first", "--data", source)
    assert code == 0 and "\x1b" not in said and "\u202e" not in said and "text?[31m?" in said
    data = yaml.safe_load((tmp_path / "first.yaml").read_text())["data"]
    assert (data["text"], data["label"]) == ("text\x1b[31m\x07", "label\u202e") and data["source"] == str(source)
    code, _, said = init("second", "--data", f"{source}.gone")
    assert code == 2 and "\x1b" not in said and "rows?[2J.csv.gone" in said
