"""All that a pipeline can say, on one page. Imports pydantic alone, so the schema loads in a moment and binds to nothing."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from configs.credentials import credential_in, refused_pattern, remedy_for

ProblemName = Literal["text-classification", "text-generation"]
Moment = Annotated[str, BeforeValidator(lambda value: value.isoformat() if isinstance(value, date) else value)]  # YAML reads dates
Plain = Annotated[str, Field(json_schema_extra={"pattern": refused_pattern()})]  # a flow's text: its server refuses a credential
Fraction = Annotated[float, Field(gt=0, lt=1)]
Entity = Literal[
    "EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS", "US_SSN", "URL", "CRYPTO", "MAC_ADDRESS",
    "PERSON", "LOCATION", "ORGANIZATION",
]  # fmt: skip
PATTERN_ENTITIES: tuple[Entity, ...] = (
    "EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS", "US_SSN", "CRYPTO", "MAC_ADDRESS",
)  # fmt: skip


def _refuse_credentials(schema: dict[str, Any]) -> None:
    """Let servers that check parameters against the JSON schema refuse a text with a credential before they keep it."""
    waiting = list(schema.get("properties", {}).values())
    while waiting:
        each = waiting.pop()
        if each.get("type") == "string" and not {"pattern", "enum", "const"} & each.keys():
            each["pattern"] = refused_pattern()
        waiting += [*each.get("anyOf", ()), *([each["items"]] if isinstance(each.get("items"), dict) else [])]


class Frozen(BaseModel):
    """A section of a config. No text in it holds a credential: it is kept with every run, by MLflow, Prefect and the ledger."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, json_schema_extra=_refuse_credentials)
    DEFAULTS: ClassVar[int] = 0  # raised by whoever changes a default: keys leave out what stands at its default

    @field_validator("*")
    @classmethod
    def _no_credential_is_kept(cls, value: object) -> object:
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, str) and (what := credential_in(each)) is not None:
                raise ValueError(
                    f"holds {what}, which would be kept with every run: leave it out of the config; {remedy_for(each)}"
                )
        return value


# --- data ------------------------------------------------------------------------------------------------------------


class HashSplit(Frozen):
    """A row's split is a keyed hash of its group, else of its raw text: it never moves, whatever else arrives."""

    by: Literal["hash"] = "hash"
    validation: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    test: Annotated[float, Field(ge=0, lt=0.8)] = 0.2


class TimeSplit(Frozen):
    """The newest rows are test, those before them validation: fractions of the rows in order of time."""

    by: Literal["time"] = "time"
    validation: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    test: Fraction = 0.2


class GivenSplit(Frozen):
    """`data.test` names the test rows, or `column` holds train, validation or test for each row."""

    by: Literal["given"] = "given"
    column: str | None = None
    validation: Annotated[float, Field(ge=0, lt=0.5)] = 0.1


class Redact(Frozen):
    """Personal data become typed placeholders, the same for equal values, under this installation's key."""

    enabled: bool = True
    entities: tuple[Entity, ...] = PATTERN_ENTITIES
    ner_model: str | None = Field(None, description="folder or hub name of a token-classification model for names and places")

    @model_validator(mode="after")
    def _names_need_a_model(self) -> Self:
        named = {"PERSON", "LOCATION", "ORGANIZATION"} & set(self.entities)
        if named and self.ner_model is None:
            raise ValueError(f"{', '.join(sorted(named))} cannot be found by patterns: set ner_model, or drop them from entities")
        return self


class Deduplicate(Frozen):
    """Exact copies always go; near copies go where their word shingles overlap by at least `threshold` (Jaccard, MinHash)."""

    enabled: bool = True
    threshold: Fraction = 0.85


class Window(Frozen):
    """Only rows whose time lies in [start, end) take part."""

    start: Moment | None = None
    end: Moment | None = None


TABLES = ("postgresql+psycopg2", "sqlite")


def is_table(source: str) -> bool:
    """Whether a source is a table of a database: DIALECT://HOST/DATABASE/TABLE."""
    return "://" in source and source.partition("://")[0] in TABLES


