"""The problems, and the facts about each that text, report and serving read: only its own code asks for a problem by name."""

from __future__ import annotations

from dataclasses import replace

from configs.schema import metrics as m
from configs.schema.metrics import Metric
from configs.schema.problem_facts import ProblemFacts, ProblemName

TEXT_TO_TEXT = ProblemFacts(
    target="text",
    metrics=(m.NLL, m.PERPLEXITY, m.EXACT_MATCH, m.CHRF, m.ROUGE_L),
    primary=m.NLL_OF_ROWS,
    compared=m.LIKELIHOOD,
    life_metric=m.PERPLEXITY,
    feedback="correction",
    examples=("The meeting is moved to Thursday at nine.", "The parcel was left with a neighbour."),
    pairs_tokenizers=True,
)
FACTS: dict[ProblemName, ProblemFacts] = {
    "text-classification": ProblemFacts(
        target="label",
        metrics=(
            m.ACCURACY,
            Metric("f1_macro", "F1 macro", "share", True),
            Metric("log_loss", "log loss", "number", False),
            Metric("expected_calibration_error", "calibration error", "share", False),
        ),
        primary=m.ACCURACY,
        compared=m.ACCURACY.title,
        life_metric=m.ACCURACY,
        feedback="label",
        examples=("Where is my refund?", "I cannot log in any more"),
        reads_pairs=True,
    ),
    "multi-label-classification": ProblemFacts(
        target="labels",
        metrics=(
            m.F1_ROWS,
            Metric("subset_accuracy", "whole sets right", "share", True),
            Metric("f1_micro", "F1 micro", "share", True),
            Metric("f1_macro", "F1 macro", "share", True),
        ),
        primary=m.F1_ROWS,
        compared="F1 of each row's labels",
        life_metric=m.F1_ROWS,
        feedback="label",
        examples=("The invoice is wrong and I cannot log in", "Where is my refund?"),
        reads_pairs=True,
    ),
    "text-regression": ProblemFacts(
        target="number",
        metrics=(
            m.MAE,
            Metric("rmse", "root mean squared error", "number", False),
            Metric("r2", "R squared", "number", True),
            m.RANK_CORRELATION,
        ),
        primary=m.MAE,
        compared=m.MAE.title,
        life_metric=m.MAE,
        feedback="label",
        examples=("The parcel came two days late and the box was open.", "All as promised."),
        reads_pairs=True,
    ),
    "token-classification": ProblemFacts(
        target="spans",
        metrics=(
            m.F1_ROWS,
            Metric("rows_right", "texts all right", "share", True),
            Metric("f1_micro", "F1 micro", "share", True),
            Metric("precision_micro", "precision", "share", True),
            Metric("recall_micro", "recall", "share", True),
            Metric("f1_macro", "F1 macro", "share", True),
        ),
        primary=m.F1_ROWS,
        compared="F1 of each text's entities, place and type exact",
        life_metric=m.F1_ROWS,
        feedback="label",
        examples=("Ada Lovelace wrote to Charles Babbage in London.", "The meeting with Acme is in Oslo on Monday."),
    ),
    "question-answering": ProblemFacts(
        target="answer",
        metrics=(
            m.F1_WORDS,
            m.EXACT_MATCH,
            Metric("has_answer_f1", "F1 where there is an answer", "share", True),
            Metric("no_answer_accuracy", "no answer, and none given", "share", True),
        ),
        primary=m.F1_WORDS,
        compared="F1 of the words of each answer",
        life_metric=m.F1_WORDS,
        feedback="label",
        examples=("When does the meeting begin?", "The meeting is moved to Thursday. It begins at nine in the large room."),
    ),
    "text-ranking": ProblemFacts(
        target="number",
        metrics=(m.NDCG, m.MRR, m.RECALL_AT_1, m.RECALL_AT_10),
        primary=m.NDCG,
        compared="nDCG@10, mean of queries",
        life_metric=m.NDCG,
        feedback="label",
        examples=("how long does a refund take", "A refund is on your account within three days."),
        reads_pairs=True,
        ranks=True,
    ),
    "sentence-similarity": ProblemFacts(
        target="number",
        metrics=(m.RANK_CORRELATION, Metric("correlation", "correlation", "number", True)),
        primary=m.RANK_CORRELATION,
        compared="rank correlation, row by row",
        life_metric=m.RANK_CORRELATION,
        feedback="label",
        examples=("A child runs across a field.", "A boy is running on the grass."),
        reads_pairs=True,
        embeds=True,
    ),
    "text-retrieval": ProblemFacts(
        target="number",
        metrics=(m.MRR, m.RECALL_AT_1, m.RECALL_AT_10),
        primary=m.MRR,
        compared="reciprocal rank of the right partner",
        life_metric=m.MRR,
        feedback="label",
        examples=("Where is my refund?", "When do I get my money back?"),
        reads_pairs=True,
        embeds=True,
        pairs_belong=True,
    ),
    "text-generation": ProblemFacts(
        target="text",
        metrics=(m.NLL, m.PERPLEXITY, m.EXACT_MATCH, m.ROUGE_L, m.CHRF),
        primary=m.NLL_OF_ROWS,
        compared=m.LIKELIHOOD,
        life_metric=m.PERPLEXITY,
        feedback="correction",
        examples=("Question: 3 + 4 = ?\nAnswer:", "Question: 5 + 2 = ?\nAnswer:"),
        continues_text=True,
        reads_messages=True,
    ),
    "text2text-generation": TEXT_TO_TEXT,
    "summarization": replace(
        TEXT_TO_TEXT,
        metrics=(m.NLL, m.PERPLEXITY, m.ROUGE_1, m.ROUGE_2, m.ROUGE_L),
        examples=(
            "The meeting on Thursday is moved to nine, as the large room is taken at ten. Minutes will be sent on Friday.",
            "Nobody was in, so the parcel was left with a neighbour. A card with the name is in the letter box.",
        ),
        family="text2text-generation",
    ),
    "translation": replace(TEXT_TO_TEXT, metrics=(m.NLL, m.PERPLEXITY, m.BLEU, m.CHRF, m.TER), family="text2text-generation"),
}


def family_of(problem: ProblemName) -> ProblemName:
    """The problem whose rows, contract and networks these are: its own, or that of its family."""
    return FACTS[problem].family or problem


def facts_of(problem: ProblemName) -> ProblemFacts:
    """The facts about a problem."""
    return FACTS[problem]
