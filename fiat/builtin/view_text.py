"""How values are written for people: harmless text, numbers, times, sizes. Imports nothing heavy."""

import math
import re
from datetime import UTC, datetime

from fiat.run.model import Metric

_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: escape sequences begin here
    "\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # direction and zero width: text that lies about its order
    "\u2028\u2029\ufff9-\ufffb\U000e0000-\U000e007f"  # other line ends, annotations, tags
    "\ud800-\udfff]"  # lone halves of pairs can't be written as UTF-8
)
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
_MISSING = "-"


def visible(text: str) -> str:
    """The text on one line with every control, direction and zero-width character made visible.

    C0 controls become their pictures (`␛`), the others their code point (`<U+202E>`).
    """
    return _CONTROLS.sub(_picture, text)


def output_line(text: str) -> str:
    """A line of a program's output for a terminal: colours dropped, tabs as blanks, the rest made visible."""
    return visible(_ESCAPES.sub("", text).replace("\t", "    ").rstrip("\r\n"))


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"<U+{code:04X}>"


def number(value: float | None) -> str:
    """A measured number in at most four significant decimals: `0.9123`, `12.3`, `1,234`, `1.2e-05`."""
    if value is None:
        return _MISSING
    if not math.isfinite(value):
        return "undefined" if math.isnan(value) else ("infinite" if value > 0 else "-infinite")
    size = abs(value)
    if size == 0 or (value == int(value) and size < 1e6):
        return f"{int(value):,}"
    if size >= 1e6 or size < 1e-4:
        return f"{value:.3g}"
    decimals = 4 if size < 1 else 3 if size < 10 else 2 if size < 100 else 1
    return f"{value:,.{decimals}f}"


def score(value: float | None) -> str:
    """Like `number`, with decimals even when it is whole, so that a column of scores lines up: `1.0000`."""
    if value is not None and math.isfinite(value) and abs(value) < 10 and value == int(value):
        return f"{value:.4f}" if abs(value) <= 1 else f"{value:.3f}"
    return number(value)


def interval(low: float | None, high: float | None) -> str:
    """A confidence interval such as `0.905 to 0.921`; empty when there is none."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{score(low)} to {score(high)}"


def metric_value(metric: Metric) -> str:
    """A metric's value for a column: a score with an interval lines up with others, a count stays whole."""
    return number(metric.value) if metric.low is None else score(metric.value)


def metric_text(metric: Metric) -> str:
    """A metric in one word for a line of many: `accuracy=0.9123`."""
    return f"{visible(metric.name)}={number(metric.value)}"


def seconds(value: float) -> str:
    """A duration: `0.2 s`, `12 s`, `2 m 05 s`, `3 h 20 m`."""
    if value < 0.05:
        return "0.0 s"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} m"


def size(n_bytes: int) -> str:
    """A size in binary units: `512 B`, `12.5 KiB`, `3.0 GiB`."""
    if n_bytes < 1024:
        return f"{n_bytes} B"
    value = float(n_bytes)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 1023.95 or unit == "TiB":
            break
    return f"{value:.1f} {unit}"


def moment(when: datetime | None) -> str:
    """A point in time in UTC to the second; empty for None."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if when else ""


def count(n_things: int, one: str, many: str = "") -> str:
    """`1 row`, `1,234 rows`."""
    return f"{n_things:,} {one if n_things == 1 else many or one + 's'}"


def short(digest: str, length: int = 12) -> str:
    """The beginning of a digest or commit, enough to tell it from others."""
    return visible(digest[:length])
