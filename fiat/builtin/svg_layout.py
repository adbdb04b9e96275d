"""Where the boxes of a graph stand: layers from left to right, few crossings, long edges in lanes of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

BOX_HEIGHT = 42.0
LANE_HEIGHT = 8.0
ROW_GAP = 14.0
_SWEEPS = 6

Lane = tuple[str, str, int]
Point = str | Lane


@dataclass(frozen=True)
class Layout:
    """A graph with places.

    Attributes:
        layers: names of each column, top to bottom.
        middles: y of the middle of each box and each lane, 0 at the top.
        edges: (from, to) with the lanes between; one that a longer way says too is left out.
        height: of the whole.
    """

    layers: tuple[tuple[str, ...], ...]
    middles: Mapping[Point, float]
    edges: tuple[tuple[str, str, tuple[Lane, ...]], ...]
    height: float


def lay_out_graph(names: Sequence[str], inputs: Mapping[str, Sequence[str]]) -> Layout:
    """Place a graph without cycles.

    Args:
        names: every node, each after its inputs.
        inputs: name to the names that it reads; unknown ones are left out.
    """
    known = set(names)
    before = {name: tuple(dict.fromkeys(i for i in inputs.get(name, ()) if i in known)) for name in names}
    depth: dict[str, int] = {}
    for name in names:
        depth[name] = max((depth[item] + 1 for item in before[name] if item in depth), default=0)
    implied = _implied(names, before)
    edges = []
    for name in names:
        for item in before[name]:
            if item not in depth or depth[item] >= depth[name] or (item, name) in implied:
                continue
            lanes = tuple((item, name, layer) for layer in range(depth[item] + 1, depth[name]))
            edges.append((item, name, lanes))
    layers: list[list[Point]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in names:
        layers[depth[name]].append(name)
    for _, _, lanes in edges:
        for lane in lanes:
            layers[lane[2]].append(lane)
    near = _neighbours(edges)
    _order(layers, near)
    middles = _settle(layers, near)
    boxes = tuple(tuple(point for point in layer if isinstance(point, str)) for layer in layers)
    height = max((middles[point] + _height(point) / 2 for layer in layers for point in layer), default=0.0)
    return Layout(boxes, middles, tuple(edges), height)


def _implied(names: Sequence[str], before: Mapping[str, Sequence[str]]) -> set[tuple[str, str]]:
    """Edges that another way through the graph says too."""
    bit = {name: 1 << place for place, name in enumerate(names)}
    reach: dict[str, int] = {}
    found = set()
    for name in names:
        whole = 0
        for item in before[name]:
            others = 0
            for other in before[name]:
                if other != item:
                    others |= reach.get(other, 0)
            if others & bit[item]:
                found.add((item, name))
            whole |= bit[item] | reach.get(item, 0)
        reach[name] = whole
    return found


def _neighbours(
    edges: Sequence[tuple[str, str, tuple[Lane, ...]]],
) -> dict[Point, tuple[list[Point], list[Point]]]:
    near: dict[Point, tuple[list[Point], list[Point]]] = {}
    for source, target, lanes in edges:
        chain: list[Point] = [source, *lanes, target]
        for left, right in pairwise(chain):
            near.setdefault(left, ([], []))[1].append(right)
            near.setdefault(right, ([], []))[0].append(left)
    return near


def _order(layers: list[list[Point]], near: Mapping[Point, tuple[list[Point], list[Point]]]) -> None:
    """Sort each layer by the mean place of its neighbours, forth and back."""
    for sweep in range(_SWEEPS):
        side = sweep % 2
        for layer in layers if side == 0 else reversed(layers):
            place = {point: float(spot) for other in layers for spot, point in enumerate(other)}
            wanted = {
                point: fmean(place[item] for item in near[point][side])
                if point in near and near[point][side]
                else place[point]
                for point in layer
            }
            layer.sort(key=lambda point: wanted[point])


def _settle(
    layers: Sequence[Sequence[Point]], near: Mapping[Point, tuple[list[Point], list[Point]]]
) -> dict[Point, float]:
    """Draw every point towards its neighbours without changing the order in a layer."""
    middles: dict[Point, float] = {}
    for layer in layers:
        y = 0.0
        for point in layer:
            middles[point] = y + _height(point) / 2
            y += _height(point) + ROW_GAP
    for sweep in range(_SWEEPS):
        side = sweep % 2
        for layer in layers if side == 0 else reversed(layers):
            wanted = [
                fmean(middles[item] for item in near[point][side])
                if point in near and near[point][side]
                else middles[point]
                for point in layer
            ]
            middles.update(zip(layer, _apart(layer, wanted), strict=True))
    top = min((y - _height(point) / 2 for point, y in middles.items()), default=0.0)
    return {point: y - top for point, y in middles.items()}


def _apart(layer: Sequence[Point], wanted: Sequence[float]) -> list[float]:
    """The wanted places pushed apart as far as needed, as a whole where they were."""
    placed: list[float] = []
    for spot, point in enumerate(layer):
        y = wanted[spot]
        if spot:
            y = max(y, placed[-1] + (_height(layer[spot - 1]) + _height(point)) / 2 + ROW_GAP)
        placed.append(y)
    shift = fmean(w - p for w, p in zip(wanted, placed, strict=True)) if placed else 0.0
    return [y + shift for y in placed]


def _height(point: Point) -> float:
    return BOX_HEIGHT if isinstance(point, str) else LANE_HEIGHT
