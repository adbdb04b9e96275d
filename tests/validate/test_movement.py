"""What moved against earlier, other and training data, from descriptions alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from fiat.errors import SpecError
from fiat.profile.measure import profile_batches
from fiat.profile.model import DataProfile
from fiat.validate.model import (
    Anomaly,
    ColumnSchema,
    DistanceRule,
    LabelRule,
    Limit,
    RowsRule,
    Rule,
    Schema,
    SqlRule,
)
from fiat.validate.movement import find_movements

PENGUINS = Path(__file__).parents[3] / "shared" / "data" / "penguins"
Columns = Mapping[str, object]


def data(label: str | None = None, **splits: Columns) -> DataProfile:
    """A description of splits; `eval_` stands for eval."""
    profiles = [
        profile_batches([pa.record_batch(dict(columns))], split=name.rstrip("_"))
        for name, columns in splits.items()
    ]
    return DataProfile(tuple(profiles), label)


def movements(
    after: DataProfile,
    others: Mapping[str, DataProfile],
    rules: Sequence[Rule] = (),
    columns: Sequence[ColumnSchema] = (),
) -> tuple[Anomaly, ...]:
    return find_movements(after, others, rules, Schema(tuple(columns)))


def rows(n_rows: int, *, company: str = "AABC", mean: float = 0.0, seed: int = 0) -> Columns:
    rng = np.random.default_rng(seed)
    return {
        "company": [company[row % len(company)] for row in range(n_rows)],
        "fare": rng.normal(mean, 1, n_rows),
    }


def drift(**given: object) -> DistanceRule:
    settings: dict[str, object] = {"against": "previous", "max": 0.1, "key": "checks[0]", **given}
    return DistanceRule("drift", **settings)  # type: ignore[arg-type]


def test_nothing_moved_nothing_is_said() -> None:
    before, after = data(train=rows(2000)), data(train=rows(2000, seed=1))
    assert movements(after, {"previous": before}, [drift()]) == ()


def test_a_category_that_moved_is_told_with_the_three_that_moved_most() -> None:
    before, after = data(train=rows(2000)), data(train=rows(2000, company="ABBC"))
    (found,) = movements(after, {"previous": before}, [drift()])
    assert (found.kind, found.column, found.split, found.severity) == ("drift", "company", "train", "error")
    assert found.value == pytest.approx(0.25)
    assert found.limit == 0.1
    assert found.key == "checks[0].drift"
    assert found.message == (
        "moved 0.25 from previous by L-infinity distance, expected at most 0.1 (most moved: A 50.0% -> 25.0%, "
        "B 25.0% -> 50.0%)"
    )


def test_numbers_that_moved_are_told_with_quantiles() -> None:
    before, after = data(train=rows(3000)), data(train=rows(3000, mean=1, seed=1))
    (found,) = movements(after, {"previous": before}, [drift(metric="wasserstein", max=0.5)])
    assert found.column == "fare"
    assert found.value == pytest.approx(1, abs=0.1)
    assert found.message.count("quantile") == 3


def test_columns_have_limits_of_their_own() -> None:
    before, after = data(train=rows(2000)), data(train=rows(2000, company="ABBC", mean=1, seed=1))
    found = movements(after, {"previous": before}, [drift(columns={"company": 0.3})])
    assert [item.column for item in found] == ["fare"]
    (company,) = (
        item
        for item in movements(after, {"previous": before}, [drift(max=9.0, columns={"company": 0.2})])
        if item.column == "company"
    )
    assert company.key == "checks[0].drift.columns.company"


def test_a_limit_for_a_column_that_is_not_there_is_a_fault_of_the_spec() -> None:
    both = data(train=rows(10))
    with pytest.raises(SpecError, match=r"limits column 'compny'.*did you mean 'company'"):
        movements(both, {"previous": both}, [drift(columns={"compny": 0.3})])


def test_what_chance_may_have_done_is_a_warning_that_says_so() -> None:
    before, after = data(train={"a": ["x"] * 6 + ["y"] * 6}), data(train={"a": ["x"] * 8 + ["y"] * 4})
    (found,) = movements(after, {"previous": before}, [drift()])
    assert found.severity == "warn"
    assert "so few rows (12 and 12) differ by up to" in found.message


def test_the_first_run_has_no_previous_and_nothing_is_said() -> None:
    rules = [drift(), RowsRule(max_change=0.1), LabelRule(against="previous")]
    limited = [ColumnSchema("company", drift=Limit("linf", 0.01))]
    assert movements(data("company", train=rows(100)), {}, rules, limited) == ()


@pytest.mark.parametrize("others", [{}, {"data.served": DataProfile(())}])
def test_other_data_that_are_not_there_are_told(others: dict[str, DataProfile]) -> None:
    rules = [
        DistanceRule("skew", "data.served", 0.1),
        RowsRule(max_change=0.1, against="data.served"),
        LabelRule(against="data.served"),
    ]
    found = movements(data("company", train=rows(100)), others, rules)
    assert [(item.kind, item.severity) for item in found] == [("control_missing", "warn")] * 3
    assert "no data of data.served to compare with" in found[0].message


def test_a_previous_that_is_empty_is_told() -> None:
    found = movements(data(train=rows(100)), {"previous": DataProfile(())}, [drift(), RowsRule(max_change=1)])
    assert [item.kind for item in found] == ["control_missing"] * 2


def test_a_split_that_is_gone_is_told() -> None:
    before = data(train=rows(500), test=rows(500))
    found = movements(data(train=rows(500)), {"previous": before}, [drift()])
    assert [(item.kind, item.severity) for item in found] == [("treatment_missing", "warn")]
    assert "test has no rows" in found[0].message


def test_splits_are_compared_with_the_same_split_or_with_train() -> None:
    before = data(train=rows(2000), test=rows(2000, company="ABBC"))
    after = data(train=rows(2000), test=rows(2000, company="ABBC"), eval_=rows(2000, company="ABBC"))
    found = movements(after, {"previous": before}, [drift()])
    assert [(item.split, item.column) for item in found] == [("eval", "company")]


def test_drift_against_train_judges_eval_and_test() -> None:
    after = data(train=rows(2000), eval_=rows(2000), test=rows(2000, company="CCCB"))
    found = movements(after, {}, [drift(against="train")])
    assert [(item.split, item.column) for item in found] == [("test", "company")]
    alone = movements(data(train=rows(20)), {}, [drift(against="train")])
    assert [item.kind for item in alone] == ["treatment_missing"]
    none = movements(data(test=rows(20)), {}, [drift(against="train")])
    assert [item.kind for item in none] == ["control_missing"]


def test_a_column_on_one_side_only_is_told() -> None:
    before, after = data(train={"a": ["x"] * 9, "old": [1] * 9}), data(train={"a": ["x"] * 9, "new": [1] * 9})
    found = movements(after, {"previous": before}, [drift()])
    assert {(item.kind, item.column, item.severity) for item in found} == {
        ("column_control_missing", "new", "warn"),
        ("column_treatment_missing", "old", "warn"),
    }


def test_served_data_may_lack_the_label() -> None:
    after = data("tips", train={**rows(500), "tips": ["y", "n"] * 250})
    served = data(train=rows(500))
    assert movements(after, {"data.served": served}, [DistanceRule("skew", "data.served", 0.1)]) == ()


def test_columns_of_different_kinds_are_not_compared_but_told() -> None:
    before, after = data(train={"a": ["1", "2"] * 50}), data(train={"a": [1, 2] * 50})
    (found,) = movements(after, {"previous": before}, [drift()])
    assert (found.kind, found.column, found.severity) == ("kind_changed", "a", "error")
    assert "holds int, but text in previous" in found.message


def test_whole_numbers_that_became_numbers_are_compared() -> None:
    before, after = data(train={"a": [1, 2, 3, 4] * 90}), data(train={"a": [1.5, 2.5, 3.5, 4.5] * 90})
    found = movements(after, {"previous": before}, [drift(metric="ks", max=0.2)])
    assert [(item.kind, item.value) for item in found] == [("drift", pytest.approx(0.25))]


@pytest.mark.parametrize(("n_rows", "kind"), [(400, "rows_dropped"), (1600, "rows_grown")])
def test_a_change_of_the_number_of_rows_is_told(n_rows: int, kind: str) -> None:
    before = data(train=rows(800), test=rows(200))
    after = data(train=rows(n_rows))
    (found,) = movements(after, {"previous": before}, [RowsRule(max_change=0.5, key="checks[2]")])
    assert (found.kind, found.value, found.key) == (kind, 0.6, "checks[2].rows.change")
    assert f"{n_rows:,} rows are 60.0%" in found.message
    assert "expected a change of at most 50.0%" in found.message


def test_a_change_within_the_limit_is_none() -> None:
    before, after = data(train=rows(1000)), data(train=rows(1500))
    assert movements(after, {"previous": before}, [RowsRule(max_change=0.5)]) == ()


def test_the_balance_of_the_label_is_judged_by_class() -> None:
    after = data("company", train=rows(2000), test=rows(2000, company="ABBC"))
    (found,) = movements(after, {}, [LabelRule(max=0.2)])
    assert (found.kind, found.split, found.severity) == ("label_balance", "test", "warn")
    assert found.value == pytest.approx(0.25)


def test_a_label_of_whole_numbers_is_judged_by_class_and_one_of_numbers_by_divergence() -> None:
    classes = data("y", train={"y": [0, 0, 1, 1] * 300}, test={"y": [0, 1, 1, 1] * 300})
    (found,) = movements(classes, {}, [LabelRule(max=0.2)])
    assert "L-infinity" in found.message
    numbers = data("fare", train=rows(2000), test=rows(2000, mean=3))
    (found,) = movements(numbers, {}, [LabelRule(max=0.2)])
    assert "Jensen-Shannon" in found.message


def test_the_schemas_own_limits_hold_against_previous_and_served() -> None:
    before, after = data(train=rows(2000)), data(train=rows(2000, company="ABBC"))
    columns = [
        ColumnSchema("company", drift=Limit("linf", 0.1), skew=Limit("js", 0.02), severity="warn"),
        ColumnSchema("fare", drift=Limit("js", 0.1)),
    ]
    found = movements(after, {"previous": before, "data.served": before}, (), columns)
    assert [(item.kind, item.key, item.severity) for item in found] == [
        ("drift", "columns.company.drift.max", "warn"),
        ("skew", "columns.company.skew.max", "warn"),
    ]


def test_a_schemas_skew_without_anything_served_is_told_once() -> None:
    columns = [ColumnSchema(name, skew=Limit("js", 0.02)) for name in ("company", "fare")]
    (found,) = movements(data(train=rows(20)), {}, (), columns)
    assert (found.kind, found.severity) == ("control_missing", "warn")
    assert "skew of company, fare" in found.message


def test_rules_of_other_kinds_are_passed_over() -> None:
    assert movements(data(train=rows(20)), {}, [SqlRule("select 1"), RowsRule(min=1000)]) == ()


@pytest.mark.skipif(not PENGUINS.is_dir(), reason=f"{PENGUINS} is not here")
def test_one_changed_value_of_the_penguins_is_no_drift() -> None:
    table = pyarrow.csv.read_csv(PENGUINS / "penguins_processed.csv")
    masses = table.column("body_mass_g").to_pylist()
    masses[100] = 0.99
    changed = table.set_column(4, "body_mass_g", pa.array(masses))
    before, after = (
        data(
            "species",
            train=dict(zip(part.column_names, (c.combine_chunks() for c in part.columns), strict=True)),
        )
        for part in (table, changed)
    )
    assert movements(after, {"previous": before}, [drift(max=0.01), LabelRule(0.01, "previous")]) == ()


@pytest.mark.skipif(not PENGUINS.is_dir(), reason=f"{PENGUINS} is not here")
def test_unlabelled_penguins_are_skewed_at_most_by_chance() -> None:
    tables = [pyarrow.csv.read_csv(PENGUINS / f"penguins_{name}.csv") for name in ("processed", "unlabelled")]
    labelled, served = (
        data(
            "species",
            train=dict(zip(part.column_names, (c.combine_chunks() for c in part.columns), strict=True)),
        )
        for part in tables
    )
    found = movements(labelled, {"data.served": served}, [DistanceRule("skew", "data.served", 0.1)])
    assert {item.severity for item in found} <= {"warn"}
    assert all(item.kind == "skew" for item in found)


def test_what_is_served_is_held_against_train_alone_and_needs_not_be_there() -> None:
    rule = DistanceRule("skew", "serving", 0.1)
    after = data("tips", train={**rows(2000), "tips": ["y", "n"] * 1000}, test=rows(2000, company="CCCB"))
    assert movements(after, {}, [rule], [ColumnSchema("company", skew=Limit("linf", 0.01))]) == ()
    same, other = data(serving=rows(2000)), data(serving=rows(2000, company="CCCB"))
    assert movements(after, {"serving": same}, [rule]) == ()
    (found,) = movements(after, {"serving": other}, [rule])
    assert (found.kind, found.column, found.split) == ("skew", "company", "train")
    assert found.message.startswith("moved ")
    assert " from serving by " in found.message


def test_a_nan_and_an_empty_text_are_what_clients_send_for_nothing() -> None:
    n = 500
    after = data(train={"age": [30.0, float("nan")] * n, "city": ["Rome", ""] * n})
    served = data(serving={"age": [30.0, None] * n, "city": ["Rome", None] * n})
    assert movements(after, {"serving": served}, [DistanceRule("skew", "serving", 0.01)]) == ()


def test_without_train_rows_there_is_nothing_to_hold_against_what_is_served() -> None:
    found = movements(
        data(test=rows(9)), {"serving": data(serving=rows(9))}, [DistanceRule("skew", "serving", 0.1)]
    )
    assert [item.kind for item in found] == ["treatment_missing"]
