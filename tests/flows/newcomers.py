"""Files of rows as newcomers bring them, each in a shape of its own; the words are invented."""

import csv
import json
import random
from pathlib import Path

SUBJECTS = ("the printer", "my parcel", "this invoice", "the app", "your hotline", "our meeting room", "a new phone", "the heating")
VERBS = ("stopped working", "arrived broken", "was cancelled", "looks wonderful", "costs too much", "needs an update", "is gone")
TIMES = ("since yesterday", "for two weeks", "after lunch", "in the last month", "again and again", "on Monday morning")
DETAILS = tuple(f"and number {n} of the list did not help" for n in range(40))
ROWS = 240


def sentence(draw: random.Random) -> str:
    """One of some thousands of sentences."""
    return " ".join(draw.choice(words) for words in (SUBJECTS, VERBS, TIMES, DETAILS))


def write_csv(file: Path, header: list[str], rows: list[list[object]], separator: str = ",") -> str:
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, delimiter=separator).writerows([header, *rows])
    return str(file)


def plain(folder: Path, draw: random.Random) -> str:
    """Headers in capitals."""
    rows = [[sentence(draw), draw.choice(["billing", "delivery", "defect"])] for _ in range(ROWS)]
    return write_csv(folder / "plain.csv", ["TEXT", "LABEL"], rows)


def german(folder: Path, draw: random.Random) -> str:
    """German headers, semicolons, commas in the texts, days as Germans write them, customers that come again."""
    rows = [
        [
            f"K-{draw.randrange(90):04}",
            f"{draw.randint(1, 28)}.{draw.randint(1, 12)}.2025",
            f"Bitte helfen, {sentence(draw)}",
            draw.choice(["Rechnung", "Versand"]),
        ]
        for _ in range(ROWS)
    ]
    return write_csv(folder / "anfragen.csv", ["Kundennummer", "Eingangsdatum", "Kundennachricht", "Kategorie"], rows, ";")


def label_first(folder: Path, draw: random.Random) -> str:
    """Spam as it is usually given out: the label first, tabs between."""
    rows = [[draw.choice(["ham", "spam"]), sentence(draw)] for _ in range(ROWS)]
    return write_csv(folder / "messages.tsv", ["v1", "v2"], rows, "\t")


def indexed(folder: Path, draw: random.Random) -> str:
    """An index that pandas wrote, twice."""
    rows = [[n, n, sentence(draw), draw.choice(["joy", "anger", "fear"])] for n in range(ROWS)]
    return write_csv(folder / "emotions.csv", ["", "Unnamed: 0", "sentence", "emotion"], rows)


def with_empty_columns(folder: Path, draw: random.Random) -> str:
    """A spreadsheet's leftovers: columns without a name, or without a cell."""
    rows = [["", sentence(draw), "", draw.choice(["low", "high"]), "", ""] for _ in range(ROWS)]
    return write_csv(folder / "export.csv", ["remarks", "Beschreibung", "owner", "Priority", "", ""], rows)


def with_line_breaks(folder: Path, draw: random.Random) -> str:
    """Texts of several lines, with quotes and commas in them."""
    rows = [
        [f'Hello,\n"{sentence(draw)}"\n\nbest regards', draw.choice(["complaint", "question"]), f"M{n:05}"] for n in range(ROWS)
    ]
    return write_csv(folder / "mails.csv", ["Mail Body", "mail_type", "mailID"], rows)


def stars(folder: Path, draw: random.Random) -> str:
    """Reviews with one to five stars, a title, and the time of each."""
    rows = [
        [
            n + 1,
            f"2025-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}T10:{n % 60:02}:00Z",
            draw.choice(SUBJECTS),
            sentence(draw),
            draw.randint(1, 5),
        ]
        for n in range(ROWS)
    ]
    return write_csv(folder / "reviews.csv", ["reviewId", "createdAt", "reviewTitle", "reviewText", "stars"], rows, "|")


def yes_or_no(folder: Path, draw: random.Random) -> str:
    """Labels that YAML would read as true and false, some of them missing."""
    rows = [[sentence(draw), "" if n % 10 == 0 else draw.choice(["yes", "no"])] for n in range(ROWS)]
    return write_csv(folder / "toxic.csv", ["comment_text", "is_toxic"], rows)


def tweets(folder: Path, draw: random.Random) -> str:
    """Ids that became floats on their way, a confidence beside the label, users, times in a form of their own."""
    rows = [
        [
            f"{5.7e17 + n * 1e12:.6e}",
            draw.choice(["positive", "neutral", "negative"]),
            f"{draw.random():.4f}",
            draw.choice(["North Air", "South Air", "West Air"]),
            f"user{draw.randrange(150)}",
            sentence(draw),
            f"2/{n % 28 + 1}/15 11:{n % 60:02}",
        ]
        for n in range(ROWS)
    ]
    return write_csv(
        folder / "tweets.csv",
        ["tweet_id", "airline_sentiment", "airline_sentiment_confidence", "airline", "name", "text", "tweet_created"],
        rows,
    )


def faq(folder: Path, draw: random.Random) -> str:
    """Questions with their answers, as JSON."""
    rows = [
        {"Question": f"Why is it that {sentence(draw)}?", "Answer": f"Because {sentence(draw)}", "tags": ["a", "b"]}
        for _ in range(ROWS)
    ]
    (folder / "faq.json").write_text(json.dumps(rows))
    return str(folder / "faq.json")


def prices(folder: Path, draw: random.Random) -> str:
    """A number to be said of each text, some of them missing."""
    rows = [[sentence(draw), "" if n % 50 == 0 else f"{draw.uniform(1, 90):.2f}"] for n in range(ROWS)]
    return write_csv(folder / "offers.csv", ["Angebotstext", "Preis"], rows, ";")


