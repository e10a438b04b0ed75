"""The settings of a pipeline, one file per section. It imports pydantic alone, so the schema loads in a moment."""

from configs.schema.adapters import (
    AdaLora,
    Adapter,
    BitFit,
    Dora,
    Full,
    HeadOnly,
    Ia3,
    LastLayers,
    LayerAdapter,
    Lora,
    LowRank,
    Oft,
    Pissa,
    Prefix,
    Prompt,
    PTuning,
    RsLora,
    Vera,
    VirtualTokens,
)
from configs.schema.contract import Contract
from configs.schema.data import PATTERN_ENTITIES, Data, Deduplicate, Entity, Redact, Window, is_table
from configs.schema.evaluation import Decoding, Evaluation
from configs.schema.gate import Gate, Guards, ScaledGate
from configs.schema.metrics import EXACT_MATCH, NLL_OF_ROWS, BleuTokenizer, Metric
from configs.schema.objectives import OBJECTIVES, Contrastive, Objective, Supervised, ZeroShot, metric_titles
from configs.schema.operations import Effects, Monitor, Release, Schedule, Serving
from configs.schema.pipeline import Pipeline
from configs.schema.preference_objectives import AnchoredPreference, OddsRatioPreference, Preference, SimplePreference
from configs.schema.preferences import HumanJudge, Judge, ModelJudge, Scorer
from configs.schema.problem_facts import ProblemFacts, ProblemName
from configs.schema.problems import facts_of, family_of
from configs.schema.section import Fraction, Frozen, Moment, Plain
from configs.schema.splits import GivenSplit, HashSplit, TimeSplit
from configs.schema.training import Languages, Model, Training

__all__ = [
    "EXACT_MATCH",
    "NLL_OF_ROWS",
    "OBJECTIVES",
    "PATTERN_ENTITIES",
    "AdaLora",
    "Adapter",
    "AnchoredPreference",
    "BitFit",
    "BleuTokenizer",
    "Contract",
    "Contrastive",
    "Data",
    "Decoding",
    "Deduplicate",
    "Dora",
    "Effects",
    "Entity",
    "Evaluation",
    "Fraction",
    "Frozen",
    "Full",
    "Gate",
    "GivenSplit",
    "Guards",
    "HashSplit",
    "HeadOnly",
    "HumanJudge",
    "Ia3",
    "Judge",
    "Languages",
    "LastLayers",
    "LayerAdapter",
    "Lora",
    "LowRank",
    "Metric",
    "Model",
    "ModelJudge",
    "Moment",
    "Monitor",
    "Objective",
    "OddsRatioPreference",
    "Oft",
    "PTuning",
    "Pipeline",
    "Pissa",
    "Plain",
    "Preference",
    "Prefix",
    "ProblemFacts",
    "ProblemName",
    "Prompt",
    "Redact",
    "Release",
    "RsLora",
    "ScaledGate",
    "Schedule",
    "Scorer",
    "Serving",
    "SimplePreference",
    "Supervised",
    "TimeSplit",
    "Training",
    "Vera",
    "VirtualTokens",
    "Window",
    "ZeroShot",
    "facts_of",
    "family_of",
    "is_table",
    "metric_titles",
]
