"""The settings of a pipeline, one file per section. It imports pydantic alone, so the schema loads in a moment."""

from configs.schema.adapters import Adapter, Full, Lora
from configs.schema.contract import Contract
from configs.schema.data import PATTERN_ENTITIES, Data, Deduplicate, Entity, Redact, Window, is_table
from configs.schema.evaluation import Decoding, Evaluation
from configs.schema.gate import Gate, Guards, ScaledGate
from configs.schema.metrics import EXACT_MATCH, NLL_OF_ROWS, BleuTokenizer, Metric
from configs.schema.objectives import OBJECTIVES, Objective, Preference, Supervised, metric_titles
from configs.schema.operations import Effects, Monitor, Release, Schedule, Serving
from configs.schema.pipeline import Pipeline
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
    "Adapter",
    "BleuTokenizer",
    "Contract",
    "Data",
    "Decoding",
    "Deduplicate",
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
    "HumanJudge",
    "Judge",
    "Languages",
    "Lora",
    "Metric",
    "Model",
    "ModelJudge",
    "Moment",
    "Monitor",
    "Objective",
    "Pipeline",
    "Plain",
    "Preference",
    "ProblemFacts",
    "ProblemName",
    "Redact",
    "Release",
    "ScaledGate",
    "Schedule",
    "Scorer",
    "Serving",
    "Supervised",
    "TimeSplit",
    "Training",
    "Window",
    "facts_of",
    "family_of",
    "is_table",
    "metric_titles",
]
