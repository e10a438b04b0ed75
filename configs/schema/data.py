"""Where the data come from, how they are prepared, and what they must meet."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from configs.schema.section import Fraction, Frozen, Moment
from configs.schema.splits import GivenSplit, HashSplit, TimeSplit

Entity = Literal[
    "EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS", "US_SSN", "URL", "CRYPTO", "MAC_ADDRESS",
    "PERSON", "LOCATION", "ORGANIZATION",
]  # fmt: skip
PATTERN_ENTITIES: tuple[Entity, ...] = (
    "EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS", "US_SSN", "CRYPTO", "MAC_ADDRESS",
)  # fmt: skip


class Redact(Frozen):
    """Personal data become typed placeholders, the same for equal values, under this installation's key."""

    enabled: bool = True
    entities: tuple[Entity, ...] = PATTERN_ENTITIES
    ner_model: str | None = Field(None, description="folder or hub name of a token-classification model for names and places")
    labels: Literal["refuse", "keep"] = Field(
        "refuse", description="labels that hold personal data: refused, or kept as they are in snapshots, models and MLflow"
    )

    @model_validator(mode="after")
    def _names_need_a_model(self) -> Self:
        name_kinds = {"PERSON", "LOCATION", "ORGANIZATION"} & set(self.entities)
        if name_kinds and self.ner_model is None:
            raise ValueError(
                f"{', '.join(sorted(name_kinds))} cannot be found by patterns: set ner_model, or drop them from entities"
            )
        return self


class Deduplicate(Frozen):
    """Exact copies always go; near copies go where their word shingles overlap by at least `threshold` (Jaccard, MinHash)."""

    enabled: bool = True
    threshold: Fraction = 0.85


class Window(Frozen):
    """Only rows whose time lies in [start, end) take part."""

    start: Moment | None = None
    end: Moment | None = None

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        start, end = _read_moment(self.start), _read_moment(self.end)
        if start and end and start >= end:
            raise ValueError(f"start ({self.start}) is not before end ({self.end}): no row lies between them; correct one of them")
        return self


def _read_moment(text: str | None) -> datetime | None:
    """A time in UTC; None where the text is no time in a known form, which reading the rows reports."""
    try:
        read = datetime.fromisoformat(text or "")
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


TABLES = ("postgresql+psycopg2", "sqlite")


def is_table(source: str) -> bool:
    """Whether a source is a table of a database: DIALECT://HOST/DATABASE/TABLE."""
    return "://" in source and source.partition("://")[0] in TABLES


def _check_port(address: str) -> None:
    """Refuse an address with an invalid port; the error does not repeat the address, as it may hold a login."""
    try:
        wrong = urlsplit(address).port == 0
    except ValueError:
        wrong = True
    if wrong:
        raise ValueError("a source has an address that is none: a port is a number from 1 to 65535")