def questions(folder: Path, draw: random.Random) -> str:
    """Two questions beside one another, and whether they ask the same."""
    rows = [[n, sentence(draw), sentence(draw), draw.randint(0, 1)] for n in range(ROWS)]
    return write_csv(folder / "questions.csv", ["pair_id", "question1", "question2", "is_duplicate"], rows)


def tagged(folder: Path, draw: random.Random) -> str:
    """Any number of labels in a cell."""
    rows = [
        [sentence(draw), ", ".join(draw.sample(["urgent", "billing", "defect", "praise"], draw.randint(0, 3)))] for _ in range(ROWS)
    ]
    return write_csv(folder / "tagged.csv", ["message", "tags"], rows)


def chats(folder: Path, draw: random.Random) -> str:
    """Conversations as ShareGPT writes them, among them some that break off."""
    rows = [
        {
            "id": f"c{n}",
            "conversations": [
                {"from": role, "value": sentence(draw)}
                for role in ("system", *("human", "gpt") * draw.randint(1, 3))[: 2 if n % 60 == 0 else 9]
            ],
        }
        for n in range(ROWS)
    ]
    (folder / "chats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(folder / "chats.jsonl")


def named_entities(folder: Path, draw: random.Random) -> str:
    """A list of spans in a cell, as JSON."""
    rows = []
    for _ in range(ROWS):
        text = sentence(draw)
        end = text.index(" ")
        rows.append([text, json.dumps([{"start_position": 0, "end_position": end, "entity_type": draw.choice(["NAME", "PLACE"])}])])
    return write_csv(folder / "entities.csv", ["full_text", "spans"], rows)


def tagged_words(folder: Path, draw: random.Random) -> str:
    """A tag for each word."""
    with (folder / "words.jsonl").open("w") as file:
        for _ in range(ROWS):
            words = sentence(draw).split()
            tags = [draw.choice(["B-NAME", "B-PLACE"]), *("O" for _ in words[1:])]
            file.write(json.dumps({"tokens": words, "ner_tags": tags}) + "\n")
    return str(folder / "words.jsonl")


def rankings(folder: Path, draw: random.Random) -> str:
    """Queries with eight documents each, as search teams rate them."""
    queries = [sentence(draw) for _ in range(ROWS // 8)]
    rows = [[query, sentence(draw), draw.choice([0, 0, 0, 1, 2])] for query in queries for _ in range(8)]
    return write_csv(folder / "rated.csv", ["query", "document", "relevance"], rows)


def triplets(folder: Path, draw: random.Random) -> str:
    """What vectors are usually trained on."""
    rows = [{"anchor": sentence(draw), "positive": sentence(draw), "negative": sentence(draw)} for _ in range(ROWS)]
    (folder / "triplets.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(folder / "triplets.jsonl")


def similarities(folder: Path, draw: random.Random) -> str:
    """Two sentences and how alike people found them."""
    rows = [[sentence(draw), sentence(draw), draw.randint(0, 25) / 5] for _ in range(ROWS)]
    return write_csv(folder / "similar.tsv", ["sentence1", "sentence2", "score"], rows, "\t")


def squad(folder: Path, draw: random.Random) -> str:
    """Questions on texts as SQuAD has them, a third of them without an answer."""
    lines = []
    for number in range(ROWS):
        context = " ".join(f"{sentence(draw)}." for _ in range(6))
        subject = draw.choice(SUBJECTS)
        held = subject in context and number % 3
        answers = {"text": [subject], "answer_start": [context.index(subject)]} if held else {"text": [], "answer_start": []}
        row = {"id": f"q{number:06x}", "title": "Hotline", "context": context, "question": f"Which one {draw.choice(VERBS)}?"}
        lines.append(json.dumps({**row, "answers": answers}))
    (folder / "squad.jsonl").write_text("\n".join(lines))
    return str(folder / "squad.jsonl")


# writer of a file -> the columns that are to be found: setting under `data` -> column
NEWCOMERS = {
    plain: {"text": "TEXT", "label": "LABEL"},
    german: {"text": "Kundennachricht", "label": "Kategorie", "group": "Kundennummer"},
    label_first: {"text": "v2", "label": "v1"},
    indexed: {"text": "sentence", "label": "emotion"},
    with_empty_columns: {"text": "Beschreibung", "label": "Priority"},
    with_line_breaks: {"text": "Mail Body", "label": "mail_type", "id": "mailID"},
    stars: {"text": "reviewText", "label": "stars", "id": "reviewId", "time": "createdAt"},
    yes_or_no: {"text": "comment_text", "label": "is_toxic"},
    tweets: {"text": "text", "label": "airline_sentiment"},
    prices: {"text": "Angebotstext", "number": "Preis"},
    questions: {"id": "pair_id", "text": "question1", "text_pair": "question2", "label": "is_duplicate"},
    rankings: {"text": "query", "text_pair": "document", "number": "relevance"},
    triplets: {"text": "anchor", "text_pair": "positive", "negative": "negative"},
    similarities: {"text": "sentence1", "text_pair": "sentence2", "number": "score"},
    tagged: {"text": "message", "labels": "tags"},
    chats: {"id": "id", "messages": "conversations"},
    named_entities: {"text": "full_text", "spans": "spans"},
    tagged_words: {"words": "tokens", "tags": "ner_tags"},
    squad: {"id": "id", "question": "question", "context": "context", "answers": "answers"},
    faq: {"prompt": "Question", "completion": "Answer"},
}
