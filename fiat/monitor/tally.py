"""What is kept of a version's judged rows, and what follows from it. Loads nothing large.

Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from fiat.monitor.model import Quality, QualityMetric, QualityPlan


@dataclass(frozen=True)
class Tally:
    """What is kept of a version's judged rows.

    Attributes:
        n: rows with a label.
        n_right: of them, those with the right class.
        n_numbers: of them, those whose label and prediction are numbers.
        sum_absolute: of their errors.
        sum_squares: of their errors.
        sum_fourth: of their errors' fourth powers.
    """

    n: int = 0
    n_right: int = 0
    n_numbers: int = 0
    sum_absolute: float = 0.0
    sum_squares: float = 0.0
    sum_fourth: float = 0.0

    def value(self, metric: QualityMetric) -> float:
        """The metric; NaN without rows that it can be told by."""
        if metric == "accuracy":
            return self.n_right / self.n if self.n else math.nan
        if not self.n_numbers:
            return math.nan
        mean = (self.sum_absolute if metric == "mae" else self.sum_squares) / self.n_numbers
        return mean if metric == "mae" else math.sqrt(mean)

    def interval(self, metric: QualityMetric, confidence: float) -> tuple[float, float]:
        """Interval of the metric: Wilson's for accuracy, else a normal approximation."""
        if metric == "accuracy":
            return _wilson(self.n_right, self.n, confidence) if self.n else (0.0, 1.0)
        n, value = self.n_numbers, self.value(metric)
        if not n:
            return 0.0, math.inf
        z = NormalDist().inv_cdf((1 + confidence) / 2)
        squares = self.sum_squares / n
        if metric == "mae":
            half = z * math.sqrt(max(0.0, squares - value * value) / n)
            return max(0.0, value - half), value + half
        half = z * math.sqrt(max(0.0, self.sum_fourth / n - squares * squares) / n)
        return math.sqrt(max(0.0, squares - half)), math.sqrt(squares + half)


@dataclass(frozen=True)
class Labelled:
    """Judged rows.

    Attributes:
        versions: digest to what is known of it.
        n_unmatched: labels of which no logged prediction is known.
    """

    versions: Mapping[str, Tally]
    n_unmatched: int = 0


def judge(tally: Tally, plan: QualityPlan) -> Quality:
    """Hold a version against its limit: it alarms when the value and all of its interval are beyond it."""
    value = tally.value(plan.metric)
    low, high = tally.interval(plan.metric, 1 - 2 * plan.false_alarms)
    below = plan.min is not None and value < plan.min and high < plan.min
    above = plan.max is not None and value > plan.max and low > plan.max
    n_labels = tally.n if plan.metric == "accuracy" else tally.n_numbers
    return Quality(plan.metric, value, low, high, n_labels, n_labels >= plan.min_labels and (below or above))


def _wilson(successes: int, n: int, confidence: float) -> tuple[float, float]:
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
