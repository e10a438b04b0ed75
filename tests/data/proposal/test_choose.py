"""Which columns play which part, and for which problem, by what their cells are like and what they are called."""

import random

import pytest

from configs.schema.problems import FACTS
from tasks.data.proposal.choose import candidates, choose_problem, choose_row_columns, with_context_group
from tasks.data.proposal.column_facts import describe_columns
from tasks.data.proposal.column_names import ENDING, EXACT, LAST, PART, match_name, name_parts
from tasks.data.proposal.roles import roles_of
from tasks.data.proposal.sample import RowSample
from tasks.data.sources.source_files import File

WORDS = ("river", "stone", "little", "bright", "window", "garden", "under", "slowly", "morning", "letter", "seven", "paper")


def texts(n, words, seed=0):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=words)) for _ in range(n)]


def facts(**columns):
    return describe_columns(RowSample((File("a", "a", "csv"),), columns, True))


def chosen(among=None, **columns):
    found = choose_problem(facts(**columns), [each for each in candidates() if among in (None, each.name)])
    return None if found is None else (found[0].candidate.name, {name: column.name for name, column in found[0].columns.items()})


def test_every_problem_has_roles():
    """A new setting that a problem reads is one more Role in ROLES."""
    for each in FACTS.values():
        assert [role.setting for role in roles_of(each)] == list(each.own_columns) or each.has_spans  # which nobody proposes yet


LABELS = ["x", "y", "z"] * 30
FITTING = [
    ({"a": texts(90, 9), "b": LABELS}, "text-classification", "a", "b"),
    (
        {"stars": [1, 2, 3, 4, 5] * 18, "price": [n / 7 for n in range(90)], "note": texts(90, 9)},
        "text-classification",
        "note",
        "stars",
    ),
    ({"text": [f"{n}日本語の文章です" for n in range(90)], "label": LABELS}, "text-classification", "text", "label"),
    ({"question": texts(90, 9), "answer": texts(90, 7, 1)}, "text-generation", "question", "answer"),
    ({"word": [f"word{n}" for n in range(90)], "phonemes": [f"waː{n}" for n in range(90)]}, "text-generation", "word", "phonemes"),
    (
        {"instruction": texts(90, 9), "input": [None] * 60 + texts(30, 5, 2), "output": texts(90, 7, 1)},
        "text-generation",
        "instruction",
        "output",
    ),
    ({"post": texts(90, 9), "tags": ["red", "red,blue", "blue, green"] * 30}, "multi-label-classification", "post", "tags"),
    ({"a": texts(90, 9), "b": [["red"], ["red", "blue"], []] * 30}, "multi-label-classification", "a", "b"),
    ({"review": texts(90, 9), "score": [n / 7 for n in range(90)]}, "text-regression", "review", "score"),
    (
        {"body": texts(90, 9), "minutes": [n * 7 % 83 for n in range(90)], "id": list(range(90))},
        "text-regression",
        "body",
        "minutes",
    ),
    ({"a": texts(90, 9), "b": [[{"start": 0, "end": 3, "label": "X"}], []] * 45}, "token-classification", "a", "b"),
    ({"a": texts(90, 9), "b": ['[[0, 3, "X"]]', "[]", ""] * 30, "c": LABELS}, "token-classification", "a", "b"),
    (
        {"a": [text.split() for text in texts(90, 3)], "b": [["O", "B-X", "I-X"], ["O", "O", "O"]] * 45},
        "token-classification",
        "a",
        "b",
    ),
    ({"a": texts(90, 3), "b": ["O X X", "O O O", "X O Y"] * 30}, "token-classification", "a", "b"),
    ({"english": texts(90, 9), "german": texts(90, 9, 1)}, "text-generation", "english", "german"),
    (
        {"document": texts(90, 9, 2), "query": texts(6, 3, 1) * 15, "relevance": [0, 0, 1] * 30},
        "text-ranking",
        "query",
        "relevance",
    ),
    (
        {"sentence1": texts(90, 9), "sentence2": texts(90, 9, 1), "score": [n % 11 / 2 for n in range(90)]},
        "sentence-similarity",
        "sentence1",
        "score",
    ),
    ({"document": texts(90, 9), "summary": texts(90, 3, 1)}, "summarization", "document", "summary"),
    ({"article": texts(90, 150), "highlights": texts(90, 12, 1)}, "summarization", "article", "highlights"),
]


@pytest.mark.parametrize(("columns", "problem", "reads", "says"), FITTING)
def test_the_problem_and_its_columns_are_those_that_fit_best(columns, problem, reads, says):
    name, taken = chosen(**columns)
    assert (name, *(column for setting, column in taken.items() if setting != "text_pair")) == (problem, reads, says)
    assert ("text_pair" in taken) == FACTS[name].needs_pairs


@pytest.mark.parametrize("names", [("anchor", "positive"), ("anchor", "positive", "negative"), ("query", "positive")])
def test_pairs_that_belong_together_are_known_by_their_names(names):
    columns = {name: texts(90, 9, seed) for seed, name in enumerate(names)}
    settings = ("text", "text_pair", "negative")[: len(names)]
    assert chosen(**columns) == ("text-retrieval", dict(zip(settings, names, strict=True)))
    assert chosen(query=texts(90, 9), answer=texts(90, 9, 1))[0] == "text-generation"


HELD = texts(90, 30)
IN_FIRST = [text.split()[3] for text in HELD]
PLACED = [{"text": ["river"], "answer_start": [0]}, {"text": [], "answer_start": []}] * 45