class Data(Frozen):
    source: str | tuple[str, ...] = Field(
        description="file, folder, glob, address (s3://, https://...), hf://dataset/split or DIALECT://HOST/DATABASE/TABLE; "
        "the full current state of the data"
    )
    test: str | tuple[str, ...] | None = Field(None, description="the test rows, as given; then split.by is `given`")
    format: Literal["auto", "csv", "json", "jsonl", "parquet", "xlsx"] = "auto"
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        None, description="of the fields of CSV files; default: found from the header (, ; tab |), a tab in .tsv files"
    )
    id: str | None = Field(None, description="column of unique ids; without it a row is named by file and number")
    text: str = Field("text", description="where targets are labels or numbers: the column that is read")
    text_pair: str | None = Field(None, description="where two texts are read beside one another: the column of the second")
    label: str = Field("label", description="where targets are labels: the column of the class")
    labels: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        None,
        description="where a text has any number of labels: the column of them (default: labels), or a list of columns that hold "
        "1 or 0, a label each",
    )
    label_separator: Annotated[str, Field(min_length=1, max_length=5)] = Field(
        ",", description="of the labels in one cell, where it holds no list"
    )
    spans: str = Field(
        "spans", description='where targets are spans: the column of lists of {"start", "end", "label"}, or of [start, end, label]'
    )
    words: str | None = Field(None, description="where targets are spans, instead of text: the column of the text's words")
    tags: str | None = Field(None, description="where targets are spans, instead of spans: the column of a tag for each word")
    number: str = Field("number", description="where targets are numbers: the column of the number, in a unit of your own")
    question: str = Field("question", description="where answers stand in a text: the column of the question")
    context: str = Field("context", description="where answers stand in a text: the column of the text that they are looked for in")
    answers: str = Field("answers", description="their column: as SQuAD has them, texts alone, or empty where there is none")
    prompt: str = Field("prompt", description="where answers are texts: the column that is read")
    completion: str = Field("completion", description="where answers are texts: the column that has to be written")
    messages: str | None = Field(
        None,
        description="where answers are texts: in place of prompt and completion the column of conversations, lists (or JSON) of "
        'messages {"role", "content"} or {"from", "value"}; the assistant\'s turns are learned, its last one is the answer',
    )
    rejected: str | None = Field(None, description="where pairs of answers are learned from: the column of those less preferred")
    thumb: str | None = Field(
        None, description="where answers are good or bad by themselves: the column of true or false (1 or 0, yes or no, up or down)"
    )
    negative: str | None = Field(None, description="where pairs belong together: the column of a text that does not belong to them")
    time: str | None = None
    group: str | None = Field(None, description="customer, thread...: rows of a group stay in one split and count as one in tests")
    slices: tuple[str, ...] = ()
    language: str | None = Field(
        None,
        description="column of each row's language, a code such as en or pt-BR (BCP 47): one more slice, rare ones as other",
    )
    window: Window = Window()
    split: Annotated[HashSplit | TimeSplit | GivenSplit, Field(discriminator="by")] = HashSplit()
    redact: Redact = Redact()
    deduplicate: Deduplicate = Deduplicate()
    max_characters: Annotated[int, Field(ge=1, le=10**9)] = Field(
        100_000, description="a longer text is an error of the data, not a text"
    )
    feedback: bool = Field(False, description="labels and corrections of served traffic become rows of the next snapshot")

    @field_validator("separator")
    @classmethod
    def _is_a_separator(cls, value: str | None) -> str | None:
        if value is not None and (value.isalnum() or value in '"\r\n'):
            raise ValueError("separates no fields: set it to a sign such as ; or a tab, or leave it out")
        return value

    @field_validator("slices", "labels")
    @classmethod
    def _each_column_is_named_once(cls, value: tuple[str, ...] | str | None) -> tuple[str, ...] | str | None:
        names = [" ".join(name.split()) for name in value] if isinstance(value, tuple) else []  # a label is spelled so
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"names {', '.join(f'`{name}`' for name in twice)} more than once: name each column once")
        return value

    @model_validator(mode="after")
    def _what_is_read_is_not_what_is_said(self) -> Self:
        for reads, says in (
            ("text", "label"),
            ("text", "labels"),
            ("text", "spans"),
            ("text", "number"),
            ("question", "answers"),
            ("context", "answers"),
            ("prompt", "completion"),
            ("prompt", "rejected"),
            ("prompt", "thumb"),
            ("completion", "thumb"),
        ):
            if getattr(self, reads) == getattr(self, says):
                raise ValueError(f"{reads} and {says} are one column, `{getattr(self, reads)}`: a model would be given its answer")
        if (self.words is None) != (self.tags is None):
            named_setting, other = ("words", "tags") if self.tags is None else ("tags", "words")
            raise ValueError(f"{named_setting} is set and {other} is not: name the columns of both, or text and spans")
        if self.words is not None and self.words == self.tags:
            raise ValueError(f"words and tags are one column, `{self.words}`: a model would be given its answer")
        if self.text_pair is not None and self.text_pair in (self.text, self.label, self.labels, self.number):
            raise ValueError(f"text_pair is the column `{self.text_pair}`, which is text, label or number too: name another")
        if self.question == self.context:
            raise ValueError(f"question and context are one column, `{self.context}`: name the column of each")
        listed = self.labels if isinstance(self.labels, tuple) else ()
        if read := [name for name in ("text", "text_pair") if getattr(self, name) in listed]:
            raise ValueError(
                f"{read[0]} is the column `{getattr(self, read[0])}`, and labels names it too: a model would be given its answer"
            )
        if self.completion == self.rejected:
            raise ValueError(f"completion and rejected are one column, `{self.rejected}`: nothing would be preferred to anything")
        return self

    @property
    def all_slices(self) -> tuple[str, ...]:
        """The columns of slices, that of languages among them."""
        return tuple(dict.fromkeys([*self.slices, *([self.language] if self.language is not None else [])]))

    @model_validator(mode="after")
    def _ports_are_ports(self) -> Self:
        for part in [part for paths in (self.source, self.test or ()) for part in ((paths,) if isinstance(paths, str) else paths)]:
            if "://" in part and not part.startswith("hf://"):
                _check_port(part)
        return self

    @model_validator(mode="after")
    def _split_fits(self) -> Self:
        if self.split.by == "time" and self.time is None:
            raise ValueError("split.by is `time` but data.time names no column: set data.time")
        if self.test is not None and self.split.by != "given":
            raise ValueError("data.test is given but split.by is not: set data.split.by to `given`, or drop data.test")
        if self.split.by == "given" and self.test is None and self.split.column is None:
            raise ValueError("split.by is `given` but neither data.test nor data.split.column is: set one of them")
        if self.window != Window() and self.time is None:
            raise ValueError("data.window selects by time but data.time names no column: set data.time")
        return self

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Self:
        if self.split.by != "given" and self.split.validation + self.split.test >= 1:
            raise ValueError("split.validation and split.test add up to 1 or more: nothing is left to train on; lower one of them")
        return self

    @model_validator(mode="before")
    @classmethod
    def _what_is_given_says_how_to_split(cls, values: object) -> object:
        """Given test rows or a column of splits mean `given`, anything else `hash`, unless split.by says otherwise."""
        if not isinstance(values, dict) or not isinstance(split := values.get("split", {}), dict):
            return values
        is_given = values.get("test") is not None or "column" in split
        return {**values, "split": {"by": "given" if is_given else "hash", **split}}
