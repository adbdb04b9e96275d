"""How numbers are distributed, in buckets that depend on the numbers alone.

A bucket's number is the upper bits of a double: sign, exponent and as much of the fraction as leaves no more than
MOST_BUCKETS buckets with numbers. All doubles in order of size have ascending bits, so a bucket is an interval, and a
bucket of one bit less is two neighbours joined. Joining never changes which buckets of a level hold numbers: the same
numbers give the same sketch in whatever order and pieces they come, and two sketches merge by adding counts. Few values
are told apart to 1 part in 4 billion; a million values between 41.7 and 42.0 have buckets of 0.0002, as many from 0.01
to 1000 have buckets of 1 %.

Source: Masson, Rim, Lee, "DDSketch" (VLDB 2019), for buckets of a relative width; Epicoco et al., "UDDSketch" (2020), for
joining all neighbours when there are too many; IEEE 754 for the order of the bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fiat.profile.model import Sketch

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MOST_BUCKETS = 2048
COARSE_BUCKETS = 128
"""Of sketches in places where a great many are kept."""
LEAST_SHIFT = 20
_INFINITY_BITS = 0x7FF << 52


@dataclass(frozen=True, eq=False)
class Buckets:
    """Counted buckets of one width, ascending.

    Attributes:
        shift: lower bits of a double that were cut off.
        keys: bucket numbers, `(n,)`.
        counts: numbers in each, `(n,)`.
    """

    shift: int
    keys: Ints
    counts: Ints

    def sketch(self) -> Sketch:
        """As a value to keep."""
        return Sketch(tuple(self.keys.tolist()), tuple(self.counts.tolist()), self.shift)


@dataclass(frozen=True, eq=False)
class Aligned:
    """Two sketches over the same buckets, ascending, `(n,)` each.

    Attributes:
        lower: ends of the buckets.
        upper: the other ends.
        first: numbers of the first sketch in each.
        second: of the second.
    """

    lower: Floats
    upper: Floats
    first: Floats
    second: Floats


def count_buckets(numbers: Floats, rows: Ints | None = None, *, shift: int = LEAST_SHIFT) -> Buckets:
    """Buckets of finite numbers `(n,)`, each there once or `rows` times; no narrower than `shift` says."""
    bits = np.ascontiguousarray(numbers, np.float64).view(np.int64)
    # Negative doubles as integers grow with the magnitude: turn them round.
    keys = np.where(bits < 0, ~(bits & np.int64(2**63 - 1)), bits) >> shift
    return _narrowed(_counted(keys, rows, shift), MOST_BUCKETS)


def merge_buckets(first: Buckets, other: Buckets, most: int = MOST_BUCKETS) -> Buckets:
    """Buckets of the numbers of both."""
    shift = max(first.shift, other.shift)
    keys = np.concatenate([part.keys >> (shift - part.shift) for part in (first, other)])
    return _narrowed(_counted(keys, np.concatenate([first.counts, other.counts]), shift), most)


def make_sketch(numbers: Floats, rows: Ints | None = None) -> Sketch:
    """The sketch of finite numbers `(n,)`, each there once or `rows` times."""
    return count_buckets(numbers, rows).sketch()


def merge_sketches(first: Sketch, other: Sketch) -> Sketch:
    """The sketch of the numbers of both."""
    return merge_buckets(_buckets(first), _buckets(other)).sketch()


def coarsen(sketch: Sketch, most: int = COARSE_BUCKETS) -> Sketch:
    """The same in no more than `most` buckets; merges with any other."""
    return _narrowed(_buckets(sketch), most).sketch()


def align(first: Sketch, other: Sketch) -> Aligned:
    """Both over the buckets that either has, of the wider kind of the two."""
    shift = max(first.shift, other.shift)
    parts = [
        _counted(part.keys >> (shift - part.shift), part.counts, shift)
        for part in map(_buckets, (first, other))
    ]
    keys = np.union1d(parts[0].keys, parts[1].keys).astype(np.int64)
    counts = [np.zeros(len(keys)), np.zeros(len(keys))]
    for part, aligned in zip(parts, counts, strict=True):
        aligned[np.searchsorted(keys, part.keys)] = part.counts
    return Aligned(*bucket_edges(keys, shift), *counts)


def bucket_edges(keys: Ints, shift: int) -> tuple[Floats, Floats]:
    """The ends of buckets, lower then upper, `(n,)` each; the end nearer to zero is in the bucket, the other is not."""
    magnitude = np.where(keys < 0, ~keys, keys)
    near = (magnitude << shift).view(np.float64)
    far_bits = (magnitude + 1) << shift
    far = np.minimum(far_bits, _INFINITY_BITS).view(np.float64)
    far = np.where(np.isinf(far), np.finfo(np.float64).max, far)
    return np.where(keys < 0, -far, near), np.where(keys < 0, -near, far)


def quantiles(sketch: Sketch, shares: Sequence[float], low: float, high: float) -> tuple[float, ...]:
    """The numbers below which these shares (0..1) of all lie, within the width of a bucket.

    Args:
        sketch: distribution; without numbers there are no quantiles.
        shares: in any order.
        low: the smallest number, the answer for 0.
        high: the largest number, the answer for 1.
    """
    buckets = _buckets(sketch)
    if not len(buckets.keys):
        return ()
    ends = np.cumsum(buckets.counts)
    lower, upper = (np.clip(edge, low, high) for edge in bucket_edges(buckets.keys, sketch.shift))
    found = []
    for share in shares:
        rank = share * (int(ends[-1]) - 1)
        place = min(int(np.searchsorted(ends, rank, side="right")), len(ends) - 1)
        before = int(ends[place] - buckets.counts[place])
        within = min(1.0, (rank - before + 0.5) / int(buckets.counts[place]))
        value = float(lower[place]) * (1 - within) + float(upper[place]) * within
        found.append(low if share <= 0 else high if share >= 1 else min(max(value, low), high))
    return tuple(found)


def cdf(sketch: Sketch, points: Sequence[float] | Floats) -> Floats:
    """Share (0..1) of the numbers below each point `(n,)`; zeros for a sketch without numbers.

    A bucket that a point cuts is shared by width. So a number that is the end of a bucket nearer to zero, as most whole
    numbers are, counts as below a point that it equals if it is negative, and not if it is positive.
    """
    wanted = np.asarray(points, np.float64)
    buckets = _buckets(sketch)
    if not len(buckets.keys):
        return np.zeros(len(wanted))
    lower, upper = bucket_edges(buckets.keys, sketch.shift)
    counts = buckets.counts.astype(np.float64)
    ends = np.cumsum(counts)
    place = np.searchsorted(upper, wanted, side="right")
    inside = np.minimum(place, len(counts) - 1)
    # Halves, because the ends of a bucket can be farther apart than the largest double.
    width = upper[inside] / 2 - lower[inside] / 2
    with np.errstate(over="ignore"):  # far beyond a narrow bucket: more than all of it
        part = np.clip((wanted / 2 - lower[inside] / 2) / np.where(width > 0, width, 1.0), 0.0, 1.0)
    below = np.where(place >= len(counts), ends[-1], ends[inside] - counts[inside] * (1 - part))
    return np.asarray(below / ends[-1], np.float64)


def histogram(sketch: Sketch, edges: Sequence[float] | Floats) -> Floats:
    """How many numbers lie between each two ascending edges, `(n_edges - 1,)`.

    Numbers outside the edges count in the first and the last bin; parts of a bucket that an edge cuts are shared by
    width, so counts need not be whole.
    """
    below = cdf(sketch, edges)
    below[0], below[-1] = 0.0, 1.0 if sketch.keys else 0.0
    return np.asarray(np.diff(below) * sum(sketch.counts), np.float64)


def _buckets(sketch: Sketch) -> Buckets:
    return Buckets(sketch.shift, np.array(sketch.keys, np.int64), np.array(sketch.counts, np.int64))


def _counted(keys: Ints, rows: Ints | None, shift: int) -> Buckets:
    if rows is None:
        found, counts = np.unique(keys, return_counts=True)
        return Buckets(shift, found, counts.astype(np.int64))
    order = np.argsort(keys, kind="stable")
    return _joined(Buckets(shift, keys[order], rows[order]))


def _joined(buckets: Buckets) -> Buckets:
    """Buckets in order, those of one number as one."""
    starts = np.flatnonzero(np.diff(buckets.keys, prepend=buckets.keys[0] - 1 if len(buckets.keys) else 0))
    if len(starts) == len(buckets.keys):
        return buckets
    return Buckets(buckets.shift, buckets.keys[starts], np.add.reduceat(buckets.counts, starts))


def _narrowed(buckets: Buckets, most: int) -> Buckets:
    while len(buckets.keys) > most and buckets.shift < 62:
        buckets = _joined(Buckets(buckets.shift + 1, buckets.keys >> 1, buckets.counts))
    return buckets
