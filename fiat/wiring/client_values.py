"""Documents of the runner's API as the values that they were made of."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from fiat.run.model import GateResult, Metric, Run, StepResult, StepState, Verdict

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_STEP_STATES = frozenset(get_args(StepState))
_VERDICTS = frozenset(get_args(Verdict))
_GATE_STATES = frozenset({"pass", "warn", "fail", "skipped"})


def run_of(document: Mapping[str, object]) -> Run:
    """The run of `/runs/X`; what the document lacks is empty.

    Before a worker has begun, it has no steps.
    """
    return Run(
        id=_text(document, "id"),
        spec=_text(document, "spec"),
        spec_path=_text(document, "spec_path"),
        spec_digest="",
        plan_digest="",
        commit=_text(document, "commit"),
        branch=_text(document, "ref").removeprefix("refs/heads/"),
        dirty=False,
        overrides=(),
        config={},
        state="done" if document.get("state") == "done" else "running",
        verdict=verdict_of(document),
        reason=_text(document, "reason"),
        started_at=_moment(document, "started_at") or _NEVER,
        ended_at=_moment(document, "ended_at"),
        steps=tuple(_step(item) for item in _items(document, "steps")),
        metrics=tuple(_metric(item) for item in _items(document, "metrics")),
        gates=tuple(_gate(item) for item in _items(document, "gates")),
        model_digest=_text(document, "model_digest"),
    )


def verdict_of(document: Mapping[str, object]) -> Verdict | None:
    """The verdict of a run or change, None while it has none."""
    value = document.get("verdict")
    return value if value in _VERDICTS else None  # type: ignore[return-value]


def _step(document: Mapping[str, object]) -> StepResult:
    state: Any = _text(document, "state")
    return StepResult(
        name=_text(document, "name"),
        kind=_text(document, "kind"),
        state=state if state in _STEP_STATES else "waiting",
        reason=_text(document, "reason"),
        seconds=_number(document, "seconds") or 0.0,
        attempt=int(_number(document, "attempt") or 0),
        started_at=_moment(document, "started_at"),
        ended_at=_moment(document, "ended_at"),
    )


def _metric(document: Mapping[str, object]) -> Metric:
    value = _number(document, "value")
    return Metric(
        name=_text(document, "name"),
        value=float("nan") if value is None else value,
        slice=_text(document, "slice"),
        low=_number(document, "low"),
        high=_number(document, "high"),
        n_rows=int(_number(document, "n_rows") or 0),
    )


def _gate(document: Mapping[str, object]) -> GateResult:
    state: Any = _text(document, "state")
    return GateResult(
        name=_text(document, "name"),
        state=state if state in _GATE_STATES else "skipped",
        reason=_text(document, "reason"),
        value=_number(document, "value"),
        limit=_number(document, "limit"),
    )


def _text(document: Mapping[str, object], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _number(document: Mapping[str, object], key: str) -> float | None:
    value = document.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _moment(document: Mapping[str, object], key: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(_text(document, key))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _items(document: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    value = document.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
