"""The questions of one service, one input or many in each: texts, two texts beside one another, or conversations."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    FailFast,
    Field,
    StringConstraints,
    Tag,
    TypeAdapter,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from tasks.data.text_parts import join_parts, plain_part
from tasks.data.turns import ASSISTANT, Turn, order_fault, write_turns
from tasks.serving.http.strict_model import StrictModel

Inputs = Literal["text", "pair", "messages"]
MOST_MESSAGES = 500
FORMS: dict[Inputs, str] = {
    "text": '{"text": "..."} or {"texts": ["...", ...]}',
    "pair": '{"text": "...", "text_pair": "..."} or {"texts": [{"text": ..., "text_pair": ...}, ...]}',
    "messages": '{"messages": [{"role": "user", "content": "..."}]} or {"conversations": [{"messages": [...]}, ...]}',
}


def strict_model(name: str, description: str, fields: dict[str, tuple[Any, Any]]) -> Any:
    """A type of that name; whatever else is in a body is refused."""
    return create_model(name, __base__=StrictModel, __doc__=description, **fields)  # type: ignore[call-overload]


class Questions:
    """The types of a service's questions, within its limits: `One` with one input, `Many` with several.

    `adapter` reads a body as either; `field` and `fields` are the keys that they begin with.
    """

    def __init__(self, inputs: Inputs, examples: tuple[str, str], max_rows: int, max_characters: int) -> None:
        self.inputs, self.texts = inputs, examples
        self.field, self.fields = ("messages", "conversations") if inputs == "messages" else ("text", "texts")
        text: Any = Annotated[str, StringConstraints(max_length=max_characters)]
        self.One = self._one_type(text, max_characters)
        each: Any = text if inputs == "text" else self.One
        many = Field(min_length=1, max_length=max_rows, examples=[self.examples["many"][self.fields]])
        self.Many = strict_model("Questions", "Many inputs.", {self.fields: (list[each], many)})
        either: Any = Annotated[Annotated[self.One, Tag("one")] | Annotated[self.Many, Tag("many")], Discriminator(self._tag)]
        self.adapter: TypeAdapter[Any] = TypeAdapter(either)

    def _one_type(self, text: Any, max_characters: int) -> type[BaseModel]:
        example = self.examples["one"]
        fields = {name: (text, Field(examples=[value])) for name, value in example.items()}
        if self.inputs == "messages":
            fields = _messages_field(text, max_characters, example)
        one: type[BaseModel] = strict_model("Question", "One input.", fields)
        return one

    @property
    def examples(self) -> dict[str, dict[str, Any]]:
        """A body of each kind."""
        each = [self._example(*texts) for texts in (self.texts, self.texts[::-1])]
        return {"one": each[0], "many": {self.fields: self.texts if self.inputs == "text" else each}}

    def _example(self, first: str, second: str) -> dict[str, Any]:
        match self.inputs:
            case "text":
                return {"text": first}
            case "pair":
                return {"text": first, "text_pair": second}
            case "messages":
                return {"messages": [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": first}]}

    def inputs_of(self, question: Any) -> list[str]:
        """The inputs of a question, one for each answer."""
        questions: list[Any] = [question] if isinstance(question, self.One) else getattr(question, self.fields)
        match self.inputs:
            case "text":
                return [plain_part(each if isinstance(each, str) else each.text) for each in questions]
            case "pair":
                return [join_parts((each.text, each.text_pair)) for each in questions]
            case "messages":
                return [write_turns(Turn(message.role, message.content) for message in each.messages) for each in questions]

    def place_of(self, question: Any, place: int) -> str:
        """Where in a body one of its inputs stands."""
        return f"body.{self.field}" if isinstance(question, self.One) else f"body.{self.fields}.{place}"

    def _tag(self, value: object) -> str | None:
        keys = value if isinstance(value, dict) else getattr(value, "__dict__", {})
        return "many" if self.fields in keys else "one" if self.field in keys else None


def _messages_field(text: Any, max_characters: int, example: dict[str, Any]) -> dict[str, tuple[Any, FieldInfo]]:
    """Messages that can be answered: in order, the last of the user, together within the limit of a text."""
    role: Any = Literal["system", "user", "assistant"]
    message = strict_model("Message", "What one side said.", {"role": (role, Field()), "content": (text, Field())})

    def check_turns(messages: list[Any]) -> list[Any]:
        if fault := order_fault([each.role for each in messages]):
            raise PydanticCustomError("order", "The conversation {fault}", {"fault": fault})
        if messages[-1].role == ASSISTANT:
            raise PydanticCustomError("order", "The conversation ends with the assistant: there is nothing to answer")
        if (size := sum(len(each.content) for each in messages)) > max_characters:
            sizes = {"size": f"{size:,}", "most": f"{max_characters:,}"}
            raise PydanticCustomError("too_many_characters", "{size} characters in all are over {most}, data.max_characters", sizes)
        return messages

    turns: Any = Annotated[list[message], FailFast(), AfterValidator(check_turns)]  # type: ignore[valid-type]
    return {"messages": (turns, Field(min_length=1, max_length=MOST_MESSAGES, examples=[example["messages"]]))}
