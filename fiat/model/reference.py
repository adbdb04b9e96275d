"""The reference profile of a package: what the model learned from and what it said, small enough to travel with it.

Two profiles of `fiat.profile`: split `train` has the features as clients send them, the evaluated split has `label`,
`prediction` (texts for classes, numbers for a regression) and `score` (the highest probability). A watcher compares
windows of logged predictions with them.

No row can be told from it: columns are described one by one, values that fewer than LEAST_ROWS rows have are not named,
and numbers are kept as quantiles and in coarse buckets.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from fiat.evaluate.folder import Evaluation
from fiat.evaluate.rows import NO_CLASS, ClassRows
from fiat.evaluate.slices import show_value
from fiat.profile.measure import profile_batches
from fiat.profile.model import ColumnProfile, DataProfile, Profile
from fiat.profile.sketch import COARSE_BUCKETS, coarsen

LABEL, PREDICTION, SCORE = "label", "prediction", "score"
LEAST_ROWS = 5
MOST_COLUMNS = 1024
MOST_BUCKETS = 16_384
"""Of all columns together: some hundred kilobytes."""
_LEAST_BUCKETS = 16
_LONGEST = 200
_TRUTH = {"true": "1", "false": "0"}


def reference_profile(
    train: Profile | None, features: Sequence[str], evaluation: Evaluation, *, source_digest: str = ""
) -> DataProfile:
    """Put together what a package keeps.

    Args:
        train: of the rows that were trained on, before any transform; None when there are none.
        features: columns that the model takes.
        evaluation: what it said of the evaluated split.
        source_digest: of the content that the rows come from.
    """
    profiles = []
    if train is not None and train.n_rows:
        found = [column for name in features if (column := train.column(name)) is not None]
        # Of a very wide matrix every so many-th column: that moves when the others do.
        kept = found[:: -(-len(found) // MOST_COLUMNS)] if found else []
        profiles.append(Profile(train.n_rows, _small(kept), "train"))
    said = _said(evaluation)
    if said is not None:
        measured = profile_batches(said.to_batches(), split=evaluation.split)
        profiles.append(replace(measured, columns=_small(measured.columns)))
    return DataProfile(tuple(profiles), LABEL, source_digest)


def _said(evaluation: Evaluation) -> pa.Table | None:
    """Labels, predictions and scores of the judged rows."""
    rows = evaluation.rows
    if rows is None:
        return None
    if not isinstance(rows, ClassRows):
        return pa.table({LABEL: pa.array(rows.labels), PREDICTION: pa.array(rows.predicted)})
    names = pa.array([show_value(value) for value in rows.classes], pa.string())
    predicted = names.take(pa.array(rows.predicted, mask=rows.predicted == NO_CLASS))
    found = {LABEL: names.take(pa.array(rows.labels)), PREDICTION: predicted}
    if rows.scores is not None:
        found[SCORE] = pa.array(rows.scores.max(axis=1).astype(np.float64))
    return pa.table(found)


def _small(columns: Sequence[ColumnProfile]) -> tuple[ColumnProfile, ...]:
    most = min(COARSE_BUCKETS, max(_LEAST_BUCKETS, MOST_BUCKETS // max(1, len(columns))))
    return tuple(_coarse(column, most) for column in columns)


def _coarse(column: ColumnProfile, most_buckets: int) -> ColumnProfile:
    """A column without rare values, and with no more buckets than that."""
    column = _as_sent(column)
    top = tuple((value, n) for value, n in column.top if n >= LEAST_ROWS and len(str(value)) <= _LONGEST)
    frequent = column.counts and min(column.counts.values()) >= LEAST_ROWS
    counts = column.counts if frequent and max(map(len, column.counts)) <= _LONGEST else {}
    numbers = column.numbers
    if numbers is not None:
        numbers = replace(numbers, sketch=coarsen(numbers.sketch, most_buckets))
    exact = column.top_exact and len(top) == len(column.top)
    return replace(column, hashes=(), top=top, top_exact=exact, counts=counts, numbers=numbers)


def _as_sent(column: ColumnProfile) -> ColumnProfile:
    """Truth values as 0 and 1: that is what clients send."""
    if column.kind != "bool":
        return column
    return replace(
        column,
        kind="int",
        top=tuple((int(bool(value)), n) for value, n in column.top),
        counts={_TRUTH[value]: n for value, n in column.counts.items()},
    )
