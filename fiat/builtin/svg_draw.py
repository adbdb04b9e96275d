"""Pieces of SVG as safe markup. Colours come from the page's style sheet by class, so that light and dark both work."""

from collections.abc import Iterable

from markupsafe import Markup

from fiat.builtin.view_text import visible

_EM = 0.57
_NOTHING = Markup("")
_PAIR = Markup(' {}="{}"')
_FULL = Markup("<{}{}>{}</{}>")
_EMPTY = Markup("<{}{}/>")


def element(name: str, *children: str, **attributes: float | str | None) -> Markup:
    """One element; text children and values are escaped, control characters in them made visible.

    Args:
        name: tag name, ours.
        *children: markup of our own, or text.
        **attributes: a trailing `_` is dropped (`class_`), other `_` become `-`; numbers are rounded to 0.01; None is left
            out.
    """
    pairs = _NOTHING.join(
        _PAIR.format(key.rstrip("_").replace("_", "-"), _value(value))
        for key, value in attributes.items()
        if value is not None
    )
    inner = _NOTHING.join(child if isinstance(child, Markup) else visible(child) for child in children)
    return _FULL.format(name, pairs, inner, name) if inner else _EMPTY.format(name, pairs)


def drawing(width: float, height: float, title: str, parts: Iterable[Markup], *, kind: str = "") -> Markup:
    """A whole picture in its natural size in pixels; the title is what screen readers say."""
    return element(
        "svg",
        *parts,
        class_=f"chart {kind}".rstrip(),
        role="img",
        aria_label=title,
        width=width,
        height=height,
        viewBox=f"0 0 {_value(width)} {_value(height)}",
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def label(x: float, y: float, text: str, kind: str = "", anchor: str | None = None) -> Markup:
    """Text with its baseline at y; anchor `middle` or `end`."""
    return element("text", text, x=x, y=y, class_=kind or None, text_anchor=anchor)


def path(points: Iterable[tuple[float, float]], kind: str) -> Markup:
    """A line through points in order."""
    steps = " ".join(f"{'L' if place else 'M'}{_value(x)} {_value(y)}" for place, (x, y) in enumerate(points))
    return element("path", d=steps, class_=kind) if steps else Markup("")


def text_width(text: str, size_px: float) -> float:
    """About how wide a text is in a usual sans-serif font."""
    return len(visible(text)) * size_px * _EM


def clipped(text: str, n_chars: int) -> str:
    """The text, cut at its end with an ellipsis when it is longer; 2 characters or more."""
    shown = visible(text)
    return shown if len(shown) <= n_chars else shown[: n_chars - 1] + "…"


def _value(value: float | str) -> str:
    if isinstance(value, str):
        return visible(value)
    return f"{value:.2f}".rstrip("0").rstrip(".")
