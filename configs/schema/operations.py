"""What happens after training: release, serving, monitors, schedule."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from configs.schema.section import DAYS, SECONDS, Fraction, Frozen, LooksPerYear, WorkPool


class Release(Frozen):
    alias: str = "champion"
    approval: Literal["auto", "manual"] = Field("auto", description="manual: a person says yes in the Prefect UI or by `promote`")
    approval_timeout_hours: Annotated[float, Field(gt=0, le=24 * DAYS)] = Field(
        72, description="no answer by then: the challenger is not promoted"
    )

    @field_validator("alias")
    @classmethod
    def _alias_is_allowed(cls, value: str) -> str:
        if value == "latest" or re.fullmatch(r"v\d+", value) or not re.fullmatch(r"[A-Za-z0-9_-]+", value):
            raise ValueError(f"`{value}` is refused by MLflow's registry: letters, digits, - and _; not `latest`, not `v1`")
        return value


class Serving(Frozen):
    """How the service answers, and what of its traffic is kept."""

    max_rows: Annotated[int, Field(ge=1)] = Field(256, description="texts in one request")
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1_000_000
    max_batch: Annotated[int, Field(ge=1)] = Field(64, description="texts that go through the model at once, of whatever requests")
    max_wait_ms: Annotated[float, Field(ge=0, le=1000 * SECONDS)] = Field(
        2.0, description="how long an idle model waits for a batch to fill"
    )
    max_waiting: Annotated[int, Field(ge=1)] = Field(2048, description="texts that may wait; more are refused at once (503)")
    max_connections: Annotated[int, Field(ge=8)] = Field(1000, description="at once; one more closes the one that idles longest")
    texts_per_minute: Annotated[int, Field(ge=1)] | None = Field(None, description="of one API key; more are refused (429)")
    feedback_per_minute: Annotated[int, Field(ge=1)] = Field(600, description="of one API key; more are refused (429)")
    key_share: Annotated[float, Field(gt=0, le=1)] = Field(0.5, description="of what may wait that one API key may take")
    timeout_seconds: Annotated[float, Field(gt=0, le=SECONDS)] = 10.0
    follow_seconds: Annotated[float, Field(gt=0, le=SECONDS)] = Field(2.0, description="how often the alias is looked at")
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

    window_days: Annotated[float, Field(gt=0, le=DAYS)] = 7
    min_rows: Annotated[int, Field(ge=20)] = Field(100, description="fewer answers in the window: no look is taken")
    max_rows: Annotated[int, Field(ge=100)] = Field(20_000, description="more are sampled")
    alpha: Fraction = Field(0.05, description="chance of any false alarm per champion and year, over all monitors and looks")
    looks_per_year: LooksPerYear = 365
    effects: Effects = Effects()


class Schedule(Frozen):
    """When it is looked at, and what starts a retraining; `tunekeeper deploy` puts it into effect."""

    retrain: str | None = Field(None, description="cron, five fields; default: only triggers and people start one")
    monitor: str | None = Field(
        "0 6 * * *", description="cron of the monitors; more often than monitor.looks_per_year is alpha spent early"
    )
    timezone: str = "UTC"
    on_drift: bool = Field(True, description="an alarm of a monitor starts a retraining")
    on_new_data_minutes: Annotated[float, Field(ge=1, le=1440 * DAYS)] | None = Field(
        None, description="how often the source is looked at for change"
    )
    cooldown_hours: Annotated[float, Field(ge=0, le=24 * DAYS)] = Field(
        24, description="after a triggered retraining no trigger starts another"
    )
    retrains_per_week: Annotated[int, Field(ge=1)] = Field(3, description="budget of triggered retrainings; people are not counted")
    work_pool: WorkPool = "tunekeeper"
    tags: tuple[str, ...] = ()
