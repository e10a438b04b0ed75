"""A request for vectors of texts, and its answer, in OpenAI's form."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from tasks.serving.http.openai.requests import IGNORED, Prompts, StrictRequest


class EmbeddingRequest(StrictRequest):
    """Texts to be given vectors."""

    model: str = Field(description="the model's name, or its name@version")
    input: Prompts
    encoding_format: Literal["float", "base64"] = Field("float", description="base64: of little-endian 32-bit floats")

    @classmethod
    def asks_nothing(cls, name: str, value: object) -> bool:
        return value is None or name in IGNORED


class Embedding(BaseModel):
    """The vector of one text, of length 1; `index` is the text's place in the request."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Tokens that were read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """Vectors in the order of the texts; `model` is the version that gave them."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
