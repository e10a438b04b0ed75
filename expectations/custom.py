"""Expectations that texts need and Great Expectations lacks; importing this module registers them, and costs its import.

By row: content, language, tokens, control characters, encoding damage, one target for equal texts.
Those about the whole read the summary frame of `summary.py`, or the full column where there is no summary.
"""

# Great Expectations calls metrics as class methods and names columns column_A, column_B; it has no types to build on.
# ruff: noqa: N803, N805, N815
# mypy: disable-error-code="misc,untyped-decorator"

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation, ColumnPairMapExpectation
from great_expectations.expectations.metrics import (
    ColumnAggregateMetricProvider,
    ColumnMapMetricProvider,
    column_aggregate_value,
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider import ColumnPairMapMetricProvider, column_pair_condition_partial
from great_expectations.expectations.metrics.metric_provider import metric_value

from expectations import measures
from expectations.rendering import Aggregate, RenderedExpectation
from expectations.summary import UNSEEN, WORDS
from expectations.types import Context

NOTHING = Context()
# Great Expectations passes JSON alone to metrics; they take a tokenizer or a vocabulary from here.
COMPARED: ContextVar[Context] = ContextVar("compared", default=NOTHING)


class ColumnValuesHoldText(ColumnMapMetricProvider):
    condition_metric_name = "column_values.hold_text"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, **_: object) -> pd.Series:
        return column.map(measures.says_something)


class ExpectColumnValuesToHoldText(RenderedExpectation, ColumnMapExpectation):
    """Texts say something: not blank, not only marks, redacted values, or a stand-in such as "n/a"."""

    rendered_text: ClassVar[str] = "texts say something: no blanks, stand-ins, or only redacted values"
    map_metric: ClassVar[str | None] = "column_values.hold_text"


class ColumnValuesNoControls(ColumnMapMetricProvider):
    condition_metric_name = "column_values.no_controls"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, **_: object) -> pd.Series:
        return ~column.str.contains(measures.CONTROLS, regex=True)


class ExpectColumnValuesToHoldNoControlCharacters(RenderedExpectation, ColumnMapExpectation):
    """No control characters but tab and line ends, and no bidirectional overrides."""

    rendered_text: ClassVar[str] = "texts hold no control characters"
    map_metric: ClassVar[str | None] = "column_values.no_controls"


class ColumnValuesUndamaged(ColumnMapMetricProvider):
    condition_metric_name = "column_values.undamaged"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, **_: object) -> pd.Series:
        return ~measures.damaged_rows(column)


class ExpectColumnValuesToBeDecodedSoundly(RenderedExpectation, ColumnMapExpectation):
    """No replacement characters, and no UTF-8 read as a Western code page."""

    rendered_text: ClassVar[str] = "texts were decoded with the right encoding"
    map_metric: ClassVar[str | None] = "column_values.undamaged"


class ColumnValuesInLanguages(ColumnMapMetricProvider):
    condition_metric_name = "column_values.in_languages"
    condition_value_keys = ("languages", "min_characters", "min_confidence")

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(
        cls, column: pd.Series, languages: list[str] | None, min_characters: int, min_confidence: float, **_: object
    ) -> pd.Series:
        expected = languages if languages is not None else (COMPARED.get().languages or ())
        return ~measures.foreign_rows(column, expected, min_characters, min_confidence)


class ExpectColumnValuesToBeInLanguages(RenderedExpectation, ColumnMapExpectation):
    """Texts of at least `min_characters` are not, with `min_confidence` or more, in another language than `languages`."""

    rendered_text: ClassVar[str] = "texts are in one of the expected languages"
    needs: ClassVar[dict[str, str]] = {"languages": "languages"}
    map_metric: ClassVar[str | None] = "column_values.in_languages"
    success_keys: ClassVar[tuple[str, ...]] = ("languages", "min_characters", "min_confidence", "mostly")
    languages: list[str] | None = None
    min_characters: int = 40
    min_confidence: float = 0.9


class ColumnValuesTokenCount(ColumnMapMetricProvider):
    condition_metric_name = "column_values.token_count"
    condition_value_keys = ("min_value", "max_value")

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, min_value: int | None, max_value: int | None, **_: object) -> pd.Series:
        compared = COMPARED.get()
        token_lengths = compared.lengths_of(column.name)
        if token_lengths is None:
            raise ValueError("no tokenizer was given")
        most = max_value if max_value is not None else compared.max_tokens
        lengths = np.asarray(token_lengths(column.tolist()))
        return pd.Series((lengths >= (min_value or 0)) & (lengths <= (most or np.inf)), index=column.index)


class ExpectColumnTokenCountsToBeBetween(RenderedExpectation, ColumnMapExpectation):
    """Lengths in the model's own tokens; without `max_value`, at most what the model reads (model.max_length)."""

    rendered_text: ClassVar[str] = "lengths in tokens are within bounds"
    needs: ClassVar[dict[str, str]] = {"token_lengths": ""}
    map_metric: ClassVar[str | None] = "column_values.token_count"
    success_keys: ClassVar[tuple[str, ...]] = ("min_value", "max_value", "mostly")
    min_value: int | None = None
    max_value: int | None = None


class ColumnValuesUnknownTokenShare(ColumnMapMetricProvider):
    condition_metric_name = "column_values.unknown_token_share"
    condition_value_keys = ("max_share",)

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, max_share: float, **_: object) -> pd.Series:
        shares = COMPARED.get().unknown_of(column.name)
        if shares is None:
            raise ValueError("no tokenizer was given")
        return pd.Series(
            np.asarray(shares([measures.without_placeholders(text) for text in column])) <= max_share, index=column.index
        )


