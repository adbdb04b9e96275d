"""The sentences about what moved, with their numbers."""

from fiat.profile.distance import Distance
from fiat.profile.model import QUANTILES, ColumnProfile
from fiat.validate.model import Anomaly, Severity

METRICS = {
    "js": "Jensen-Shannon divergence",
    "linf": "L-infinity distance",
    "psi": "population stability index",
    "ks": "Kolmogorov-Smirnov distance",
    "wasserstein": "Wasserstein distance (in standard deviations)",
}
_SHOWN_CHARACTERS = 60


def moved_message(
    against: str, measured: Distance, most: float, before: ColumnProfile, after: ColumnProfile
) -> str:
    """What was measured and expected, what moved most, and whether chance may have done it."""
    words = (
        f"moved {measured.value:.3g} from {against} by {METRICS[measured.metric]}, expected at most {most:g}"
        f"{_moved_most(measured, before, after)}"
    )
    if measured.beyond_noise:
        return words
    rows = f"{before.n_rows:,} and {after.n_rows:,}"
    return f"{words}; so few rows ({rows}) differ by up to {measured.noise:.3g} by chance"


def control_missing(against: str, what: str, key: str) -> Anomaly:
    """There is nothing to compare with."""
    message = f"there are no data of {against} to compare with, so {_spoken(what)} can't be judged"
    return Anomaly("control_missing", "", message, severity="warn", key=key)


def treatment_missing(lack: str, what: str, against: str, key: str) -> Anomaly:
    """There is nothing to be compared."""
    message = f"{lack}, so {_spoken(what)} against {against} can't be judged"
    return Anomaly("treatment_missing", "", message, severity="warn", key=key)


def not_compared(
    kind: str, column: str, message: str, split: str, key: str, severity: Severity = "warn"
) -> Anomaly:
    """A column that can't be compared."""
    return Anomaly(kind, column, message, severity=severity, split=split, key=key)


def _spoken(what: str) -> str:
    return {
        "rows": "the change of the number of rows",
        "label": "the balance of the label",
        "drift": "drift",
        "skew": "skew",
    }.get(what, what)


def _moved_most(measured: Distance, before: ColumnProfile, after: ColumnProfile) -> str:
    if measured.metric in ("ks", "wasserstein"):
        shown = _quantiles(before, after)
    else:
        shown = [f"{_cut(item.name)} {item.before:.1%} -> {item.after:.1%}" for item in measured.moved]
    return f" (most moved: {', '.join(shown)})" if shown else ""


def _quantiles(before: ColumnProfile, after: ColumnProfile) -> list[str]:
    """The three quantiles that moved most, the ends left out."""
    if before.numbers is None or after.numbers is None:
        return []
    ones, others = before.numbers.quantiles, after.numbers.quantiles
    inner = list(zip(QUANTILES, ones, others, strict=False))[1:-1]
    most = sorted(inner, key=lambda item: -abs(item[1] - item[2]))[:3]
    return [f"{share:.0%} quantile {one:.4g} -> {other:.4g}" for share, one, other in sorted(most)]


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
