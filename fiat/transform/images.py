"""Operations on images: tensors `(height, width)` or `(height, width, channels)`.

The layout of the data stays; what comes out is float32. `scale`, which takes numbers as well, is in `numbers.py`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fiat.errors import SpecError
from fiat.transform.graph import Graph
from fiat.transform.model import Kind, Seen, State, Value

_CHUNK_ROWS = 256
_MOST_CHANNELS = 4


class Resize:
    """`resize`: another height and width, linear, and smoothed when it shrinks, as Pillow does it."""

    word = "resize"
    takes: tuple[Kind, ...] = ("tensor",)
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """There is nothing to learn.

        Raises:
            SpecError: the column holds no images.
        """
        _require_image(values[0], column, self.word)
        return {}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """Between the pixels that there are; one at the edge counts only those inside.

        Source: ONNX operator Resize-19, `antialias` and `exclude_outside`: without the second, pixels beyond the edge
        count as the one at it, which Pillow and TensorFlow don't.
        """
        value = values[0]
        height, width = setting
        flat = len(value.shape) == 2
        first = _channel_axis(value.shape) == 0
        pixels = _as_float(graph, value)
        if flat:
            pixels = graph.add("Unsqueeze", pixels, graph.constant([1], "int64"))
        resized = graph.add(
            "Resize",
            pixels,
            "",
            "",
            graph.constant([height, width], "int64"),
            axes=[2, 3] if flat or first else [1, 2],
            mode="linear",
            antialias=1,
            exclude_outside=1,
            coordinate_transformation_mode="half_pixel",
        )
        if flat:
            resized = graph.add("Squeeze", resized, graph.constant([1], "int64"))
            shape: tuple[int, ...] = (height, width)
        else:
            shape = (value.shape[0], height, width) if first else (height, width, value.shape[2])
        return replace(value, tensor=resized, shape=shape, dtype="float32", beside=())


class Normalize:
    """`normalize`: each channel less its mean, through its standard deviation."""

    word = "normalize"
    takes: tuple[Kind, ...] = ("tensor",)
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """Mean and standard deviation over all pixels of the train split, unless the spec gives them.

        Raises:
            SpecError: the spec gives another number of channels than there are, or train has no pixel.
        """
        axis = _channel_axis(values[0].shape)
        n_channels = 1 if axis is None else values[0].shape[axis]
        if setting.get("mean") is None:
            return _mean_and_sd(seen[0], axis, n_channels, column)
        if len(setting["mean"]) not in (1, n_channels):
            raise SpecError(
                f"`normalize` has {len(setting['mean'])} means, but column {column!r} has {n_channels} channels"
            )
        if any(sd <= 0 for sd in setting["sd"]):
            raise SpecError("a number in `sd` of `normalize` is not above 0")
        return {name: [float(number) for number in setting[name]] for name in ("mean", "sd")}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """`(x - mean) / sd`; a channel that is the same everywhere becomes 0."""
        value = values[0]
        axis = _channel_axis(value.shape)
        behind = 0 if axis is None else len(value.shape) - 1 - axis
        mean, sd = (np.array(state[name], np.float32).reshape(-1, *[1] * behind) for name in ("mean", "sd"))
        less = graph.add("Sub", _as_float(graph, value), graph.constant(mean))
        done = graph.add("Div", less, graph.constant(np.where(sd > 0, sd, np.float32(1))))
        return replace(value, tensor=done, dtype="float32", beside=())


def _channel_axis(shape: tuple[int, ...]) -> int | None:
    """Where the channels are: last, or first where only that is short enough; None without any."""
    if len(shape) != 3:
        return None
    return 0 if shape[0] <= _MOST_CHANNELS < shape[2] else 2


def _require_image(value: Value, column: str, word: str) -> None:
    if len(value.shape) not in (2, 3):
        raise SpecError(
            f"`{word}` takes images, but column {column!r} holds tensors of shape {value.shape}",
            hint="an image is (height, width) or (height, width, channels)",
        )


def _as_float(graph: Graph, value: Value) -> str:
    return value.tensor if value.dtype == "float32" else graph.cast(value.tensor, "float32")


def _mean_and_sd(seen: Seen, axis: int | None, n_channels: int, column: str) -> State:
    """Of each channel's finite pixels.

    Source: T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances": chunks are merged by their means, so that nothing is lost when the mean is large.
    """
    count, mean, square = (np.zeros(n_channels) for _ in range(3))
    for start in range(0, len(seen.values), _CHUNK_ROWS):
        rows = seen.values[start : start + _CHUNK_ROWS].astype(np.float64)
        parts = rows.reshape(1, -1) if axis is None else np.moveaxis(rows, axis + 1, 0)
        for channel, part in enumerate(parts.reshape(n_channels, -1)):
            known = part[np.isfinite(part)]
            if not len(known):
                continue
            total, step = count[channel] + len(known), known.mean() - mean[channel]
            square[channel] += known.var() * len(known) + step**2 * count[channel] * len(known) / total
            mean[channel] += step * len(known) / total
            count[channel] = total
    if not count.all():
        raise SpecError(f"no row of train has a pixel of column {column!r} to learn from")
    return {"mean": mean.tolist(), "sd": np.sqrt(square / count).tolist()}


IMAGES: Mapping[str, Any] = {operation.word: operation for operation in (Resize(), Normalize())}
