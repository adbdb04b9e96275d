"""How numbers are distributed, in buckets that depend on the number alone.

A bucket's number is the top 19 bits of a double: sign, exponent and 7 bits of the fraction. So a bucket is at most
1/128 of its numbers wide, the same numbers give the same buckets in whatever order and pieces they come, and two
sketches merge by adding counts. Nothing is estimated but the place of a number within its bucket.

Source: Masson, Rim, Lee, "DDSketch" (VLDB 2019), for buckets of a relative width; the bits of IEEE 754 give them
without a logarithm.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fiat.profile.model import Sketch

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_SHIFT = 45
_COARSE_BITS = 3
_LAST = (0x7FF << 7) - 1
"""Number of the bucket of the largest doubles; the next ones hold infinity and NaN."""


def bucket_keys(numbers: Floats) -> Ints:
    """Bucket number of each finite number, `(n,)`; ascending as the numbers are."""
    bits = np.ascontiguousarray(numbers, np.float64).view(np.int64)
    # The sign's bit shifted in arithmetically makes negative keys that grow with the magnitude: turn them round.
    keys = bits >> _SHIFT
    return np.where(keys < 0, np.int64(-(1 << 18) - 1) - keys, keys)


def make_sketch(numbers: Floats, rows: Ints | None = None) -> Sketch:
    """The sketch of finite numbers `(n,)`, each there once or `rows` times."""
    return sketch_of(*count_keys(bucket_keys(numbers), rows))


def sketch_of(keys: Ints, counts: Ints) -> Sketch:
    """A sketch from ascending bucket numbers and their counts."""
    return Sketch(tuple(keys.tolist()), tuple(counts.tolist()))


def count_keys(keys: Ints, rows: Ints | None = None) -> tuple[Ints, Ints]:
    """Distinct bucket numbers, ascending, and how many numbers each has."""
    if rows is None:
        found, counts = np.unique(keys, return_counts=True)
        return found, counts.astype(np.int64)
    found, places = np.unique(keys, return_inverse=True)
    summed = np.zeros(len(found), np.int64)
    np.add.at(summed, places.reshape(-1), rows)
    return found, summed


def merge_sketches(first: Sketch, other: Sketch) -> Sketch:
    """The sketch of the numbers of both."""
    keys = np.array(first.keys + other.keys, np.int64)
    return sketch_of(*count_keys(keys, np.array(first.counts + other.counts, np.int64)))


def coarsen(sketch: Sketch) -> Sketch:
    """The same with buckets eight times as wide, for places where a great many are kept; merges with any other."""
    keys = np.array(sketch.keys, np.int64)
    middle = np.where(keys == 0, 0, (keys >> _COARSE_BITS << _COARSE_BITS) | (1 << (_COARSE_BITS - 1)))
    return sketch_of(*count_keys(middle, np.array(sketch.counts, np.int64)))


def bucket_edges(keys: Ints) -> tuple[Floats, Floats]:
    """The ends of buckets, lower then upper, `(n,)` each."""
    magnitude = np.where(keys < 0, -1 - keys, keys)
    near = (magnitude << _SHIFT).view(np.float64)
    far = (np.minimum(magnitude + 1, _LAST + 1) << _SHIFT).view(np.float64)
    far = np.where(np.isinf(far), np.finfo(np.float64).max, far)
    return np.where(keys < 0, -far, near), np.where(keys < 0, -near, far)


def quantiles(sketch: Sketch, shares: Sequence[float], low: float, high: float) -> tuple[float, ...]:
    """The numbers below which these shares (0..1) of all lie; within 1/128 of the true ones.

    Args:
        sketch: of at least one number.
        shares: ascending or not.
        low: the smallest number, the answer for 0.
        high: the largest number, the answer for 1.
    """
    keys, counts = np.array(sketch.keys, np.int64), np.array(sketch.counts, np.int64)
    if not len(keys):
        return ()
    ends = np.cumsum(counts)
    lower, upper = (np.clip(edge, low, high) for edge in bucket_edges(keys))
    found = []
    for share in shares:
        rank = share * (int(ends[-1]) - 1)
        place = min(int(np.searchsorted(ends, rank, side="right")), len(ends) - 1)
        before = int(ends[place] - counts[place])
        within = min(1.0, (rank - before + 0.5) / int(counts[place]))
        value = float(lower[place]) * (1 - within) + float(upper[place]) * within
        found.append(low if share <= 0 else high if share >= 1 else min(max(value, low), high))
    return tuple(found)


def cdf(sketch: Sketch, points: Sequence[float] | Floats) -> Floats:
    """Share (0..1) of the numbers below each point `(n,)`; zeros for a sketch without numbers.

    A bucket that a point cuts is shared by width. So a number that is the end of a bucket nearer to zero, as whole
    numbers up to 256 are, counts as below a point that it equals if it is negative, and not if it is positive.
    """
    wanted = np.asarray(points, np.float64)
    keys, counts = np.array(sketch.keys, np.int64), np.array(sketch.counts, np.float64)
    if not len(keys):
        return np.zeros(len(wanted))
    lower, upper = bucket_edges(keys)
    ends = np.cumsum(counts)
    place = np.searchsorted(upper, wanted, side="right")
    inside = np.minimum(place, len(keys) - 1)
    # Halves, because the ends of a bucket can be farther apart than the largest double.
    width = upper[inside] / 2 - lower[inside] / 2
    part = np.clip((wanted / 2 - lower[inside] / 2) / np.where(width > 0, width, 1.0), 0.0, 1.0)
    before = ends[inside] - counts[inside]
    below = np.where(place >= len(keys), ends[-1], before + counts[inside] * part)
    return np.asarray(below / ends[-1], np.float64)


def histogram(sketch: Sketch, edges: Sequence[float] | Floats) -> Floats:
    """How many numbers lie between each two edges, `(n_edges - 1,)`.

    Numbers outside the edges count in the first and the last bin; parts of a bucket that an edge cuts are shared by
    width, so counts need not be whole.
    """
    below = cdf(sketch, edges)
    below[0], below[-1] = 0.0, 1.0 if sketch.keys else 0.0
    return np.asarray(np.diff(below) * sum(sketch.counts), np.float64)
