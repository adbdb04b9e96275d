"""What user code says to the run: metrics, written as lines on standard output."""

import math
import re
import sys

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./@-]{0,199}")
_LINE = re.compile(r"FIAT_METRIC ([^\s=]+)=(\S+)(?: step=(\d{1,18}))?\s*")


def log(step: int | None = None, /, **metrics: float) -> None:
    """Record metrics of the running step.

    Works in any process that Fiat started, and in none: outside a run the line is only printed.

    Args:
        step: position on the x axis of the curve (epoch, batch), 0 or more; None for a final value.
        **metrics: name to value; a NaN or an infinity is recorded as such.

    Raises:
        ValueError: a step below 0, or a name with characters that a metric can't have.
    """
    if step is not None and step < 0:
        raise ValueError(f"step is {step}, expected 0 or more")
    for name, value in metrics.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} can't be a metric name: letters, digits and _ . / @ - only")
        tail = "" if step is None else f" step={step}"
        sys.stdout.write(f"FIAT_METRIC {name}={float(value)!r}{tail}\n")
    sys.stdout.flush()


def read_metric(line: str) -> tuple[str, float, int | None] | None:
    """Read one line of output as a metric.

    Returns:
        (name, value, step), or None when the line is no metric line or not a well-formed one.
    """
    if not line.startswith("FIAT_METRIC "):
        return None
    match = _LINE.fullmatch(line.rstrip("\r\n"))
    if not match or not _NAME.fullmatch(match[1]):
        return None
    try:
        value = float(match[2])
    except ValueError:
        return None
    if math.isnan(value):
        value = math.nan
    return match[1], value, None if match[3] is None else int(match[3])
