"""The problems, such as classifying a text or continuing one. Get one here by its name, and use it by its contract (base.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, assert_never

from configs.schema import ProblemName

if TYPE_CHECKING:
    from tasks.problems.base import Problem


def problem_of(name: ProblemName) -> Problem:
    """The problem of a pipeline or of a network's spec."""
    match name:
        case "text-classification":
            from tasks.problems.text_classification import TextClassification

            return TextClassification()
        case "multi-label-classification":
            from tasks.problems.multi_label_classification import MultiLabelClassification

            return MultiLabelClassification()
        case "token-classification":
            from tasks.problems.token_classification import TokenClassification

            return TokenClassification()
        case "text-regression":
            from tasks.problems.text_regression import TextRegression

            return TextRegression()
        case "question-answering":
            from tasks.problems.question_answering import QuestionAnswering

            return QuestionAnswering()
        case "text-ranking" | "sentence-similarity" | "text-retrieval":
            return _pair_problem_of(name)
        case "text-generation":
            from tasks.problems.text_generation import TextGeneration

            return TextGeneration()
        case "text2text-generation":
            from tasks.problems.text2text_generation import Text2TextGeneration

            return Text2TextGeneration()
        case "summarization":
            from tasks.problems.summarization import Summarization

            return Summarization()
        case "translation":
            from tasks.problems.translation import Translation

            return Translation()
        case _:
            assert_never(name)


def _pair_problem_of(name: Literal["text-ranking", "sentence-similarity", "text-retrieval"]) -> Problem:
    """Those of two texts a row."""
    match name:
        case "text-ranking":
            from tasks.problems.text_ranking import TextRanking

            return TextRanking()
        case "sentence-similarity":
            from tasks.problems.sentence_similarity import SentenceSimilarity

            return SentenceSimilarity()
        case "text-retrieval":
            from tasks.problems.text_retrieval import TextRetrieval

            return TextRetrieval()
        case _:
            assert_never(name)
