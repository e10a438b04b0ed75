"""Which weights move."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from configs.schema.problem_facts import ProblemFacts, ProblemName
from configs.schema.section import Frozen


class AdapterSection(Frozen):
    """What every adapter says of itself."""

    moves_base: ClassVar[bool] = False  # whether weights of the base themselves move, which bear lower rates than new ones

    def check_choice(self, problem: ProblemName, facts: ProblemFacts) -> None:
        """ValueError where the adapter makes no sense beside the problem."""


class Full(AdapterSection):
    """Every weight."""

    kind: Literal["full"] = "full"

    moves_base: ClassVar[bool] = True


class HeadOnly(AdapterSection):
    """The head alone, on a base that stays as it is (a linear probe)."""

    kind: Literal["frozen"] = "frozen"

    def check_choice(self, problem: ProblemName, facts: ProblemFacts) -> None:
        if facts.writes_text or facts.embeds:
            raise ValueError(
                f"adapter.kind frozen: {problem} has no head of its own, so nothing would move: take last_layers or lora"
            )


class LastLayers(AdapterSection):
    """The last layers of the base, of an encoder-decoder those of both halves, and the head."""

    kind: Literal["last_layers"] = "last_layers"
    layers: Annotated[int, Field(ge=1)] = 2

    moves_base: ClassVar[bool] = True


class BitFit(AdapterSection):
    """The biases of the base, and the head (Ben Zaken et al. 2022, arXiv:2106.10199)."""

    kind: Literal["bitfit"] = "bitfit"

    moves_base: ClassVar[bool] = True


class LayerAdapter(AdapterSection):
    """What is put into linear layers."""

    target_modules: str | tuple[str, ...] = "all-linear"


class LowRank(LayerAdapter):
    """A product of two narrow matrices beside each layer, scaled by alpha / r."""

    r: Annotated[int, Field(ge=1)] = 16
    alpha: Annotated[float, Field(gt=0)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Lora(LowRank):
    """Low-rank adaptation (Hu et al. 2021, arXiv:2106.09685)."""

    kind: Literal["lora"] = "lora"


class RsLora(LowRank):
    """LoRA with updates scaled by alpha / sqrt(r): high ranks learn as low ones do (Kalajdzievski 2023, arXiv:2312.03732)."""

    kind: Literal["rslora"] = "rslora"
    alpha: Annotated[float, Field(gt=0)] = 8


class Dora(LowRank):
    """LoRA that learns the length of each output's weights apart from their direction (Liu et al. 2024, arXiv:2402.09353)."""

    kind: Literal["dora"] = "dora"


class Pissa(LowRank):
    """LoRA that starts from each layer's largest singular values, taken out of it (Meng et al. 2024, arXiv:2404.02948)."""

    kind: Literal["pissa"] = "pissa"


class AdaLora(LowRank):
    """LoRA whose ranks shrink from `initial_r` to `r` on average, least where they matter (Zhang et al. 2023, arXiv:2303.10512)."""

    kind: Literal["adalora"] = "adalora"
    r: Annotated[int, Field(ge=1)] = 8
    initial_r: Annotated[int, Field(ge=2)] = 12

    @model_validator(mode="after")
    def _ranks_shrink(self) -> Self:
        if self.initial_r <= self.r:
            raise ValueError(f"initial_r {self.initial_r} is no more than r {self.r}, and ranks have to shrink: raise it")
        return self


class Ia3(LayerAdapter):
    """A factor for each output of the adapted layers (Liu et al. 2022, arXiv:2205.05638)."""

    kind: Literal["ia3"] = "ia3"


class Vera(LayerAdapter):
    """Random matrices that all layers share, and two vectors of factors for each layer (Kopiczko et al. 2023, arXiv:2310.11454)."""

    kind: Literal["vera"] = "vera"
    r: Annotated[int, Field(ge=1)] = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Oft(LayerAdapter):
    """Rotations of each layer's inputs, block by block (Qiu et al. 2023, arXiv:2306.07280)."""

    kind: Literal["oft"] = "oft"
    block_size: Annotated[int, Field(ge=2)] = 32


class VirtualTokens(AdapterSection):
    """Learned vectors before each text, on a base that stays as it is."""

    kind: str
    tokens: Annotated[int, Field(ge=1, le=1024)] = Field(20, description="virtual tokens before each text")

    def check_choice(self, problem: ProblemName, facts: ProblemFacts) -> None:
        if facts.writes_text:
            raise ValueError(
                f"adapter.kind {self.kind}: {problem} writes texts, which the service does in batches of many callers' and without "
                "virtual tokens: take lora or ia3"
            )


class Prompt(VirtualTokens):
    """Vectors before the texts' own (Lester et al. 2021, arXiv:2104.08691)."""

    kind: Literal["prompt"] = "prompt"


class PTuning(VirtualTokens):
    """Vectors before the texts' own, which a small network writes (Liu et al. 2021, arXiv:2103.10385)."""

    kind: Literal["p_tuning"] = "p_tuning"


class Prefix(VirtualTokens):
    """Keys and values before those of each layer (Li and Liang 2021, arXiv:2101.00190)."""

    kind: Literal["prefix"] = "prefix"


Adapter = Annotated[
    Full | HeadOnly | LastLayers | BitFit | Lora | RsLora | Dora | Pissa | AdaLora | Ia3 | Vera | Oft | Prompt | PTuning | Prefix,
    Field(discriminator="kind"),
]
