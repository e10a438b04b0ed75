"""The messages of models that read two texts, beside those of /predict."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Discriminator, Field, StringConstraints, Tag, TypeAdapter

from configs.schema import Pipeline, ProblemName, facts_of
from tasks.data.text_parts import join_parts
from tasks.serving.http.strict_model import make_model


class Ranked(BaseModel):
    """A document by its place in the request, and its relevance in the unit of the training data; feedback refers to its `id`."""

    id: str
    index: int
    relevance_score: float


class Ranking(BaseModel):
    """The documents, the most relevant first."""

    results: list[Ranked]
    version: str


class Vector(BaseModel):
    """The vector of a text, of length 1."""

    vector: list[float]
    version: str


class Vectors(BaseModel):
    """The vectors of texts, in their order."""

    vectors: list[list[float]]
    version: str


class PairMessages:
    """The types of one service, within its limits: `rerank` and `embed` read a body's bytes."""

    def __init__(self, problem: ProblemName, max_rows: int, max_characters: int) -> None:
        first, second = facts_of(problem).examples
        text: Any = Annotated[str, StringConstraints(max_length=max_characters)]
        documents = Field(min_length=1, max_length=max_rows, examples=[[second, first]])
        top: Any = (int | None, Field(None, ge=1, description="so many of the most relevant; default: all"))
        rerank = make_model(
            "RerankQuestion",
            "A query and the documents to be ordered for it.",
            {
                "query": (text, Field(examples=[first])),
                "documents": (list[text], documents),
                "top_n": top,
            },
        )
        self.rerank: TypeAdapter[Any] = TypeAdapter(rerank)
        self.OneText = make_model("EmbedText", "One text.", {"text": (text, Field(examples=[first]))})
        many = Field(min_length=1, max_length=max_rows, examples=[[first, second]])
        several = make_model("EmbedTexts", "Many texts.", {"texts": (list[text], many)})
        either: Any = Annotated[Annotated[self.OneText, Tag("one")] | Annotated[several, Tag("many")], Discriminator(_tag_of)]
        self.embed: TypeAdapter[Any] = TypeAdapter(either)

    @staticmethod
    def pairs_of(asked: Any) -> list[str]:
        """The inputs of a query with its documents."""
        return [join_parts((asked.query, document)) for document in asked.documents]


def _tag_of(value: object) -> str | None:
    """Whether a question is one text or many; None where it is neither."""
    fields = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return "many" if "texts" in fields else "one" if "text" in fields else None


def first_question(pipeline: Pipeline) -> tuple[str, str]:
    """A path to ask, and what to send there."""
    if pipeline.facts.ranks:
        return "/rerank", '{"query": "...", "documents": ["...", "..."]}'
    if pipeline.facts.embeds:
        return "/embed", '{"texts": ["...", "..."]}'
    if pipeline.facts.finds_answers:
        return "/predict", '{"question": "...", "context": "..."}'
    if pipeline.inputs == "messages":
        return "/predict", '{"messages": [{"role": "user", "content": "..."}]}'
    return "/predict", '{"text": "...", "text_pair": "..."}' if pipeline.data.text_pair is not None else '{"text": "..."}'
