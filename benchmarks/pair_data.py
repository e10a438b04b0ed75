"""Files of rows with two texts each, made from banking77: queries with documents, pairs that belong together, pairs with a score."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.accuracy import DATA
from benchmarks.problem_data import write_pairs


def write_rankings(folder: Path, most: int) -> list[str]:
    """banking77's questions as queries, each with 10 to 20 others: 1 to 3 of its intent, of the rest half those most alike by TF-IDF.

    Documents are questions of the train file; at most `most` rows to train on, 300 queries to test on. Drawn by a fixed seed.
    """
    known, asked = (pd.read_csv(DATA / "banking77" / f"{file}.csv") for file in ("train", "test"))
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    vectors = vectorizer.fit_transform(known["text"])
    texts, intents = known["text"].tolist(), known["category"].to_numpy()
    for name, rows, count in (("rankings", known, most // 15), ("rankings_test", asked, 300)):
        draw, pairs = random.Random(0), []
        for place in draw.sample(range(len(rows)), count):
            query, intent = rows["text"][place], rows["category"][place]
            alike = np.argsort(-(vectors @ vectorizer.transform([query]).T).toarray().ravel(), kind="stable")
            other = [int(each) for each in alike if intents[each] != intent]
            same = [each for each in np.flatnonzero(intents == intent).tolist() if texts[each] != query]
            right, hard = draw.sample(same, draw.randint(1, 3)), draw.randint(4, 8)
            chosen = [*right, *draw.sample(other[: 3 * hard], hard), *draw.sample(other[3 * hard :], draw.randint(5, 9))]
            draw.shuffle(chosen)
            pairs += [{"query": query, "document": texts[each], "relevance": int(intents[each] == intent)} for each in chosen]
        pd.DataFrame(pairs).to_csv(folder / f"{name}.csv", index=False)
    return [f"data.source={folder / 'rankings.csv'}", f"data.test={folder / 'rankings_test.csv'}"]


def write_partners(folder: Path, most: int) -> list[str]:
    """banking77's questions, each beside the one question of the train file that stands for its intent, drawn by a fixed seed.

    That one is no row's own question; at most `most` rows to train on.
    """
    known, asked = (pd.read_csv(DATA / "banking77" / f"{file}.csv") for file in ("train", "test"))
    chosen = known.groupby("category")["text"].apply(lambda texts: random.Random(texts.iloc[0]).choice(texts.tolist()))
    known = known[~known["text"].isin(chosen)].sample(most, random_state=0)
    for name, rows in (("partners", known), ("partners_test", asked)):
        pairs = pd.DataFrame({"anchor": rows["text"], "positive": rows["category"].map(chosen)})
        pairs.to_csv(folder / f"{name}.csv", index=False)
    return [f"data.source={folder / 'partners.csv'}", f"data.test={folder / 'partners_test.csv'}"]


def write_scores(folder: Path, most: int) -> list[str]:
    """The pairs of `write_pairs`, with 1 for one intent and 0 for two as their score."""
    write_pairs(folder, most)
    for name in ("pairs", "pairs_test"):
        rows = pd.read_csv(folder / f"{name}.csv")
        rows.assign(same=(rows["same"] == "yes").astype(int)).to_csv(folder / f"{name}.csv", index=False)
    return [f"data.source={folder / 'pairs.csv'}", f"data.test={folder / 'pairs_test.csv'}"]