@pytest.mark.parametrize(
    "columns",
    [
        {"question": ["who is it?"] * 90, "passage": HELD, "answer": IN_FIRST},
        {"kontext": HELD, "frage": texts(90, 6, 3), "antwort": [None if n % 3 else word for n, word in enumerate(IN_FIRST)]},
        {"q": texts(90, 7, 4), "c": HELD, "a": PLACED},
        {"id": list(range(90)), "title": ["x"] * 90, "context": HELD, "question": texts(90, 7, 4), "answers": PLACED},
    ],
)
def test_answers_that_stand_in_another_column_or_have_their_places_show_questions_on_a_text(columns):
    name, taken = chosen(**columns)
    assert name == "question-answering" and set(taken.values()) == columns.keys() - {"id", "title"}
    assert columns[taken["context"]] is HELD and list(taken) == ["question", "context", "answers"]
    apart = {**columns, taken["answers"]: [f"word{n}" for n in range(90)]}
    assert chosen(**apart)[0] != "question-answering"


@pytest.mark.parametrize(("each", "group"), [(1, None), (3, "passage"), (45, None)])
def test_questions_that_share_contexts_are_grouped_by_them(each, group):
    shared = [HELD[n // each] for n in range(90)]
    columns = facts(question=texts(90, 7, 4), passage=shared, answer=[text.split()[3] for text in shared])
    choice, _ = choose_problem(columns, candidates())
    rows = with_context_group(choose_row_columns(columns, [column.name for column in choice.columns.values()]), choice)
    assert choice.candidate.name == "question-answering" and (rows.group and rows.group.name) == group


@pytest.mark.parametrize("columns", [{"text": texts(90, 9)}, {"n": list(range(90)), "m": list(range(90))}, {"text": [None] * 9}])
def test_where_nothing_is_to_be_answered_no_problem_fits(columns):
    assert chosen(**columns) is None


def test_a_named_problem_gets_the_columns_that_suit_it():
    columns = {"question": texts(90, 9), "answer": texts(90, 7, 1), "topic": ["x", "y", "z"] * 30}
    assert chosen("text-classification", **columns) == ("text-classification", {"text": "question", "label": "topic"})
    assert chosen("text2text-generation", **columns) == ("text2text-generation", {"prompt": "question", "completion": "answer"})


@pytest.mark.parametrize(
    ("first", "second"), [("premise", "hypothesis"), ("question1", "question2"), ("sentence_A", "sentence_B"), ("Text 1", "Text 2")]
)
def test_two_texts_that_are_called_as_a_pair_are_read_beside_one_another(first, second):
    pair = {second: texts(90, 9, 1), first: texts(90, 7), "label": LABELS}
    taken = {"text": first, "text_pair": second, "label": "label"}
    name, found = chosen(**pair)
    assert (name, list(found.items())) == ("text-classification", list(taken.items()))
    assert chosen(**{first: texts(90, 7), "other": texts(90, 9), "label": LABELS})[1].keys() == {"text", "label"}


def row_columns(**columns):
    found = choose_row_columns(facts(**columns), [])
    return {name: getattr(value, "name", value) for name, value in vars(found).items() if value is not None}


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"ticket_id": [f"t{n}" for n in range(90)]}, {"id": "ticket_id"}),
        ({"Unnamed: 0": list(range(90)), "index": list(range(90))}, {}),  # row numbers
        ({"id": list(range(7, 97))}, {"id": "id"}),
        ({"id": [n // 2 for n in range(90)]}, {}),  # not unique
        ({"id": [None, *range(89)]}, {}),  # not everywhere
        ({"tweet_id": [f"{5e17 + n * 1e13:.5e}" for n in range(90)]}, {"rounded_id": "tweet_id"}),
        ({"at": [f"2025-01-{n % 28 + 1:02}" for n in range(90)]}, {"time": "at"}),
        ({"at": ["2025-01-01"] * 90}, {}),  # one moment
        ({"due": [f"2099-01-{n % 28 + 1:02}" for n in range(90)]}, {}),  # no row's time can lie ahead
        ({"when": [f"{n % 28 + 1:02}.01.2025" for n in range(90)]}, {"foreign_time": "when"}),
        ({"number": [2000 + n for n in range(90)]}, {"id": "number"}),  # a year only under a name that says so
        ({"year": [1930 + n for n in range(90)]}, {"time": "year"}),
        ({"customer": [f"c{n % 30}" for n in range(90)]}, {"group": "customer"}),
        ({"Kundennr": [n % 30 for n in range(90)]}, {"group": "Kundennr"}),
        ({"user": ["bot"] * 60 + [f"u{n}" for n in range(30)]}, {}),  # one with most rows
        ({"user_timezone": [f"z{n % 30}" for n in range(90)]}, {}),
        ({"fold": ["train", "test", "validation"] * 30}, {"split": "fold"}),
        ({"fold": ["train", "dev", "test"] * 30}, {}),  # no name that is read
    ],
)
def test_the_columns_of_a_row_are_those_that_a_run_can_read(columns, found):
    assert row_columns(**columns) == found


@pytest.mark.parametrize(
    ("name", "hint", "much"),
    [
        ("review_text", "text", LAST),
        ("ReviewText", "text", LAST),
        ("text_en", "text", PART),
        ("TEXTS", "text", EXACT),
        ("Kundennachricht", "nachricht", ENDING),
        ("Gefühl", "gefuehl", EXACT),
        ("Catégorie", "categorie", EXACT),
        ("prefix", "fix", 0.0),
        ("", "text", 0.0),
    ],
)
def test_a_name_is_understood_however_it_is_written(name, hint, much):
    assert match_name(name, (hint,)) == much


def test_a_name_falls_into_its_words():
    assert name_parts("knownRansomwareUse") == ("known", "ransomware", "use") and name_parts("user-ID 2") == ("user", "id", "2")
