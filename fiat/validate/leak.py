"""A column that gives the label away: how well each alone predicts it on rows that it was not fitted on.

Numbers are fitted by a small decision tree, texts and whole numbers of few values by each value's label. The score is 0 for
no better than chance and 1 for perfect: for classes the accuracy over that of always saying the most frequent class, for
numbers the share of variance that is explained (R²) of the label's ranks, so that any monotone function counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import rankdata
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from fiat.data.stream import is_tensor
from fiat.validate.model import Anomaly, LeakRule
from fiat.validate.row_pick import distinct, pick_rows, split_tables

MOST_ROWS = 50_000
_FEWEST_ROWS = 10
_FOLDS = 3
_MOST_CLASSES = 1000
_MOST_LEAVES = 512
_SEED = 0


@dataclass(frozen=True)
class Score:
    """How well a column predicts the label.

    Attributes:
        value: 0 by chance, 1 perfect.
        reached: accuracy for classes, R² of ranks for numbers.
        chance: what is reached without the column.
    """

    value: float
    reached: float
    chance: float


@dataclass(frozen=True)
class _Label:
    """Labels as codes of classes, or as ranks between 0 and 1."""

    values: np.ndarray
    n_classes: int
    unique: bool


def find_leaks(
    folder: Path, rule: LeakRule, label: str | None, features: Sequence[str]
) -> tuple[Anomaly, ...]:
    """Features that alone predict the label better than the rule allows, on up to MOST_ROWS rows of `train`.

    Tensors are passed over, and so are whole numbers and texts that are another in each row (ids).

    Args:
        folder: of the dataset format.
        rule: how well a column may predict.
        label: column to predict; without one nothing leaks.
        features: columns to look at.

    Raises:
        EnvironmentFault: the dataset can't be read.
    """
    train = split_tables(folder).get("train")
    if label is None or train is None or label not in train.schema.names:
        return ()
    names = [name for name in features if name in train.schema.names and name not in (*rule.ignore, label)]
    sample = _sample(train.select([label, *names]))
    sample = sample.filter(pc.is_valid(sample.column(label)))
    known = _label(sample.column(label))
    if known is None or sample.num_rows < _FEWEST_ROWS:
        return ()
    found = []
    for name in names:
        score = score_column(sample.column(name), known.values, known.n_classes, unique_label=known.unique)
        if score is not None and score.value > rule.max_score:
            found.append(_anomaly(name, label, score, rule, known, sample.num_rows))
    return tuple(found)


def score_column(
    column: pa.ChunkedArray, labels: np.ndarray, n_classes: int, *, unique_label: bool = False
) -> Score | None:
    """How well a column predicts labels, each row judged by what the other thirds of the rows say.

    Args:
        column: `(n_rows,)`.
        labels: class codes, or numbers, `(n_rows,)`.
        n_classes: 0 for numbers.
        unique_label: no label occurs twice.

    Returns:
        None where the column can't be judged: a tensor, a list, an id, one value only.
    """
    if is_tensor(column.type) or pa.types.is_nested(column.type):
        return None
    codes = _codes(column)
    n_values = int(codes.max(initial=-1)) + 1
    numeric = _is_number(column.type)
    id_like = not pa.types.is_floating(column.type) and not pa.types.is_temporal(column.type)
    if n_values < 2 or (id_like and n_values == len(codes) and not (unique_label and numeric)):
        return None
    folds = np.random.default_rng(_SEED).permutation(len(labels)) % _FOLDS
    guesses = [_by_value(codes, n_values, labels, n_classes, folds)]
    if numeric:
        guesses.append(_by_tree(_numbers(column), labels, n_classes, folds))
    return max((_score(guess, labels, n_classes) for guess in guesses), key=lambda score: score.value)


def _sample(table: pa.Table) -> pa.Table:
    if table.num_rows <= MOST_ROWS:
        return table
    rows = np.random.default_rng(_SEED).choice(table.num_rows, MOST_ROWS, replace=False)
    return pick_rows(table, np.sort(rows))


def _label(column: pa.ChunkedArray) -> _Label | None:
    kind = column.type
    codes = _codes(column)
    n_values = int(codes.max(initial=-1)) + 1
    if n_values < 2:
        return None
    classes = pa.types.is_boolean(kind) or pa.types.is_string(kind) or pa.types.is_integer(kind)
    if classes and n_values <= min(_MOST_CLASSES, len(codes) // 2):
        return _Label(codes, n_values, unique=False)
    if not _is_number(kind):
        return None
    numbers = _numbers(column)
    finite = np.nan_to_num(numbers, nan=0.0, posinf=np.finfo(float).max, neginf=np.finfo(float).min)
    return _Label(rankdata(finite) / len(finite), 0, unique=n_values == len(codes))


def _is_number(kind: pa.DataType) -> bool:
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return bool(plain or pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """A number from 0 for each different value, missing being one."""
    coded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    return np.asarray(coded.indices.to_numpy(zero_copy_only=False), np.int64)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """As float32, as trees see them, by rank: the order of the values survives whatever their size. Missing is NaN."""
    if pa.types.is_temporal(column.type):
        column = pc.cast(pc.cast(column, pa.timestamp("us"), safe=False), pa.int64())
    values = np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(), float)
    ordered = distinct(values[~np.isnan(values)])
    return np.where(np.isnan(values), np.nan, np.searchsorted(ordered, values).astype(float))


def _by_value(
    codes: np.ndarray, n_values: int, labels: np.ndarray, n_classes: int, folds: np.ndarray
) -> np.ndarray:
    """The most frequent class (or mean label) of the same value in the other folds; that of all rows for new values."""
    guess = np.empty(len(labels), float)
    for fold in range(_FOLDS):
        fitted, held = folds != fold, folds == fold
        if n_classes:
            pairs, counts = np.unique(codes[fitted] * n_classes + labels[fitted], return_counts=True)
            order = np.argsort(counts, kind="stable")  # the most frequent is written last
            best = np.full(n_values, float(np.bincount(labels[fitted]).argmax()))
            best[pairs[order] // n_classes] = pairs[order] % n_classes
        else:
            sums = np.bincount(codes[fitted], labels[fitted], n_values)
            count = np.bincount(codes[fitted], minlength=n_values)
            best = np.where(count > 0, sums / np.maximum(count, 1), labels[fitted].mean())
        guess[held] = best[codes[held]]
    return guess


def _by_tree(values: np.ndarray, labels: np.ndarray, n_classes: int, folds: np.ndarray) -> np.ndarray:
    kind = DecisionTreeClassifier if n_classes else DecisionTreeRegressor
    guess = np.empty(len(labels), float)
    for fold in range(_FOLDS):
        fitted, held = folds != fold, folds == fold
        tree = kind(max_leaf_nodes=_MOST_LEAVES, min_samples_leaf=3, random_state=_SEED)
        tree.fit(values[fitted, None], labels[fitted])
        guess[held] = tree.predict(values[held, None])
    return guess


def _score(guess: np.ndarray, labels: np.ndarray, n_classes: int) -> Score:
    if n_classes:
        reached = float((guess == labels).mean())
        chance = float(np.bincount(labels).max() / len(labels))
        return Score(max(0.0, (reached - chance) / (1 - chance)), reached, chance)
    variance = float(((labels - labels.mean()) ** 2).mean())
    reached = 1 - float(((labels - guess) ** 2).mean()) / variance
    return Score(max(0.0, reached), reached, 0.0)


def _anomaly(name: str, label: str, score: Score, rule: LeakRule, known: _Label, n_rows: int) -> Anomaly:
    if known.n_classes:
        how = f"right in {score.reached:.2%} of {n_rows:,} rows, {score.chance:.2%} by chance"
    else:
        how = f"R² {score.reached:.3f} of the label's ranks over {n_rows:,} rows"
    return Anomaly(
        "leak",
        name,
        f"column {name!r} alone predicts the label {label!r} with score {score.value:.3f} ({how}), expected at most "
        f"{rule.max_score:g}",
        severity=rule.severity,
        split="train",
        key=f"{rule.key}.leak",
        value=score.value,
        limit=rule.max_score,
    )