def _check_port(address: str) -> None:
    """Refuse an address whose port is none; it is not repeated in the error, as it may hold a login."""
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
    text: str = Field("text", description="text-classification: the column to classify")
    label: str = Field("label", description="text-classification: the column of its class")
    prompt: str = Field("prompt", description="text-generation: the column the model is given")
    completion: str = Field("completion", description="text-generation: the column it must write")
    time: str | None = None
    group: str | None = Field(None, description="customer, thread...: rows of a group stay in one split and count as one in tests")
    slices: tuple[str, ...] = ()
    window: Window = Window()
    split: Annotated[HashSplit | TimeSplit | GivenSplit, Field(discriminator="by")] = HashSplit()
    redact: Redact = Redact()
    deduplicate: Deduplicate = Deduplicate()
    max_characters: Annotated[int, Field(ge=1)] = Field(100_000, description="a longer text is an error of the data, not a text")
    feedback: bool = Field(False, description="labels and corrections of served traffic become rows of the next snapshot")

    @field_validator("separator")
    @classmethod
    def _is_a_separator(cls, value: str | None) -> str | None:
        if value is not None and (value.isalnum() or value in '"\r\n'):
            raise ValueError("separates no fields: set it to a sign such as ; or a tab, or leave it out")
        return value

    @model_validator(mode="after")
    def _ports_are_ports(self) -> Self:
        for part in [part for given in (self.source, self.test or ()) for part in ((given,) if isinstance(given, str) else given)]:
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
    def _given_test_means_given_split(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("test") is not None and "split" not in values:
            return {**values, "split": {"by": "given"}}
        return values


# --- model, adapter, objective -----------------------------------------------------------------------------------------


class Model(Frozen):
    base: str = Field(description="local folder, installed package (`package:NAME/FOLDER`) or hub name")
    revision: str | None = None
    sha256: str | None = Field(None, description="of model.safetensors; anything else is refused")
    max_length: Annotated[int, Field(ge=4, le=2**20)] = Field(128, description="tokens; longer inputs are cut")

    @field_validator("sha256")
    @classmethod
    def _is_a_sha256(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[0-9a-f]{64}", value):
            raise ValueError("is no sha256: 64 hexadecimal digits in lower case, as `sha256sum model.safetensors` prints them")
        return value


class Full(Frozen):
    kind: Literal["full"] = "full"


class Lora(Frozen):
    kind: Literal["lora"] = "lora"
    r: Annotated[int, Field(ge=1)] = 16
    alpha: Annotated[float, Field(gt=0)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: str | tuple[str, ...] = "all-linear"


Adapter = Annotated[Full | Lora, Field(discriminator="kind")]


class Supervised(Frozen):
    kind: Literal["supervised"] = "supervised"
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Training(Frozen):
    start: Literal["base", "champion"] = "base"
    epochs: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="default: as many as make 250 optimizer steps, 4 to 12; the best one is kept. Where fewer than 100 rows are "
        "held out, three folds of up to 1,000 training rows help to choose it",
    )
    batch_size: Annotated[int, Field(ge=1)] = Field(16, description="rows per optimizer step, whatever fits in memory at once")
    learning_rate: Annotated[float, Field(gt=0)] | None = Field(None, description="default: 5e-4 for lora, 1e-4 for full")
    head_learning_rate_factor: Annotated[float, Field(gt=0)] = 10.0
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: Annotated[float, Field(ge=0, lt=1)] = Field(0.1, description="share of the steps")
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    early_stopping: Annotated[int, Field(ge=1)] | None = Field(None, description="epochs without a better validation loss")
    refit: bool = Field(
        False, description="find the number of epochs on the validation rows, then train on train and validation rows together"
    )
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    length_buckets: bool = True
    checkpoint_every: Annotated[int, Field(ge=1)] = Field(100, description="optimizer steps between checkpoints")
    pin: Literal["none", "libraries"] = Field(
        "none", description="libraries: another version of torch, transformers... trains anew; none: at the next change of data"
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(0, description="32 bits: the libraries that draw take no more")
    work_pool: str | None = Field(None, description="the train task alone goes to a worker of this Prefect pool; default: here")


# --- evaluation, gate, release -----------------------------------------------------------------------------------------


class Evaluation(Frozen):
    batch_size: Annotated[int, Field(ge=1)] = 64
    bootstrap: Annotated[int, Field(ge=100)] = 1000
    confidence: Fraction = 0.95
    max_new_tokens: Annotated[int, Field(ge=1)] = Field(64, description="text-generation: the longest answer decoded")
    decode_rows: Annotated[int, Field(ge=0)] = Field(
        200, description="text-generation: test rows decoded; all are scored by likelihood"
    )


class Guards(Frozen):
    """Vetoes on evidence of harm: a guard fires where its one-sided test shows a loss beyond its margin."""

    slice_margin: Annotated[float, Field(ge=0, lt=1)] = 0.03
    older_margin: Annotated[float, Field(ge=0, lt=1)] = Field(0.02, description="on the test rows before gate.window")
    class_margin: Annotated[float, Field(ge=0, lt=1)] = Field(0.10, description="on the recall of each class")
    min_n: Annotated[int, Field(ge=1)] = Field(30, description="a slice or class of fewer effective rows is reported, not judged")


class Gate(Frozen):
    rule: Literal["better", "not_worse"] = "better"
    margin: Annotated[float, Field(gt=0, lt=1)] = Field(0.01, description="for not_worse: the largest loss of the primary score")
    alpha: Fraction = 0.05
    power: Fraction = 0.8
    effect: Annotated[float, Field(gt=0, lt=1)] = Field(0.02, description="the gain that `rows needed` is worked out for")
    looks_per_year: Annotated[int, Field(ge=1)] = 52
    window: Annotated[int, Field(ge=1)] | None = Field(None, description="days before the newest test row; default: all")
    min_rows: Annotated[int, Field(ge=1)] = Field(100, description="fewer effective fair test rows decide nothing")
    floors: dict[str, float] = Field(default={}, description="metric -> the least a challenger may have")
    guards: Guards = Guards()
    first: Literal["useful", "better"] = Field(
        "useful",
        description="where there is no champion. useful: better than the trivial baseline (majority class; unigram), and no loss "
        "beyond first_margin shown against the best baseline; better: better than the best baseline",
    )
    first_margin: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="for first=useful, of the primary score: 0.05 is 5 points of accuracy, or 0.05 nats per token of text"
    )

    def rule_against(self, champion: str | None) -> str:
        """The rule of a decision against that champion: `first` where there is none, else `rule`."""
        return self.first if champion is None else self.rule


class Release(Frozen):
    alias: str = "champion"
    approval: Literal["auto", "manual"] = Field("auto", description="manual: a person says yes in the Prefect UI or by `promote`")
    approval_timeout_hours: Annotated[float, Field(gt=0)] = Field(
        72, description="no answer by then: the challenger is not promoted"
    )

    @field_validator("alias")
    @classmethod
    def _alias_is_allowed(cls, value: str) -> str:
        if value == "latest" or re.fullmatch(r"v\d+", value) or not re.fullmatch(r"[A-Za-z0-9_-]+", value):
            raise ValueError(f"`{value}` is refused by MLflow's registry: letters, digits, - and _; not `latest`, not `v1`")
        return value


# --- serving, monitor, schedule ------------------------------------------------------------------------------------------


class Serving(Frozen):
    """How the service answers, and what of its traffic is kept."""

    max_rows: Annotated[int, Field(ge=1)] = Field(256, description="texts in one request")
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1_000_000
    max_batch: Annotated[int, Field(ge=1)] = Field(64, description="texts that go through the model at once, of whatever requests")
    max_wait_ms: Annotated[float, Field(ge=0)] = Field(2.0, description="how long an idle model waits for a batch to fill")
    max_waiting: Annotated[int, Field(ge=1)] = Field(2048, description="texts that may wait; more are refused at once (503)")
    max_connections: Annotated[int, Field(ge=8)] = Field(1000, description="at once; one more closes the one that idles longest")
    texts_per_minute: Annotated[int, Field(ge=1)] | None = Field(None, description="of one API key; more are refused (429)")
    feedback_per_minute: Annotated[int, Field(ge=1)] = Field(600, description="of one API key; more are refused (429)")
    key_share: Annotated[float, Field(gt=0, le=1)] = Field(0.5, description="of what may wait that one API key may take")
    timeout_seconds: Annotated[float, Field(gt=0)] = 10.0
    follow_seconds: Annotated[float, Field(gt=0)] = Field(2.0, description="how often the alias is looked at")
    log: bool = Field(True, description="keep every answer, its text redacted as in preparation")
    audit_rate: Annotated[float, Field(ge=0, le=1)] = Field(0.02, description="share of answers drawn at random to be labelled")


class Effects(Frozen):
    """The least change worth an alarm, per kind of monitor: what is smaller is no drift however many rows show it."""

    embedding: Annotated[float, Field(gt=0)] = Field(
        0.03, description="distance of the means, in standard deviations of the reference"
    )
    number: Annotated[float, Field(gt=0)] = Field(0.20, description="lengths and the like: standardised mean difference")
    share: Fraction = Field(0.10, description="class, language, missing, duplicate shares: absolute difference")
    accuracy: Fraction = Field(0.05, description="loss of accuracy, and of calibration")


class Monitor(Frozen):
    """Served traffic against the champion's own reference."""

    window_days: Annotated[float, Field(gt=0)] = 7
    min_rows: Annotated[int, Field(ge=20)] = Field(100, description="fewer answers in the window: no look is taken")
    max_rows: Annotated[int, Field(ge=100)] = Field(20_000, description="more are sampled")
    alpha: Fraction = Field(0.05, description="chance of any false alarm per champion and year, over all monitors and looks")
    looks_per_year: Annotated[int, Field(ge=1)] = 365
    effects: Effects = Effects()


class Schedule(Frozen):
    """When it is looked at, and what starts a retraining; `tunekeeper deploy` puts it into effect."""

    retrain: str | None = Field(None, description="cron, five fields; default: only triggers and people start one")
    monitor: str | None = Field(
        "0 6 * * *", description="cron of the monitors; more often than monitor.looks_per_year is alpha spent early"
    )
    timezone: str = "UTC"
    on_drift: bool = Field(True, description="an alarm of a monitor starts a retraining")
    on_new_data_minutes: Annotated[float, Field(gt=0)] | None = Field(
        None, description="how often the source is looked at for change"
    )
    cooldown_hours: Annotated[float, Field(ge=0)] = Field(24, description="after a triggered retraining no trigger starts another")
    retrains_per_week: Annotated[int, Field(ge=1)] = Field(3, description="budget of triggered retrainings; people are not counted")
    work_pool: str = "tunekeeper"
    tags: tuple[str, ...] = ()


class Contract(Frozen):
    suite: str | None = Field(None, description="the pipeline's own suite (JSON), beside the common one and the problem's")
    max_quarantined: Annotated[float, Field(ge=0, le=1)] = Field(0.05, description="share of rows; more stops the run")
    vocabulary: Literal["frozen", "may_grow", "free"] = Field(
        "may_grow",
        description="labels: may_grow stops where one is misspelt or gone, frozen also where one is new, free never",
    )


class Pipeline(Frozen):
    """One kept model: the parameter of every flow, so the Prefect UI shows and checks it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="lower case, digits and -; also the model's name")]
    problem: ProblemName
    data: Data
    model: Model
    contract: Contract = Contract()
    adapter: Adapter = Lora()
    objective: Supervised = Supervised()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    gate: Gate = Gate()
    release: Release = Release()
    serving: Serving = Serving()
    monitor: Monitor = Monitor()
    schedule: Schedule = Schedule()

    @model_validator(mode="after")
    def _no_setting_is_without_effect(self) -> Self:
        split = self.data.split
        named = split.by == "given" and split.column is not None  # that column may name validation rows
        if self.training.early_stopping is not None and split.validation == 0 and not named:
            raise ValueError(
                "training.early_stopping watches the validation rows, and data.split.validation is 0: "
                "raise data.split.validation, or drop training.early_stopping"
            )
        if self.objective.class_weights != "none" and self.problem != "text-classification":
            raise ValueError(f"objective.class_weights: {self.problem} has no classes to weigh: set it to none")
        if self.contract.vocabulary != "may_grow" and self.problem != "text-classification":
            raise ValueError(f"contract.vocabulary: {self.problem} has no labels to hold against one: drop it")
        if self.gate.window is not None and self.data.time is None:
            raise ValueError(
                "gate.window is of the newest test rows, and data.time names no column: set data.time, or drop gate.window"
            )
        return self
