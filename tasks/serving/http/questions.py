"""The questions of one service, one input or many in each: texts, two texts beside one another, or conversations."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    FailFast,
    Field,
    StringConstraints,
    Tag,
    TypeAdapter,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from tasks.data.text_parts import join_parts, plain_part
from tasks.data.turns import Turn, question_fault, write_turns
from tasks.serving.http.strict_model import make_model

Inputs = Literal["text", "pair", "messages"]
MOST_MESSAGES = 500


class QuestionFields(NamedTuple):
    """The keys of a question: its text, the one beside it, and the list of many."""

    text: str
    pair: str
    many: str


TEXTS, QUESTIONS = QuestionFields("text", "text_pair", "texts"), QuestionFields("question", "context", "questions")
CHATS = QuestionFields("messages", "", "conversations")


class Questions:
    """The types of a service's questions, within its limits: `One` with one input, `Many` with several.

    `adapter` reads a body as either; `fields` are the keys that it looks for.
    """

    def __init__(
        self, inputs: Inputs, fields: QuestionFields, examples: tuple[str, str], max_rows: int, max_characters: int
    ) -> None:
        self.inputs, self.texts = inputs, examples
        self.fields = CHATS if inputs == "messages" else fields
        text: Any = Annotated[str, StringConstraints(max_length=max_characters)]
        self.One = self._one_type(text, max_characters)
        each: Any = text if inputs == "text" else self.One
        many = Field(min_length=1, max_length=max_rows, examples=[self.examples["many"][self.fields.many]])
        self.Many = make_model("Questions", "Many inputs.", {self.fields.many: (list[each], many)})
        either: Any = Annotated[Annotated[self.One, Tag("one")] | Annotated[self.Many, Tag("many")], Discriminator(self._tag)]
        self.adapter: TypeAdapter[Any] = TypeAdapter(either)

    def _one_type(self, text: Any, max_characters: int) -> type[BaseModel]:
        example = self.examples["one"]
        fields = {name: (text, Field(examples=[value])) for name, value in example.items()}
        if self.inputs == "messages":
            fields = _messages_field(text, max_characters, example)
        one: type[BaseModel] = make_model("Question", "One input.", fields)
        return one

    @property
    def examples(self) -> dict[str, dict[str, Any]]:
        """A body of each kind."""
        one = self._example(*self.texts)
        match self.inputs:
            case "text":
                many = list[Any](self.texts)
            case "pair":  # which of two texts comes first says what it is
                many = [one]
            case "messages":
                many = [one, self._example(*self.texts[::-1])]
        return {"one": one, "many": {self.fields.many: many}}

    def _example(self, first: str, second: str) -> dict[str, Any]:
        match self.inputs:
            case "text":
                return {self.fields.text: first}
            case "pair":
                return {self.fields.text: first, self.fields.pair: second}
            case "messages":
                return {"messages": [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": first}]}

    def inputs_of(self, question: Any) -> list[str]:
        """The inputs of a question, one for each answer."""
        questions: list[Any] = [question] if isinstance(question, self.One) else getattr(question, self.fields.many)
        match self.inputs:
            case "text":
                return [plain_part(each if isinstance(each, str) else getattr(each, self.fields.text)) for each in questions]
            case "pair":
                return [join_parts(getattr(each, name) for name in self.fields[:2]) for each in questions]
            case "messages":
                return [write_turns(Turn(message.role, message.content) for message in each.messages) for each in questions]

    def place_of(self, question: Any, place: int, part: int | None) -> str:
        """Where in a body one of its inputs stands, or one of the texts of that."""
        each = "body" if isinstance(question, self.One) else f"body.{self.fields.many}.{place}"
        if self.inputs == "messages" and part is not None:
            return f"{each}.messages.{part // 2}.content"
        if self.inputs == "pair" and part is not None:
            return f"{each}.{self.fields[part]}"
        return f"body.{self.fields.text}" if each == "body" else each

    def _tag(self, value: object) -> str | None:
        keys = value if isinstance(value, dict) else getattr(value, "__dict__", {})
        return "many" if self.fields.many in keys else "one" if self.fields.text in keys else None

    @property
    def expected(self) -> str:
        """A question in words, for refusals."""
        text, pair, many = self.fields
        match self.inputs:
            case "text":
                form = f'{{"{text}": "..."}} or {{"{many}": ["...", ...]}}'
            case "pair":
                each = f'{{"{text}": "...", "{pair}": "..."}}'
                form = f'{each} or {{"{many}": [{each}, ...]}}'
            case "messages":
                form = '{"messages": [{"role": "user", "content": "..."}]} or {"conversations": [{"messages": [...]}, ...]}'
        return f"{form} as application/json"


def _messages_field(text: Any, max_characters: int, example: dict[str, Any]) -> dict[str, tuple[Any, FieldInfo]]:
    """Messages that can be answered: in order, the last of the user, together within the limit of a text."""
    role: Any = Literal["system", "user", "assistant"]
    message = make_model("Message", "What one side said.", {"role": (role, Field()), "content": (text, Field())})

    def check_turns(messages: list[Any]) -> list[Any]:
        if fault := question_fault([each.role for each in messages]):
            raise PydanticCustomError("order", "The conversation {fault}", {"fault": fault})
        if (size := sum(len(each.content) for each in messages)) > max_characters:
            sizes = {"size": f"{size:,}", "most": f"{max_characters:,}"}
            raise PydanticCustomError("too_many_characters", "{size} characters in all are over {most}, data.max_characters", sizes)
        return messages

    turns: Any = Annotated[list[message], FailFast(), AfterValidator(check_turns)]  # type: ignore[valid-type]
    return {"messages": (turns, Field(min_length=1, max_length=MOST_MESSAGES, examples=[example["messages"]]))}
