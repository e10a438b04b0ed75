"""How test rows are scored."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from configs.schema.metrics import BleuTokenizer
from configs.schema.preferences import Judge, Scorer, as_scorer
from configs.schema.section import Fraction, Frozen


class Decoding(Frozen):
    """How texts are written, to be scored and to be served: greedily, unless `beams` or `temperature` say otherwise.

    Where one of these is set, no decoding setting that came with the base applies in its place.
    """

    beams: Annotated[int, Field(ge=1, le=16)] = Field(1, description="beginnings of an answer that are followed at once")
    length_penalty: Annotated[float, Field(ge=-10, le=10)] = Field(
        1.0, description="of beams: the power of its length by which a log-likelihood is divided; larger: longer answers"
    )
    no_repeat_ngram_size: Annotated[int, Field(ge=0, le=64)] = Field(
        0, description="tokens in a row that an answer holds once at the most; 0: any number of times"
    )
    repetition_penalty: Annotated[float, Field(ge=0.01, le=10)] = Field(
        1.0, description="what makes tokens less likely that an answer holds already (Keskar et al. 2019, arXiv:1909.05858)"
    )
    temperature: Annotated[float, Field(ge=1e-4, le=10)] | None = Field(
        None, description="tokens are drawn, at this temperature; default: the likeliest are taken"
    )
    top_k: Annotated[int, Field(ge=0, le=100_000)] = Field(0, description="drawn among so many of the likeliest tokens; 0: all")
    top_p: Annotated[float, Field(gt=0, le=1)] = Field(1.0, description="drawn among the likeliest tokens that make up this share")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(0, description="of draws: a text has the same answer every time")

    @model_validator(mode="after")
    def _no_setting_is_without_effect(self) -> Self:
        changed_names = {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        if self.temperature is not None and self.beams > 1:
            raise ValueError(f"temperature {self.temperature} draws, and beams {self.beams} search: drop one of them")
        if idle := sorted(changed_names & {"top_k", "top_p", "seed"}) if self.temperature is None else []:
            raise ValueError(f"{', '.join(idle)}: nothing is drawn: set temperature, or drop it")
        if self.beams == 1 and "length_penalty" in changed_names:
            raise ValueError("length_penalty: one beam has nothing to compare: set beams, or drop it")
        return self


class Evaluation(Frozen):
    batch_size: Annotated[int, Field(ge=1)] = 64
    bootstrap: Annotated[int, Field(ge=100, le=100_000)] = 1000
    confidence: Fraction = 0.95
    max_new_tokens: Annotated[int, Field(ge=1)] = Field(64, description="tokens of the longest answer that is written")
    decode_rows: Annotated[int, Field(ge=0)] = Field(
        200, description="test rows for which an answer is written, where answers are texts; all are scored by likelihood"
    )
    decoding: Decoding = Decoding()
    bleu_tokenizer: BleuTokenizer = Field(
        "13a",
        description="how BLEU parts texts into words, by sacrebleu's names; default: zh for Chinese, char for other languages "
        "without spaces, by model.languages.target",
    )
    scorers: tuple[Annotated[Scorer, BeforeValidator(as_scorer)], ...] = Field(
        (), description="functions of your own, by import path or file, that score answers beside the metrics"
    )
    judge: Annotated[Judge, Field(discriminator="kind")] | None = Field(
        None, description="who compares answers with the champion's, or with the base's before the first release; default: nobody"
    )

    @field_validator("scorers")
    @classmethod
    def _each_scorer_has_a_name_of_its_own(cls, value: tuple[Scorer, ...]) -> tuple[Scorer, ...]:
        names = [scorer.name for scorer in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"has more than one function called {', '.join(twice)}, and metrics go by that name: rename one")
        return value

    @model_validator(mode="after")
    def _one_score_decides(self) -> Self:
        deciding = [scorer.function for scorer in self.scorers if scorer.counts_as == "primary"]
        deciding += ["the judge"] if self.judge is not None and self.judge.counts_as == "primary" else []
        if len(deciding) > 1:
            raise ValueError(f"{' and '.join(deciding)} are primary, and one score decides: set counts_as of the others to guard")
        return self

    @field_validator("judge", mode="before")
    @classmethod
    def _a_judge_is_a_model_unless_it_says_otherwise(cls, value: object) -> object:
        return {"kind": "model", **value} if isinstance(value, dict) else value
