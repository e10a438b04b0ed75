"""Data Docs: Great Expectations' own page of one validation, as one file that is readable without a network.

The page is rendered from outcomes, which hold counts and ids, never from raw results, which hold texts. What its template
loads from content networks (styles, icons, scripts) is taken out, and a small style sheet put in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InfraError
from expectations.suites import SEVERITY, Check
from expectations.types import Outcome, Validation

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult

# Everything that asks a network or runs: a page of results needs neither.
_REMOTE = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*>|<nav class=\"navbar.*?</nav>\s*</div>\s*</nav>|<footer>.*?</footer>",
    re.IGNORECASE | re.DOTALL,
)
_DEAD_LINK = re.compile(r"""\bhref="\.\./[^"]*"|url\(['"]?https?:[^)]*\)""")
_BODY = re.compile(r"<body[^>]*>", re.IGNORECASE)
SHOWN_REASONS = 50
_STYLE = Path(__file__).with_name("docs.css")


def write_docs(validation: Validation, checks: Sequence[Check], docs_dir: Path) -> Path:
    """Writes `docs_dir`/index.html and returns its path.

    Raises:
        InfraError: the folder cannot be written.
    """
    page = docs_dir / "index.html"
    html = _make_offline(_render_page(validation, checks), validation)
    try:
        docs_dir.mkdir(parents=True, exist_ok=True)
        page.write_text(html, encoding="utf-8")
    except OSError as error:
        raise InfraError(
            f"Data Docs cannot be written to {page}: {error.strerror or error}; free space or choose another folder"
        ) from error
    return page


def _render_page(validation: Validation, checks: Sequence[Check]) -> str:
    import great_expectations
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    results = [_expectation_result(o, c) for o, c in zip(validation.outcomes, checks, strict=True)]
    passed = sum(o.success for o in validation.outcomes)
    run = RunIdentifier(run_name=f"{validation.stage} records", run_time=datetime.now(UTC))
    answer = ExpectationSuiteValidationResult(
        success=validation.success,
        results=results,
        suite_name=" + ".join(dict.fromkeys(c.suite for c in checks)) or "no suite",
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": passed,
            "unsuccessful_expectations": len(results) - passed,
            "success_percent": 100.0 * passed / len(results) if results else 100.0,
        },
        meta={
            "great_expectations_version": great_expectations.__version__,
            "run_id": run,
            "batch_spec": {"data_asset_name": f"{validation.rows:,} {validation.stage} records"},
        },
    )
    return str(DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(answer)))


def _expectation_result(outcome: Outcome, check: Check) -> ExpectationValidationResult:
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    config = ExpectationConfiguration(
        type=check.type, kwargs=dict(check.kwargs), meta={"notes": f"{check.suite}: {check.words}"}, severity=SEVERITY[check.action]
    )
    return ExpectationValidationResult(success=outcome.success, expectation_config=config, result=_result_values(outcome))


def _result_values(outcome: Outcome) -> dict[str, object]:
    if not outcome.evaluated or not outcome.checked:
        return {"observed_value": outcome.observed if outcome.evaluated and outcome.observed is not None else outcome.reason}
    percent = 100.0 * outcome.share
    return {
        "element_count": outcome.checked,
        "unexpected_count": outcome.failing,
        "unexpected_percent": percent,
        "unexpected_percent_nonmissing": percent,
        "unexpected_percent_total": percent,
        "missing_count": 0,
        "missing_percent": 0.0,
        "partial_unexpected_list": list(outcome.ids),
    }


def _verdict(validation: Validation) -> str:
    """What the run does with this result, above what Great Expectations says of it: its page knows no severities."""
    out = len(validation.quarantined)
    head = f"{validation.rows:,} {validation.stage} records: {'accepted' if validation.success else 'stopped'}, {out:,} quarantined"
    reasons = Counter(reason for row_reasons in validation.quarantined.values() for reason in row_reasons)
    lines = [f"Stopped. {reason}" for reason in validation.stopped] + [f"Warning. {reason}" for reason in validation.warnings]
    lines += [f"Quarantined {rows:,}. {reason}" for reason, rows in reasons.most_common(SHOWN_REASONS)]
    lines += [f"{o.reason}" for o in validation.outcomes if not o.evaluated and o.success]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<section class="alert"><h1>{escape(head)}</h1><ul>{items}</ul></section>'


def _make_offline(html: str, validation: Validation) -> str:
    style = f"<style>{_STYLE.read_text(encoding='utf-8')}</style></head>"
    bare = _DEAD_LINK.sub("", _REMOTE.sub("", html))
    bare = _BODY.sub(lambda body: body.group() + _verdict(validation), bare, count=1)
    return bare.replace("Sampled Unexpected Values", "Failing rows, by id").replace("</head>", style, 1)
