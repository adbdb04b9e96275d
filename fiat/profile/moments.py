"""Mean, spread and ends of numbers, in parts that merge.

Source: Chan, Golub, LeVeque, "Algorithms for computing the sample variance" (1983), with standard deviations in place
of sums of squares, so that no square of a number near the ends of a double is ever kept.
"""

import math
from dataclasses import dataclass

import numpy as np

from fiat.profile.sketch import Floats, Ints

_SAFE = 1e140


@dataclass(frozen=True)
class Moments:
    """Of finite numbers.

    Attributes:
        n: how many.
        mean: of them.
        sd: population standard deviation.
        min: smallest; a whole number where the numbers are.
        max: largest.
        n_zero: zeros.
        n_negative: below zero.
    """

    n: int = 0
    mean: float = math.nan
    sd: float = math.nan
    min: float = math.nan
    max: float = math.nan
    n_zero: int = 0
    n_negative: int = 0


def measure_moments(numbers: Floats, rows: Ints | None = None) -> Moments:
    """Of finite numbers `(n,)`, each there once or `rows` times; `min` and `max` as doubles."""
    if not len(numbers):
        return Moments()
    low, high = float(numbers.min()), float(numbers.max())
    # A power of two, so that scaling loses nothing.
    largest = max(-low, high)
    exponent = 0 if 1 / _SAFE < largest < _SAFE or not largest else math.frexp(largest)[1]
    scaled = np.ldexp(numbers, -exponent) if exponent else numbers
    if rows is None:
        n, n_zero, n_negative = len(numbers), int((numbers == 0).sum()), int((numbers < 0).sum())
        mean = float(scaled.mean())
        sd = math.sqrt(float(np.square(scaled - mean).mean()))
    else:
        n, n_zero, n_negative = (
            int(rows.sum()),
            int(rows[numbers == 0].sum()),
            int(rows[numbers < 0].sum()),
        )
        shares = rows / n
        mean = float((scaled * shares).sum())
        sd = math.sqrt(float((np.square(scaled - mean) * shares).sum()))
    # A mean can't lie outside, whatever rounding says.
    return Moments(
        n,
        min(max(_unscale(mean, exponent), low), high),
        _unscale(sd, exponent),
        low,
        high,
        n_zero,
        n_negative,
    )


def merge_moments(first: Moments, other: Moments) -> Moments:
    """Of the numbers of both."""
    if not first.n or not other.n:
        return first if first.n else other
    n = first.n + other.n
    mean = first.mean * (first.n / n) + other.mean * (other.n / n)
    apart = (other.mean / 2 - first.mean / 2) * (2 * math.sqrt(first.n * other.n) / n)
    sd = math.hypot(first.sd * math.sqrt(first.n / n), other.sd * math.sqrt(other.n / n), apart)
    return Moments(
        n,
        mean,
        sd,
        min(first.min, other.min),
        max(first.max, other.max),
        first.n_zero + other.n_zero,
        first.n_negative + other.n_negative,
    )


def _unscale(value: float, exponent: int) -> float:
    return math.ldexp(value, exponent) if exponent else value
