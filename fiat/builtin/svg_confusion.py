"""The confusion matrix as a heat map: what is right in one colour, errors in another so that they show."""

from collections.abc import Sequence

from markupsafe import Markup

from fiat.builtin.svg_draw import clipped, drawing, element, label, text_width
from fiat.builtin.view_text import count

MOST_CLASSES = 40
_NUMBERED = 20
_LONGEST_LABEL = 14
_STRONG = 0.55
_FAINTEST = 0.06


def confusion_chart(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Markup:
    """True classes are rows, predicted classes are columns.

    A cell's strength is its share of the row; errors are drawn on a scale of roots, so that a few in a hundred can be
    seen.

    Args:
        labels: one to MOST_CLASSES names.
        counts: rows by true and predicted class, `(n_classes, n_classes)`.
    """
    n_classes = len(labels)
    cell = 44.0 if n_classes <= 6 else 34.0 if n_classes <= 12 else 26.0 if n_classes <= _NUMBERED else 14.0
    names = [clipped(name, _LONGEST_LABEL) for name in labels]
    longest = max(text_width(name, 12) for name in names)
    left, top = longest + 34, 44.0 if longest < cell else longest + 30
    parts = [
        label(left, 12, "predicted", "tick strong"),
        element(
            "text",
            "true",
            class_="tick strong",
            transform=f"translate(12 {top:.1f}) rotate(-90)",
            text_anchor="end",
        ),
    ]
    for place, name in enumerate(names):
        parts.append(label(left - 8, top + (place + 0.5) * cell + 4, name, "tick", "end"))
        x = left + (place + 0.5) * cell
        if longest < cell:
            parts.append(label(x, top - 8, name, "tick", "middle"))
        else:
            turned = f"translate({x + 4:.1f} {top - 8:.1f}) rotate(-90)"
            parts.append(element("text", name, class_="tick", transform=turned))
    for row, line in enumerate(counts):
        total = sum(line)
        for column, n_rows in enumerate(line):
            told = f"{labels[row]} taken for {labels[column]}: {n_rows:,} of {count(total, 'row')}"
            if row == column:
                told = f"{labels[row]} recognised: {n_rows:,} of {count(total, 'row')}"
            x, y = left + column * cell, top + row * cell
            parts.append(_cell(x, y, cell, n_rows, n_rows / total if total else 0.0, row == column, told))
    right = sum(counts[place][place] for place in range(n_classes))
    title = f"Confusion matrix: {right:,} of {count(sum(map(sum, counts)), 'row')} right"
    return drawing(left + n_classes * cell + 4, top + n_classes * cell + 4, title, parts)


def _cell(x: float, y: float, cell: float, n_rows: int, share: float, right: bool, told: str) -> Markup:
    strength = share if right else share**0.5
    strength = max(_FAINTEST, strength) if n_rows else 0.0
    box = element(
        "rect", x=x + 0.5, y=y + 0.5, width=cell - 1, height=cell - 1, class_="right" if right else "wrong",
        fill_opacity=round(strength, 3),
    )  # fmt: skip
    parts = [
        element("title", told),
        element("rect", x=x + 0.5, y=y + 0.5, width=cell - 1, height=cell - 1, class_="ground"),
        box,
    ]
    if n_rows and cell >= 26:
        kind = "count on" if strength > _STRONG else "count"
        text = f"{n_rows}" if n_rows < 10_000 else f"{n_rows / 1000:.0f}k"
        parts.append(label(x + cell / 2, y + cell / 2 + 4, text, kind, "middle"))
    return element("g", *parts)


def largest_confusions(
    labels: Sequence[str], counts: Sequence[Sequence[int]], most: int
) -> list[tuple[str, str, int, float]]:
    """The most frequent errors: true label, predicted label, rows, share of the true label's rows."""
    found = [
        (labels[row], labels[column], n_rows, n_rows / max(1, sum(line)))
        for row, line in enumerate(counts)
        for column, n_rows in enumerate(line)
        if row != column and n_rows
    ]
    return sorted(found, key=lambda item: (-item[2], item[0], item[1]))[:most]
