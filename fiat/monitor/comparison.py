"""Hold a window of the log against the reference profile of the version that answered.

A column alarms when its distance, without what samples of these sizes have on average, is above its limit, and its
difference is beyond chance, all columns taken together. Rows of one request may be alike, so that for chance a window has as
many rows as it has requests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from fiat.monitor.chance import beyond_chance, p_value
from fiat.monitor.log_columns import as_sent
from fiat.monitor.model import ColumnDrift, DriftPlan, Moved
from fiat.profile.distance import Distance, bins_of, comparable, distance
from fiat.profile.distance_bins import MISSING, REST, Bins, Floats, has_all_values, value_counts
from fiat.profile.distance_noise import js_bias, js_noise, linf_noise, psi_bias, psi_noise
from fiat.profile.measure import profile_batches
from fiat.profile.missing import as_clients_send
from fiat.profile.model import ColumnProfile, DataProfile
from fiat.profile.shown import text_of

ANSWERS = ("prediction", "score")
"""Columns of the log that are the model's answers."""


@dataclass(frozen=True)
class Reference:
    """What a version learned from and how it answered.

    Attributes:
        columns: by name, as the log has them: features of the train split, `prediction` and `score` of the evaluated one.
    """

    columns: Mapping[str, ColumnProfile]


@dataclass(frozen=True)
class Compared:
    """Columns of a window held against the reference.

    Attributes:
        columns: largest effect over limit first.
        notes: what could not be compared.
    """

    columns: tuple[ColumnDrift, ...]
    notes: tuple[str, ...]


def reference_of(profile: DataProfile) -> Reference:
    """The reference that a package's profile holds."""
    columns: dict[str, ColumnProfile] = {}
    for item in profile.profiles:
        if item.slice:
            continue
        for column in item.columns:
            is_answer = column.name in ANSWERS
            if is_answer if item.split != "train" else column.name != profile.label:
                columns.setdefault(column.name, as_clients_send(column))
    return Reference(columns)


def compare_window(reference: Reference, rows: pa.Table, plan: DriftPlan, n_requests: int) -> Compared:
    """Measure how far each column of a window is from the reference.

    Args:
        reference: of the version that answered.
        rows: of the log, by the names that features have in the data (`fiat.monitor.log_columns.feature_rows`).
        plan: limits.
        n_requests: that the rows came in.
    """
    found: list[tuple[ColumnProfile, ColumnProfile]] = []
    sent, told = as_sent(rows, reference.columns)
    notes = [*told]
    for now in profile_batches(sent.to_batches()).columns if sent.num_columns else ():
        before = reference.columns[now.name]
        if comparable(before, now):
            found.append((before, now))
        else:
            notes.append(f"{now.name} holds {now.kind}, and was {before.kind} at training")
    drifts = [_drift(before, now, plan, n_requests, len(found)) for before, now in found]
    certain = beyond_chance([item.p_value for item in drifts], plan.false_alarms)
    judged = [
        replace(item, alarms=sure and item.effect > item.limit)
        for item, sure in zip(drifts, certain, strict=True)
    ]
    judged.sort(key=lambda item: (-item.alarms, -(item.effect / item.limit if item.limit else item.effect)))
    return Compared(tuple(judged), tuple(notes))


def _drift(
    before: ColumnProfile, now: ColumnProfile, plan: DriftPlan, n_requests: int, n_columns: int
) -> ColumnDrift:
    measured = distance(before, now, plan.metric)
    bins = bins_of(before, now, plan.metric)
    n_second = min(n_requests, now.n_rows)
    bias, noise = _by_chance(measured, bins, before.n_rows, n_second, plan.false_alarms / n_columns)
    tested = _tested(before, now, bins)
    return ColumnDrift(
        name=now.name,
        value=measured.value,
        bias=bias,
        noise=noise,
        p_value=p_value(tested.first, tested.second, before.n_rows, n_second),
        limit=plan.columns.get(now.name, plan.max),
        moved=tuple(Moved(item.name, item.before, item.after) for item in measured.moved),
        missing=now.n_missing / now.n_rows if now.n_rows else 0.0,
    )


def _by_chance(
    measured: Distance, bins: Bins, n_first: int, n_second: int, chance: float
) -> tuple[float, float]:
    n_bins = len(bins.names)
    if measured.metric == "js":
        return js_bias(n_bins, n_first, n_second), js_noise(n_bins, n_first, n_second, chance)
    if measured.metric == "psi":
        return psi_bias(n_bins, n_first, n_second), psi_noise(n_bins, n_first, n_second, chance)
    return 0.0, linf_noise(bins.first, bins.second, n_first, n_second, chance)


def _tested(before: ColumnProfile, now: ColumnProfile, bins: Bins) -> Bins:
    """The bins that chance is judged by: chosen by the reference alone.

    Values that are frequent in the window would be chosen because they are more frequent there than elsewhere, and look as
    if they had moved.
    """
    known = set(value_counts(before))
    if has_all_values(before) or not {*bins.names} - known - {REST, MISSING}:
        return bins
    if not known or not {*bins.names} & known:
        return bins
    names = [text_of(value) for value, _ in before.top]
    return Bins((*names, REST, MISSING), _shares(before, names), _shares(now, names))


def _shares(column: ColumnProfile, names: Sequence[str]) -> Floats:
    counts = value_counts(column)
    held = np.array([counts.get(name, 0) for name in names], float)
    rest = max(0.0, column.n_rows - column.n_missing - float(held.sum()))
    return np.array([*held, rest, column.n_missing]) / max(1, column.n_rows)
