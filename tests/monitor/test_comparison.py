"""Windows against the reference: what moved alarms, what is clean does not, whatever form clients send values in."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.spatial.distance import jensenshannon

from fiat.monitor.comparison import Reference, compare_window, reference_of
from fiat.monitor.log_columns import feature_rows
from fiat.monitor.model import ColumnDrift, DriftPlan
from tests.monitor.watch_stage import logged, reference, two_columns

PLAN = DriftPlan(max=0.05)


@pytest.fixture
def draw() -> np.random.Generator:
    return np.random.default_rng(7)


def compared(
    before: pa.Table, now: pa.Table, plan: DriftPlan = PLAN, n_requests: int | None = None
) -> dict[str, ColumnDrift]:
    found = compare_window(reference_of(reference(before)), now, plan, n_requests or now.num_rows)
    return {item.name: item for item in found.columns}


def test_a_column_that_moved_alarms_and_says_what_moved(draw: np.random.Generator) -> None:
    found = compared(two_columns(draw, 5000), two_columns(draw, 1000, shift=1.0))
    assert found["amount"].alarms
    assert found["amount"].effect > 0.05 > found["city"].effect
    assert found["amount"].p_value < 1e-9
    assert not found["city"].alarms
    assert found["amount"].moved[0].after != found["amount"].moved[0].before


def test_a_movement_that_is_certain_but_small_does_not_alarm(draw: np.random.Generator) -> None:
    found = compared(two_columns(draw, 50_000), two_columns(draw, 50_000, shift=0.1))
    assert found["amount"].p_value < 1e-9
    assert not found["amount"].alarms


def test_a_movement_that_few_rows_make_by_chance_does_not_alarm(draw: np.random.Generator) -> None:
    plan = DriftPlan(max=0.001, window=30)
    before = two_columns(draw, 5000)
    windows = [compared(before, two_columns(draw, 30), plan) for _ in range(40)]
    large = sum(item["amount"].value > 0.001 for item in windows)
    assert large == 40  # a distance alone would alarm in each
    assert sum(column.alarms for item in windows for column in item.values()) <= 2


def test_the_effect_of_clean_windows_is_about_nothing(draw: np.random.Generator) -> None:
    before = two_columns(draw, 5000)
    found = [compared(before, two_columns(draw, 500))["amount"] for _ in range(30)]
    values, biases = np.mean([item.value for item in found]), np.mean([item.bias for item in found])
    assert values == pytest.approx(biases, rel=0.25)
    assert all(item.value < item.noise for item in found)


def test_rows_that_came_in_one_request_do_not_count_as_so_many_samples(draw: np.random.Generator) -> None:
    before = two_columns(draw, 5000)
    # Twenty requests of a hundred rows that are alike, as those of one customer are.
    alike = two_columns(draw, 20).take(pa.array(np.repeat(np.arange(20), 100)))
    assert not compared(before, alike, n_requests=20)["amount"].alarms
    assert compared(before, alike)["amount"].p_value < 1e-6  # as if they were independent


@pytest.mark.parametrize("metric", ["js", "linf", "psi"])
def test_every_metric_finds_a_category_that_took_over(draw: np.random.Generator, metric: str) -> None:
    now = pa.table({"city": draw.choice(["Rome", "Oslo", "Bonn"], 1000, p=[0.1, 0.1, 0.8])})
    found = compared(two_columns(draw, 5000), now, DriftPlan(max=0.1, metric=metric))  # type: ignore[arg-type]
    assert found["city"].alarms
    assert found["city"].moved[0].name == "Bonn"


def test_a_distance_is_that_of_scipy(draw: np.random.Generator) -> None:
    before, now = two_columns(draw, 5000), two_columns(draw, 1000)
    shares = []
    for table in (before, now):
        counts = {item["values"]: item["counts"] for item in pc.value_counts(table["city"]).to_pylist()}
        shares.append(np.array([counts[name] for name in sorted(counts)]) / table.num_rows)
    expected = jensenshannon(*shares, base=2) ** 2
    assert compared(before, now)["city"].value == pytest.approx(expected, rel=1e-9)


def test_numbers_are_held_against_numbers_in_whatever_type_they_were_sent(draw: np.random.Generator) -> None:
    whole = draw.integers(0, 9, 5000)
    before = pa.table({"n": pa.array(whole, mask=draw.random(5000) < 0.2)})
    sent = draw.integers(0, 9, 1000).astype(np.float32)
    sent[draw.random(1000) < 0.2] = np.nan
    found = compared(before, pa.table({"n": sent}))["n"]
    assert found.effect < 0.01
    assert found.p_value > 1e-3
    assert found.missing == pytest.approx(0.2, abs=0.05)


def test_large_whole_numbers_that_were_sent_as_small_floats_do_not_look_moved(
    draw: np.random.Generator,
) -> None:
    tracts = 17_031_000_000 + 100 * draw.integers(0, 9000, 6000)
    before, sent = pa.table({"tract": tracts[:5000]}), tracts[5000:].astype(np.float32)
    assert not compared(before, pa.table({"tract": sent}))["tract"].alarms


def test_numbers_that_the_sent_type_cannot_tell_apart_are_told_and_not_compared(
    draw: np.random.Generator,
) -> None:
    ids = 17_031_000_000 + draw.integers(0, 7000, 6000)
    kept = reference_of(reference(pa.table({"id": ids[:5000]})))
    found = compare_window(kept, pa.table({"id": ids[5000:].astype(np.float32)}), PLAN, 1000)
    assert found.columns == ()
    assert found.notes == ("id is sent as float, which can't tell its numbers apart",)


def test_empty_texts_are_missing_ones_and_times_are_read(draw: np.random.Generator) -> None:
    moments = (1_700_000_000 + draw.integers(0, 10**6, 6000)).astype("datetime64[s]")
    texts = draw.choice(["a", "b"], 6000)
    gone = draw.random(6000) < 0.3
    before = pa.table(
        {"at": pa.array(moments[:5000]), "text": pa.array(texts[:5000].tolist(), mask=gone[:5000])}
    )
    sent = np.where(gone[5000:], "", texts[5000:])
    written = [f"{moment}Z" for moment in moments[5000:]]
    found = compared(before, pa.table({"at": written, "text": sent}))
    assert {name: item.alarms for name, item in found.items()} == {"at": False, "text": False}
    assert found["text"].missing == pytest.approx(0.3, abs=0.05)


def test_a_column_of_another_kind_is_told_and_not_compared(draw: np.random.Generator) -> None:
    kept = reference_of(reference(two_columns(draw, 500)))
    found = compare_window(kept, pa.table({"amount": ["x"] * 50}), PLAN, 50)
    assert found.columns == ()
    assert found.notes == ("amount holds text, and was float at training",)


def test_pictures_are_compared_as_a_whole(draw: np.random.Generator) -> None:
    def pictures(n: int, brighter: int = 0) -> pa.Table:
        pixels = np.clip(draw.integers(0, 200, (n, 64)) + brighter, 0, 255).astype(np.uint8)
        return pa.table({"picture": pa.FixedSizeListArray.from_arrays(pa.array(pixels.reshape(-1)), 64)})

    before = pictures(1000)
    assert not compared(before, pictures(300))["picture"].alarms
    assert compared(before, pictures(300, brighter=50))["picture"].alarms


def test_predictions_are_held_against_those_of_the_evaluated_split(draw: np.random.Generator) -> None:
    train = two_columns(draw, 3000)
    answers = pa.table(
        {
            "label": draw.choice(["cat", "dog"], 1000),
            "prediction": draw.choice(["cat", "dog"], 1000, p=[0.7, 0.3]),
            "score": draw.uniform(0.5, 1, 1000),
        }
    )
    kept = reference_of(reference(train, answers))
    assert set(kept.columns) == {"amount", "city", "prediction", "score"}
    rows = logged(
        two_columns(draw, 1000),
        prediction=pa.array(draw.choice(["cat", "dog"], 1000, p=[0.2, 0.8])),
        score=pa.array(draw.uniform(0.5, 1, 1000)),
    )
    found = compare_window(kept, feature_rows(rows), PLAN, 1000)
    assert {item.name: item.alarms for item in found.columns} == {
        "prediction": True,
        "score": False,
        "amount": False,
        "city": False,
    }
    assert found.columns[0].name == "prediction"


def test_a_column_has_the_limit_that_is_its_own(draw: np.random.Generator) -> None:
    plan = DriftPlan(max=0.05, columns={"amount": 0.9})
    assert not compared(two_columns(draw, 5000), two_columns(draw, 1000, shift=1.0), plan)["amount"].alarms


def test_rare_texts_of_a_reference_that_names_only_frequent_ones_do_not_alarm(
    draw: np.random.Generator,
) -> None:
    shares = 1 / np.arange(1, 3001)
    names = np.array([f"company {n}" for n in range(3000)])

    def some(n: int) -> pa.Table:
        return pa.table({"company": draw.choice(names, n, p=shares / shares.sum())})

    kept: Reference = reference_of(reference(some(20_000)))
    alarms = sum(
        item.alarms
        for _ in range(60)
        for item in compare_window(kept, some(1000), DriftPlan(max=0.0, false_alarms=0.05), 1000).columns
    )
    assert alarms <= 7
