"""The base that is trained, and how."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from configs.schema.section import Frozen, WorkPool, written_as

_FOLDER = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$"
_FOLDER_WORDS = "is no name of a folder in the base: write its letters, digits and _ . - alone, without a path"


_CODE = r"^[A-Za-z0-9_@-]{1,40}$"
_CODE_WORDS = "is no code of a language: write it as the base does, such as de, de_DE or deu_Latn"
LanguageCode = Annotated[str, Field(pattern=_CODE), written_as(_CODE, _CODE_WORDS)]


class Languages(Frozen):
    """The languages that are read and written, as the base names them."""

    source: LanguageCode
    target: LanguageCode


class Model(Frozen):
    base: str = Field(description="local folder, installed package (`package:NAME/FOLDER`) or hub name")
    revision: str | None = None
    sha256: str | None = Field(None, description="of model.safetensors; anything else is refused")
    max_length: Annotated[int, Field(ge=4, le=2**20)] = Field(128, description="tokens; longer inputs are cut")
    target_tokenizer: Annotated[str, Field(pattern=_FOLDER), written_as(_FOLDER, _FOLDER_WORDS)] | None = Field(
        None, description="folder within the base that holds the tokenizer of what it writes, where that is another one"
    )
    languages: Languages | None = Field(
        None,
        description="what is read and written: needed where the base's tokenizer marks languages (mBART, NLLB, M2M), else noted",
    )

    @property
    def language_codes(self) -> tuple[str, ...]:
        """The codes of the language that is read and of the one that is written; none where they are not named."""
        return () if self.languages is None else (self.languages.source, self.languages.target)

    @field_validator("sha256")
    @classmethod
    def _is_a_sha256(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[0-9a-f]{64}", value):
            raise ValueError("is no sha256: 64 hexadecimal digits in lower case, as `sha256sum model.safetensors` prints them")
        return value


class Training(Frozen):
    DEFAULTS: ClassVar[int] = 1

    start: Literal["base", "champion"] = "base"
    epochs: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="default: as many as make 250 optimizer steps, 4 to 12; the best one is kept. Where fewer than 100 rows are "
        "held out, three folds of up to 1,000 training rows help to choose it",
    )
    batch_size: Annotated[int, Field(ge=1)] = Field(16, description="rows per optimizer step, whatever fits in memory at once")
    learning_rate: Annotated[float, Field(gt=0)] | None = Field(None, description="default: that of the adapter and the objective")
    head_learning_rate_factor: Annotated[float, Field(gt=0)] | None = Field(
        None, description="of a new head's rate; default: 10, where that makes no more than 0.01"
    )
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
    work_pool: WorkPool | None = Field(
        None, description="the train task alone goes to a worker of this Prefect pool; default: here"
    )