class ExpectColumnUnknownTokenSharesToBeAtMost(RenderedExpectation, ColumnMapExpectation):
    """Of a text's tokens at most `max_share` are unknown to the model: it reads nothing where its vocabulary has no token."""

    rendered_text: ClassVar[str] = "the model's vocabulary knows the texts' tokens"
    needs: ClassVar[dict[str, str]] = {"unknown_shares": ""}
    map_metric: ClassVar[str | None] = "column_values.unknown_token_share"
    success_keys: ClassVar[tuple[str, ...]] = ("max_share", "mostly")
    max_share: float = 0.2


class ColumnPairOneTarget(ColumnPairMapMetricProvider):
    condition_metric_name = "column_pair_values.one_target"
    condition_domain_keys = ("batch_id", "table", "column_A", "column_B", "row_condition", "condition_parser", "ignore_row_if")
    condition_value_keys = ()

    @column_pair_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column_A: pd.Series, column_B: pd.Series, **_: object) -> pd.Series:
        return column_B.groupby(column_A).transform("nunique") <= 1


class ExpectEqualTextsToHaveOneTarget(RenderedExpectation, ColumnPairMapExpectation):
    """Rows with equal texts (`column_A`) have equal targets (`column_B`): else one of them is wrong, and no one knows which."""

    rendered_text: ClassVar[str] = "equal texts have the same target"
    whole: ClassVar[bool] = True
    map_metric: ClassVar[str | None] = "column_pair_values.one_target"
    domain_keys = ("batch_id", "column_A", "column_B", "row_condition", "condition_parser", "ignore_row_if")
    column_A: str = "text"
    column_B: str = "target"
    ignore_row_if: str = "either_value_is_missing"


class ColumnSnapshotDistance(ColumnAggregateMetricProvider):
    metric_name = "column.snapshot_distance"

    @column_aggregate_value(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, **_: object) -> dict[str, float | str]:
        theirs, ours = COMPARED.get().label_shares or {}, measures.value_shares(column)
        moved = sorted({**ours, **theirs}, key=lambda k: -abs(ours.get(k, 0) - theirs.get(k, 0)))[:3]
        details = ", ".join(f"{k} {theirs.get(k, 0):.1%} > {ours.get(k, 0):.1%}" for k in moved)
        return {"value": measures.total_variation(ours, theirs), "details": f"most changed: {details}"}


class ExpectColumnSharesToMatchSnapshot(Aggregate):
    """Each value's share is near the last snapshot's: total variation (the share that changed) at most `max_value`."""

    rendered_text: ClassVar[str] = "the balance of values is near the last snapshot's"
    needs: ClassVar[dict[str, str]] = {"label_shares": ""}
    metric_dependencies = ("column.snapshot_distance",)
    max_value: float = 0.15


class ColumnUnseenWordShare(ColumnAggregateMetricProvider):
    metric_name = "column.unseen_word_share"

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(cls, execution_engine: Any, metric_domain_kwargs: dict[str, object], **_: object) -> dict[str, float | str]:
        frame, _compute, accessor = execution_engine.get_compute_domain(metric_domain_kwargs, domain_type=MetricDomainTypes.COLUMN)
        name = accessor["column"]
        if name + WORDS in frame:
            total, unseen = int(frame[name + WORDS].sum()), int(frame[name + UNSEEN].sum())
        else:
            words = [w for text in frame[name].dropna() for w in measures.words_of(text)]
            total, unseen = len(words), sum(w not in (COMPARED.get().vocabulary or ()) for w in words)
        return {"value": unseen / total if total else 0.0, "details": f"{unseen:,} of {total:,} words"}


class ExpectColumnUnseenWordShareToBeAtMost(Aggregate):
    """Of all words, the share that the last snapshot's vocabulary lacks is at most `max_value`: new topics bring new words."""

    rendered_text: ClassVar[str] = "few words are new since the last snapshot"
    needs: ClassVar[dict[str, str]] = {"vocabulary": ""}
    counts_words: ClassVar[bool] = True
    metric_dependencies = ("column.unseen_word_share",)
    max_value: float = 0.1


class ColumnCommonestShare(ColumnAggregateMetricProvider):
    metric_name = "column.commonest_share"

    @column_aggregate_value(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, **_: object) -> dict[str, float | str]:
        counts = column.value_counts()
        top, rows = (int(counts.iloc[0]), int(counts.sum())) if len(counts) else (0, 0)
        return {"value": top / rows if rows else 0.0, "details": f"one value fills {top:,} of {rows:,} rows"}


class ExpectColumnCommonestValueShareToBeAtMost(Aggregate):
    """No single value fills more than `max_value` of the rows: one text sent a thousand times is a bot, or a broken export."""

    rendered_text: ClassVar[str] = "no single value fills too many rows"
    metric_dependencies = ("column.commonest_share",)
    max_value: float = 0.05


class ColumnRarestCount(ColumnAggregateMetricProvider):
    metric_name = "column.rarest_count"

    @column_aggregate_value(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, **_: object) -> dict[str, float | str]:
        counts = column.value_counts()
        return {"value": int(counts.iloc[-1]) if len(counts) else 0, "details": f"{len(counts):,} distinct values"}


class ExpectColumnRarestValueCountToBeAtLeast(Aggregate):
    """Each value has at least `min_value` rows: a class of three examples can be neither learned nor tested."""

    rendered_text: ClassVar[str] = "each value has enough rows"
    metric_dependencies = ("column.rarest_count",)
    min_value: float | None = 10
