"""What a spec says of a service, in the words of the crafts that serve: rollout, limits and log as plain numbers."""

from collections.abc import Mapping
from typing import Any, cast

from fiat.serving.release import LogPlan, ServerLimits
from fiat.serving.rollout_plan import CHECKS, OF_COPIES, OnInconclusive, RolloutPlan, Stage
from fiat.spec.section import duration_s, size_bytes


def rollout_plan(settings: Mapping[str, Any] | None) -> RolloutPlan:
    """The plan of a rollout.

    Args:
        settings: what a spec says under `rollout`, JSON values; None when it says nothing: all traffic at once.
    """
    if settings is None:
        return RolloutPlan()
    hold, fewest = str(settings.get("hold", "1m")), int(settings.get("min_requests", 50))
    limits = {name: float(limit) for name, limit in _limits(settings) if limit is not None}
    shadow = settings.get("shadow")
    # Answers to the same request can only be compared on copies, so without a stage for them every step makes some.
    copied = 100.0 if shadow is None and OF_COPIES & limits.keys() else 0.0

    def stage(kind: Any, percent: float, part: Mapping[str, Any], copies: float) -> Stage:
        held = duration_s(str(_given(part, "hold", hold)))
        return Stage(kind, percent, held, int(_given(part, "min_requests", fewest)), copies)

    stages = [] if shadow is None else [stage("shadow", 0.0, shadow, float(shadow.get("percent", 100)))]
    for step in settings.get("steps", ({"percent": 100},)):
        part = step if isinstance(step, Mapping) else {"percent": step}
        percent = float(part["percent"])
        stages.append(stage("step", percent, part, copied if percent < 100 else 0.0))
    baked = duration_s(str(settings.get("bake", "0s")))
    if baked > 0:
        stages.append(Stage("bake", 100.0, baked, fewest))
    return RolloutPlan(
        stages=tuple(stages),
        limits=limits,
        confidence=float(settings.get("confidence", 0.99)),
        on_inconclusive=cast(OnInconclusive, settings.get("on_inconclusive", "pause")),
        patience_s=duration_s(str(settings.get("patience", "1d"))),
    )


def log_plan(monitor: Mapping[str, Any] | None) -> LogPlan | None:
    """What is written down of requests and answers.

    Args:
        monitor: what a spec says under `monitor`, JSON values. Drift and quality need the log also when it says nothing
            of it.
    """
    if not monitor:
        return None
    log = monitor.get("log") or {}
    keep = log.get("keep")
    return LogPlan(
        sample_ratio=float(log.get("sample_ratio", 1.0)),
        keep_s=None if keep is None else duration_s(str(keep)),
        max_bytes=size_bytes(str(log.get("max", "1GiB"))),
        redact=tuple(log.get("redact", ())),
    )


def server_limits(limits: Mapping[str, Any] | None) -> ServerLimits:
    """What a server takes.

    Args:
        limits: what a spec says under `limits`, JSON values; None when it says nothing.
    """
    given = limits or {}
    usual = ServerLimits()
    return ServerLimits(
        body_bytes=size_bytes(str(given.get("body", f"{usual.body_bytes}B"))),
        concurrency=int(given.get("concurrency", usual.concurrency)),
        queue=int(given.get("queue", usual.queue)),
        timeout_s=duration_s(str(given.get("timeout", f"{usual.timeout_s:g}s"))),
        batch_rows=int(given.get("batch", usual.batch_rows)),
    )


def _limits(settings: Mapping[str, Any]) -> list[tuple[str, Any]]:
    given = settings.get("abort_on") or {}
    return [(name, given.get(name)) for name in CHECKS]


def _given(part: Mapping[str, Any], key: str, otherwise: Any) -> Any:
    found = part.get(key)
    return otherwise if found is None else found
