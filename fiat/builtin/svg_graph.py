"""The graph of a run's steps."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from markupsafe import Markup

from fiat.builtin.svg_draw import clipped, drawing, element, label, text_width
from fiat.builtin.svg_layout import BOX_HEIGHT, Layout, Point, lay_out_graph
from fiat.builtin.view_text import count, seconds
from fiat.run.model import StepResult

SIGNS = {
    "ran": "✓",
    "reused": "=",
    "failed": "✗",
    "cancelled": "✗",
    "skipped": "–",
    "running": "…",
    "waiting": "·",
}
_LANE_WIDTH = 26.0
_MARGIN = 4.0
_LEAST_WIDTH = 76.0
_FITTING_WIDTH = 1300.0
_NAME_PX = 14.2  # 13 px bold
_LONGEST_NAME = 26


def step_graph(steps: Sequence[StepResult], inputs: Mapping[str, Sequence[str]]) -> Markup:
    """Boxes from left to right, each after its inputs, with state and time; the reason is the box's title.

    Args:
        steps: in plan order.
        inputs: step to the steps that it reads; an edge that a longer way says too is not drawn.
    """
    results = {step.name: step for step in steps}
    layout = lay_out_graph([step.name for step in steps], inputs)
    lefts, widths = _columns(layout)
    longest = max((step.seconds for step in steps), default=0.0)
    parts = [_edge(edge, layout, lefts, widths) for edge in layout.edges]
    for layer, names in enumerate(layout.layers):
        for name in names:
            top = layout.middles[name] - BOX_HEIGHT / 2 + _MARGIN
            parts.append(_box(results[name], lefts[layer], top, widths[layer], longest))
    width = (lefts[-1] + widths[-1] if lefts else 0.0) + _MARGIN
    title = f"Graph of {count(len(steps), 'step')}; the table below says the same"
    return drawing(
        width,
        layout.height + 2 * _MARGIN,
        title,
        parts,
        kind="graph fits" if width <= _FITTING_WIDTH else "graph",
    )


def _columns(layout: Layout) -> tuple[list[float], list[float]]:
    widths = [
        max([_LEAST_WIDTH, *(text_width(clipped(name, _LONGEST_NAME), _NAME_PX) + 34 for name in layer)])
        for layer in layout.layers
    ]
    lefts, x = [], _MARGIN
    for width in widths:
        lefts.append(x)
        x += width + _LANE_WIDTH
    return lefts, widths


def _edge(
    edge: tuple[str, str, tuple[tuple[str, str, int], ...]],
    layout: Layout,
    lefts: Sequence[float],
    widths: Sequence[float],
) -> Markup:
    source, target, lanes = edge
    depth = {
        name: layer for layer, names in enumerate(layout.layers) for name in (source, target) if name in names
    }
    points: list[tuple[Point, int]] = [(source, depth[source])]
    points += [(lane, lane[2]) for lane in lanes]
    points.append((target, depth[target]))
    moves: list[str] = []
    for (left, left_layer), (right, right_layer) in pairwise(points):
        x1, y1 = lefts[left_layer] + widths[left_layer], layout.middles[left] + _MARGIN
        x2, y2 = lefts[right_layer], layout.middles[right] + _MARGIN
        if not moves:
            moves.append(f"M{x1:.1f} {y1:.1f}")
        else:
            moves.append(f"H{x1:.1f}")
        middle = (x1 + x2) / 2
        moves.append(f"C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}")
    return element("path", d=" ".join(moves), class_="edge")


def _box(step: StepResult, left: float, top: float, width: float, longest: float) -> Markup:
    told = f"{step.name}: {step.state}" + (f", {seconds(step.seconds)}" if step.seconds else "")
    if step.reason:
        told += f" ({step.reason})"
    said = seconds(step.seconds) if step.state in ("ran", "failed", "cancelled") else step.state
    parts = [
        element("title", told),
        element("rect", x=left, y=top, width=width, height=BOX_HEIGHT, rx=5, class_="box"),
        label(left + 10, top + 18, SIGNS[step.state], "sign"),
        label(left + 25, top + 18, clipped(step.name, _LONGEST_NAME), "name"),
        label(left + 25, top + 33, said, "quiet"),
    ]
    if step.seconds and longest:
        share = max(2.0, (width - 2) * step.seconds / longest)
        parts.append(
            element("rect", x=left + 1, y=top + BOX_HEIGHT - 4, width=share, height=3, rx=1.5, class_="spent")
        )
    return element("g", *parts, class_=f"step {step.state}")
