import numpy as np
import pyarrow as pa
import pytest

from fiat.builtin.edge_measure import About, compare, median_us
from fiat.builtin.edge_rows import Rows
from fiat.errors import SpecError
from fiat.ports.edge import Predict

X = np.linspace(-1, 1, 100, dtype=np.float32)[:, None]
ROWS = Rows(({"x": X[:60]}, {"x": X[60:]}), "test")
NUMBER, SCORE = About("regression", "none", None), About("classification", "probabilities", ("no", "yes"))


def plus(amount: float) -> Predict:
    return lambda feeds: {"y": feeds["x"] + np.float32(amount)}  # type: ignore[dict-item, operator]


def test_the_same_model_differs_by_nothing() -> None:
    found = compare(plus(0), plus(0), ROWS, NUMBER)
    assert (found["max_abs"], found["max_rel"], found["disagreement"], found["n_rows"]) == (0, 0, 0, 100)


def test_a_number_counts_as_another_one_when_it_is_a_tenth_of_the_spread_away() -> None:
    spread = float(X.std())
    assert compare(plus(0), plus(0.09 * spread), ROWS, NUMBER)["disagreement"] == 0
    assert compare(plus(0), plus(0.11 * spread), ROWS, NUMBER)["disagreement"] == 1


@pytest.mark.parametrize(("scores", "border"), [("probabilities", 0.5), ("logits", 0.0)])
def test_one_score_of_two_classes_is_cut_where_its_kind_says(scores: str, border: float) -> None:
    about = About("classification", scores, ("no", "yes"))
    moved = int(((border - 0.2 < X) & (border >= X)).sum())
    assert moved > 0
    assert compare(plus(0), plus(0.2), ROWS, about)["disagreement"] == pytest.approx(moved / 100, abs=0.011)


def test_differences_of_large_numbers_are_told_by_their_size_too() -> None:
    def thousands(extra: float) -> Predict:
        return lambda feeds: {"y": 1000 * np.abs(feeds["x"]).astype(np.float64) + 1000 + extra}

    found = compare(thousands(0), thousands(1), ROWS, NUMBER)
    assert found["max_abs"] == pytest.approx(1)
    assert found["max_rel"] == pytest.approx(1 / (1000 + 1000 * np.abs(X).min()), rel=1e-3)


def test_numbers_that_are_not_finite_any_more_are_no_number_here() -> None:
    found = compare(plus(0), lambda feeds: {"y": np.full_like(feeds["x"], np.nan)}, ROWS, NUMBER)
    assert (found["max_abs"], found["max_rel"], found["disagreement"]) == (None, None, 1)


def test_labels_are_compared_and_metrics_told_for_both() -> None:
    labels = pa.array(np.where(X[:, 0] > 0, "yes", "no"))
    rows = Rows(ROWS.feeds, "test", labels, ("no", "yes"))

    def scores(shift: float) -> Predict:
        return lambda feeds: {"s": np.hstack([-feeds["x"], feeds["x"] + np.float32(shift)])}  # type: ignore[operator]

    found = compare(scores(0), scores(0.2), rows, About("classification", "logits", ("no", "yes")))
    before, after = found["metrics"]["accuracy"]
    assert before == 1
    assert after == pytest.approx(1 - found["disagreement"])
    assert 0.02 < found["disagreement"] < 0.1


def test_another_shape_is_a_fault() -> None:
    with pytest.raises(SpecError, match="the converted model gives y"):
        compare(plus(0), lambda feeds: {"y": feeds["x"].reshape(-1)}, ROWS, SCORE)


def test_speed_is_the_median_of_single_rows() -> None:
    ticks = iter(range(10**6))
    assert median_us((plus(0), plus(1)), ROWS, lambda: next(ticks) * 1e-6) == [1.0, 1.0]
