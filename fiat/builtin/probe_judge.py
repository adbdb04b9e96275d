"""Judge what a probe measured by the limits of its gate. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fiat.evaluate.gates import Finding, LimitGate, Severity, conclude, show, show_bytes
from fiat.run.model import GateResult
from fiat.spec.section import size_bytes

DEFAULT_MAX_ABS = 1e-4
_TIMES = ("p50_ms", "p95_ms", "p99_ms", "load_s")
_SIZES = ("memory", "size")


@dataclass(frozen=True)
class Measured:
    """What was found at one server.

    Attributes:
        load_s: from starting the process until it was ready.
        p50_ms: median of the answer times at the client.
        p95_ms: 95 in 100 were no slower.
        p99_ms: 99 in 100 were no slower.
        memory: most memory of the server's processes, bytes.
        size: of the model file, bytes.
        max_abs: largest difference from the recorded predictions.
        wrong: rows with another label than recorded.
        compared: rows that were compared.
        requests: that were timed.
        rows: of a request.
        clients: at a time.
    """

    load_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    memory: float
    size: float
    max_abs: float
    wrong: int
    compared: int
    requests: int
    rows: int
    clients: int


def gate_name(limits: Mapping[str, Any]) -> str:
    """How people call a probe: by what it must reach."""
    words = [
        f"{_word(key)} <= {_limit_text(key, limits[key])}" for key in (*_TIMES, *_SIZES) if key in limits
    ]
    if "max_abs" in limits:
        words.append(f"difference <= {limits['max_abs']:g}")
    return f"probe {', '.join(words)}"


def judge(
    limits: Mapping[str, Any], found: Measured, max_abs: float, severity: Severity, key: str
) -> GateResult:
    """Hold everything that was measured against its limit.

    Args:
        limits: as the spec has them.
        found: what was measured.
        max_abs: largest difference from the recorded predictions that passes.
        severity: `warn` turns a refusal into a warning.
        key: key path in the spec.
    """
    faults, first = [], None
    if found.wrong or not found.max_abs <= max_abs:
        faults.append(_disagreement(found, max_abs))
        first = (found.max_abs, max_abs)
    for name in (*_TIMES, *_SIZES):
        if name not in limits:
            continue
        value, limit = float(getattr(found, name)), _number(name, limits[name])
        if not value <= limit:
            faults.append(
                f"{_word(name)} of {_value_text(name, value, limit)[0]} is above {_value_text(name, value, limit)[1]}"
            )
            first = first or (value, limit)
    told = _told(found)
    name = gate_name(limits)
    if faults:
        assert first is not None  # noqa: S101 - set with the first fault
        return _result(name, severity, key, Finding("fail", f"{'; '.join(faults)} ({told})", *first))
    judged = next((key for key in (*_TIMES, *_SIZES) if key in limits), "max_abs")
    value = float(getattr(found, judged))
    limit = max_abs if judged == "max_abs" else _number(judged, limits[judged])
    return _result(name, severity, key, Finding("pass", told, value, limit))


def refuse(limits: Mapping[str, Any], reason: str, severity: Severity, key: str) -> GateResult:
    """The answer about a server that did not do what it must."""
    return _result(gate_name(limits), severity, key, Finding("fail", reason, None, None))


def _result(name: str, severity: Severity, key: str, finding: Finding) -> GateResult:
    said = conclude(LimitGate(name, 0.0, severity, key), finding)
    return GateResult(said.name, said.state, said.reason, said.value, said.limit, said.key)


def _disagreement(found: Measured, max_abs: float) -> str:
    if found.wrong:
        return f"{found.wrong} of {found.compared} rows are answered with another label than was recorded"
    if not math.isfinite(found.max_abs):
        return "answers are no numbers where the recorded predictions are, or the other way round"
    value, limit = show(found.max_abs, max_abs)
    return f"answers differ from the recorded predictions by {value}, above {limit}"


def _told(found: Measured) -> str:
    """All of it in one sentence."""
    rows = f"{found.compared:,} row{'' if found.compared == 1 else 's'}"
    clients = f" by {found.clients} clients" if found.clients > 1 else ""
    times = ", ".join(f"{_word(name)} {_short(getattr(found, name))} ms" for name in _TIMES[:3])
    return (
        f"ready after {_short(found.load_s)} s; {rows} answered {_closeness(found.max_abs)}; "
        f"{found.requests:,} requests of {found.rows} row{'' if found.rows == 1 else 's'}{clients}: {times}; "
        f"{show_bytes(found.memory)} of memory; a model of {show_bytes(found.size)}"
    )


def _closeness(max_abs: float) -> str:
    return "as recorded" if max_abs == 0 else f"within {max_abs:.2g} of what was recorded"


def _word(name: str) -> str:
    return {"load_s": "load"}.get(name, name.partition("_")[0])


def _number(name: str, limit: Any) -> float:
    return float(size_bytes(str(limit))) if name in _SIZES else float(limit)


def _limit_text(name: str, limit: Any) -> str:
    return str(limit) if name in _SIZES else f"{limit:g} {'s' if name == 'load_s' else 'ms'}"


def _value_text(name: str, value: float, limit: float) -> tuple[str, str]:
    if name in _SIZES:
        texts = show_bytes(value), show_bytes(limit)
        return texts if texts[0] != texts[1] else (f"{value:.0f} bytes", f"{limit:.0f} bytes")
    unit = "s" if name == "load_s" else "ms"
    return tuple(f"{text} {unit}" for text in show(value, limit))  # type: ignore[return-value]  # two of them


def _short(value: float) -> str:
    return f"{value:.3g}"
