"""Columns that give the label away, whatever they look like; and none that don't."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fiat.data.stream import tensor_array
from fiat.validate.leak import MOST_ROWS, find_leaks, score_column
from fiat.validate.model import Anomaly, LeakRule
from tests.validate.folders import dataset

N_ROWS = 3_000
RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 3, N_ROWS)
TEXTS = np.array(["cat", "dog", "emu"])[CLASSES]
PRICES = RNG.lognormal(3, 1, N_ROWS)


def leaks(tmp_path: Path, label: object, column: object, **rule: object) -> tuple[Anomaly, ...]:
    folder = dataset(tmp_path / "d", train={"y": label, "x": column})
    return find_leaks(folder, LeakRule(key="checks[0]", **rule), "y", ["x"])  # type: ignore[arg-type]


OF_CLASSES = {
    "a copy": TEXTS,
    "its codes": CLASSES,
    "another coding": np.array([17, -4, 900])[CLASSES],
    "other texts": np.array(["b1", "c7", "a2"])[CLASSES],
    "codes with a little noise": CLASSES + RNG.uniform(0, 0.9, N_ROWS),
    "many texts a class": [f"{TEXTS[row]} {row % 20}" for row in range(N_ROWS)],
    "missing for one class": pa.array([None if code == 0 else f"v{code}" for code in CLASSES]),
    "a date a class": pa.array(CLASSES.astype(np.int64) * 86_400, pa.timestamp("s")),
}


@pytest.mark.parametrize("what", OF_CLASSES)
def test_what_tells_the_class_is_found(what: str, tmp_path: Path) -> None:
    (found,) = leaks(tmp_path, TEXTS, OF_CLASSES[what])
    assert (found.kind, found.column, found.severity, found.key) == ("leak", "x", "warn", "checks[0].leak")
    assert found.value is not None
    assert 0.99 < found.value <= 1
    assert "alone predicts the label 'y' with score" in found.message
    assert "by chance" in found.message


OF_NUMBERS = {
    "a copy": PRICES,
    "its logarithm": np.log(PRICES),
    "falling": 1 / PRICES,
    "in another currency, rounded": np.round(PRICES * 1.1, 2),
    "enormous": PRICES**40,
}


@pytest.mark.parametrize("what", OF_NUMBERS)
def test_every_monotone_function_of_a_number_is_found(what: str, tmp_path: Path) -> None:
    (found,) = leaks(tmp_path, PRICES, OF_NUMBERS[what])
    assert found.value is not None
    assert 0.99 < found.value <= 1
    assert "R²" in found.message


INNOCENT = {
    "noise": RNG.normal(size=N_ROWS),
    "unique texts": [f"id-{row}" for row in range(N_ROWS)],
    "row numbers of sorted rows": np.argsort(np.argsort(CLASSES, kind="stable")),
    "half the truth": np.where(RNG.random(N_ROWS) < 0.5, CLASSES, 7),
    "a constant": np.zeros(N_ROWS),
    "nothing at all": pa.nulls(N_ROWS, pa.float64()),
    "pictures": tensor_array(CLASSES.reshape(-1, 1, 1).astype(np.uint8)),
    "nearly unique texts": [f"id-{row // 2}" for row in RNG.permutation(N_ROWS)],
}


@pytest.mark.parametrize("what", INNOCENT)
def test_what_does_not_tell_the_class_is_not_found(what: str, tmp_path: Path) -> None:
    assert leaks(tmp_path, TEXTS, INNOCENT[what], max_score=0.6) == ()


def test_noise_scores_as_chance_and_half_the_truth_half() -> None:
    noise = score_column(pa.chunked_array([pa.array(INNOCENT["noise"])]), CLASSES, 3)
    half = score_column(pa.chunked_array([pa.array(INNOCENT["half the truth"])]), CLASSES, 3)
    assert noise is not None
    assert half is not None
    assert noise.value < 0.1
    assert half.value == pytest.approx(0.5, abs=0.05)
    assert half.chance == pytest.approx(np.bincount(CLASSES).max() / N_ROWS)


def test_many_classes_recoded_are_found(tmp_path: Path) -> None:
    classes = RNG.integers(0, 300, N_ROWS)
    (found,) = leaks(tmp_path, classes, np.random.default_rng(1).permutation(300)[classes])
    assert found.value is not None
    assert found.value > 0.99


def test_a_rare_class_does_not_make_every_column_look_good(tmp_path: Path) -> None:
    rare = np.where(np.arange(N_ROWS) % 100 == 0, "yes", "no")
    assert leaks(tmp_path, rare, RNG.normal(size=N_ROWS), max_score=0.1) == ()


def test_columns_may_be_ignored_and_limits_set(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", train={"y": TEXTS, "x": TEXTS, "z": INNOCENT["half the truth"]})
    features = ["x", "z"]
    assert find_leaks(folder, LeakRule(ignore=("x",)), "y", features) == ()
    found = find_leaks(folder, LeakRule(max_score=0.3, severity="error"), "y", features)
    assert [(item.column, item.severity, item.limit) for item in found] == [
        ("x", "error", 0.3),
        ("z", "error", 0.3),
    ]


@pytest.mark.parametrize("label", [None, "other"])
def test_without_a_label_nothing_leaks(label: str | None, tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", train={"x": [1, 2, 3]})
    assert find_leaks(folder, LeakRule(), label, ["x"]) == ()


@pytest.mark.parametrize("label", [["a"] * 40, list(range(9)), [f"t{row}" for row in range(40)]])
def test_a_label_that_can_not_be_judged_says_nothing(label: list[object], tmp_path: Path) -> None:
    """One class, too few rows, a text that is another in each row."""
    assert leaks(tmp_path, label, label) == ()


def test_bools_lists_and_infinities_do_no_harm(tmp_path: Path) -> None:
    odd = pa.array([float("inf"), float("nan"), None, -float("inf"), 1e308] * 20)
    folder = dataset(
        tmp_path / "d",
        train={"y": [True, False] * 50, "b": [True, False] * 50, "l": [[1, 2]] * 100, "odd": odd},
    )
    assert [item.column for item in find_leaks(folder, LeakRule(), "y", ["b", "l", "odd"])] == ["b"]


def test_very_many_rows_are_sampled(tmp_path: Path) -> None:
    n_rows = 4 * MOST_ROWS
    label = np.random.default_rng(2).integers(0, 2, n_rows)
    folder = dataset(
        tmp_path / "d", chunk_rows=65_536, train={"y": label, "x": label * 3.5, "z": np.arange(n_rows) / 7}
    )
    (found,) = find_leaks(folder, LeakRule(), "y", ["x", "z"])
    assert found.column == "x"
    assert f"{MOST_ROWS:,} rows" in found.message
