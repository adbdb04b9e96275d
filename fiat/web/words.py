"""How values are written on pages: harmless text, times, numbers."""

import math
import re
from datetime import UTC, datetime

# The same characters are made visible by live.js.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, DEL, C1: escape sequences begin here
    "\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # direction and zero width: text that lies about its order
    "\u2028\u2029\ufff9-\ufffb\U000e0000-\U000e007f"  # other line ends, annotations, tags
    "\ud800-\udfff]"  # lone halves of pairs can't be written as UTF-8
)
_COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?")


def visible(text: str) -> str:
    """The text with every control, direction and zero-width character made visible; tabs and line feeds stay."""
    return _CONTROLS.sub(_picture, text)


def log_text(text: str) -> str:
    """Output of a program for a page: colours dropped, of overwritten lines the last state, the rest made visible."""
    lines = _COLOURS.sub("", text).split("\n")
    return visible("\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines))


def seconds(value: float) -> str:
    """A duration: `0.2 s`, `12 s`, `2 m 05 s`, `3 h 20 m`, `2 d 04 h`."""
    if value < 9.95:
        return f"{max(0.0, value):.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} m"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"


def ago(when: datetime | None, now: datetime) -> str:
    """How long ago that was, roughly: `just now`, `5 min ago`, `3 h ago`, `2 d ago`, then the day."""
    if when is None:
        return ""
    passed = (now - when).total_seconds()
    if passed < 45:
        return "just now"
    if passed < 3600:
        return f"{max(1, round(passed / 60))} min ago"
    if passed < 86400:
        return f"{round(passed / 3600)} h ago"
    if passed < 14 * 86400:
        return f"{round(passed / 86400)} d ago"
    return when.astimezone(UTC).strftime("%Y-%m-%d")


def moment(when: datetime | None) -> str:
    """A point in time in UTC to the second; empty for None."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if when else ""


def number(value: float | None) -> str:
    """A measured number in about four significant digits."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return "undefined" if math.isnan(value) else ("infinite" if value > 0 else "-infinite")
    size = abs(value)
    if value == int(value) and size < 1e6:
        return f"{int(value):,}"
    if size >= 1e6 or size < 1e-4:
        return f"{value:.3g}"
    return f"{value:,.{4 if size < 1 else 3 if size < 10 else 2 if size < 100 else 1}f}"


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"<U+{code:04X}>"
