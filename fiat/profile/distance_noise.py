"""How large a distance chance alone makes: two samples of one distribution are never quite equal.

Each gives the distance that two such samples stay below but for a share `chance` of cases (1 in 1,000 where nothing is
said), for large samples; for small ones it is about right. Bins are taken as given.

Source: for js and psi, both are to second order a chi-squared statistic of two samples divided by their sizes (Yurdakul
and Naranjo 2020, "Statistical properties of the population stability index"); Kolmogorov 1933 for ks; for linf a normal
approximation with Bonferroni's bound over the bins; del Barrio, Giné, Matrán 1999 for wasserstein (expected value of the
integral of a Brownian bridge; here its pointwise quantile, an upper bound).
"""

import math

import numpy as np
from scipy.special import chdtri, kolmogi, ndtri

from fiat.profile.distance_bins import Floats

CHANCE = 0.001
"""How often chance alone goes beyond the noise."""


def js_noise(n_bins: int, n_first: int, n_second: int, chance: float = CHANCE) -> float:
    """Jensen-Shannon divergence in bits between two samples of one distribution over these bins; at most 1."""
    return min(1.0, _chi2(n_bins, chance) * _spread(n_first, n_second) / (8 * math.log(2)))


def psi_noise(n_bins: int, n_first: int, n_second: int, chance: float = CHANCE) -> float:
    """Population stability index between two samples of one distribution over these bins."""
    return _chi2(n_bins, chance) * _spread(n_first, n_second)


def linf_noise(first: Floats, second: Floats, n_first: int, n_second: int, chance: float = CHANCE) -> float:
    """Largest difference of shares between two samples whose pooled shares are those of both; at most 1."""
    if len(first) < 2 or not (n_first and n_second):
        return 0.0 if n_first and n_second else 1.0
    pooled = (first * n_first + second * n_second) / (n_first + n_second)
    deviation = float(np.sqrt(pooled * (1 - pooled)).max()) * math.sqrt(_spread(n_first, n_second))
    return min(1.0, deviation * -float(ndtri(chance / 2 / len(first))))


def ks_noise(n_first: int, n_second: int) -> float:
    """Kolmogorov-Smirnov statistic between two samples of one distribution; at most 1."""
    return min(1.0, float(kolmogi(CHANCE)) * math.sqrt(_spread(n_first, n_second)))


def wasserstein_noise(places: Floats, below: Floats, n_first: int, n_second: int) -> float:
    """Wasserstein distance between two samples of the distribution with these shares below these ascending places."""
    between = below[:-1] * (1 - below[:-1])
    integral = float((np.sqrt(np.maximum(between, 0)) * np.diff(places)).sum())
    return -float(ndtri(CHANCE / 2)) * integral * math.sqrt(_spread(n_first, n_second))


def js_bias(n_bins: int, n_first: int, n_second: int) -> float:
    """What the Jensen-Shannon divergence of two samples of one distribution is on average: it is never below 0."""
    return max(0, n_bins - 1) * _spread(n_first, n_second) / (8 * math.log(2))


def psi_bias(n_bins: int, n_first: int, n_second: int) -> float:
    """What the population stability index of two samples of one distribution is on average."""
    return max(0, n_bins - 1) * _spread(n_first, n_second)


def _chi2(n_bins: int, chance: float) -> float:
    return float(chdtri(n_bins - 1, chance)) if n_bins > 1 else 0.0


def _spread(n_first: int, n_second: int) -> float:
    """Sum of the inverse sizes: by how much two samples' shares vary."""
    return 1 / max(1, n_first) + 1 / max(1, n_second)
