"""Whether a converted model may take the packaged one's place, and how that is said. Pure."""

from collections.abc import Mapping
from typing import Any

from fiat.builtin.job_death import size_text

MAX_DIFFERENCE = 1e-4
"""Without quantization, unless the spec says otherwise: of a score, and of its size where that is above 1."""
MAX_DISAGREEMENT = 0.02
"""With quantization, unless the spec says otherwise."""


def broken_rules(
    measured: Mapping[str, Any], quantize: str, parity: Mapping[str, float | None] | None
) -> list[str]:
    """Sentences for every rule that a converted model breaks.

    Args:
        measured: as `fiat.builtin.edge_measure.compare` gives it; None stands for a number that is not finite.
        quantize: `none`, `dynamic` or `static`.
        parity: `max_abs`, `disagreement` or both, None for the usual rules.
    """
    where = f"on {measured['n_rows']:,} rows"
    said = []
    if parity is None:
        # Without quantization a tie may still fall the other way, so the share of such rows is looked at there too.
        if quantize == "none":
            said += _beyond(measured["max_rel"], MAX_DIFFERENCE, f"its scores differ by {{}} {where}")
        parity = {"disagreement": MAX_DISAGREEMENT}
    if (allowed := parity.get("max_abs")) is not None:
        said += _beyond(measured["max_abs"], allowed, f"its scores differ by {{}} {where}")
    if (allowed := parity.get("disagreement")) is not None:
        said += _beyond(measured["disagreement"], allowed, f"it predicts {{}} of the rows otherwise, {where}")
    return said


def summary(about: Mapping[str, Any]) -> str:
    """One sentence with format, size, speed and parity.

    Args:
        about: what `edge.json` says.
    """
    measured = about["measured"]
    way = "" if about["quantize"] == "none" else f", int8 ({about['quantize']})"
    size = f"{size_text(measured['size_bytes'])} of {size_text(measured['packaged_size_bytes'])}"
    speed = f"{measured['row_us']:.3g} us a row, the packaged one {measured['packaged_row_us']:.3g} us"
    rows = f"{measured['n_rows']:,} rows {'made up' if measured['rows'] == 'made up' else 'of ' + measured['rows']}"
    parts = [
        f"{about['format']}{way}",
        size,
        speed,
        f"differs by {_text(measured['max_abs'])} at most",
        f"predicts {measured['disagreement']:.2%} of {rows} otherwise",
    ]
    for name, (before, after) in measured["metrics"].items():
        if before is not None and after is not None:
            parts.append(f"{name} {after:.4g} after {before:.4g}")
    return "; ".join(parts)


def _beyond(value: float | None, allowed: float, sentence: str) -> list[str]:
    if value is not None and value <= allowed:
        return []
    return [f"{sentence.format(_text(value))}, more than {allowed:g}"]


def _text(value: float | None) -> str:
    return "no finite number" if value is None else f"{value:.3g}"
