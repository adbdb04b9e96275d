"""What each gate says, with which numbers in its reason."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat.evaluate.comparison import Comparison
from fiat.evaluate.gates import (
    Evidence,
    LimitGate,
    MetricGate,
    MissingBaseline,
    judge_answer,
    judge_parity,
    judge_size,
    show,
    show_bytes,
)
from fiat.evaluate.measure import Measured
from fiat.evaluate.metric_gate import judge_metric
from fiat.evaluate.parity import Parity

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
FINITE = st.floats(-1e6, 1e6)


def compared(candidate: float, baseline: float, low: float | None, high: float | None) -> Comparison:
    drop = baseline - candidate
    beyond = low is not None and low > 0
    return Comparison("accuracy", candidate, baseline, drop, low, high, beyond, None, 1000)


def slice_of(value: float, name: str, n_rows: int = 1000) -> Measured:
    return Measured("recall", value, f"label={name}", None, None, n_rows)


def test_a_metric_below_its_minimum_is_refused_with_its_numbers():
    found = judge_metric(
        MetricGate("accuracy", min=0.88, key="gates[0]"),
        Evidence(Measured("accuracy", 0.871, "", 0.8643, 0.8777, 10000)),
    )
    assert found.state == "fail"
    assert found.reason == "accuracy 0.871 [0.864, 0.878] is below 0.88"
    assert (found.name, found.value, found.limit, found.key) == ("accuracy >= 0.88", 0.871, 0.88, "gates[0]")


def test_a_metric_at_its_minimum_passes():
    found = judge_metric(MetricGate("accuracy", min=0.88), Evidence(Measured("accuracy", 0.88)))
    assert (found.state, found.reason) == ("pass", "accuracy 0.88 reaches 0.88")


def test_a_metric_above_its_maximum_is_refused_and_warned_about_when_severity_says_so():
    gate = MetricGate("log_loss", max=0.5, severity="warn")
    found = judge_metric(gate, Evidence(Measured("log_loss", 0.61)))
    assert (found.state, found.reason) == ("warn", "log_loss 0.61 is above 0.5")
    assert judge_metric(gate, Evidence(Measured("log_loss", 0.4))).reason == "log_loss 0.4 is within 0.5"


def test_numbers_that_round_alike_are_shown_apart():
    found = judge_metric(MetricGate("accuracy", min=0.88), Evidence(Measured("accuracy", 0.879999)))
    assert found.reason == "accuracy 0.879999 is below 0.88"
    assert show(1.0, 1.0) == ("1", "1")


@pytest.mark.parametrize("overall", [None, Measured("accuracy", math.nan)])
def test_a_metric_that_is_no_number_never_passes(overall):
    found = judge_metric(MetricGate("accuracy", min=-1e9, max=1e9), Evidence(overall))
    assert found.state == "fail"
    assert found.value is None


def test_the_worst_slice_decides():
    slices = [slice_of(0.9, "1"), slice_of(0.55, "6"), *(slice_of(0.8, str(n)) for n in range(10, 18))]
    gate = MetricGate("recall", min=0.6, slice=("label",))
    found = judge_metric(gate, Evidence(slices=slices))
    assert found.state == "fail"
    assert found.name == "recall by label >= 0.6"
    assert found.reason == "recall of label=6 is 0.55, the worst of 10 slices, below 0.6 (1000 examples)"


def test_small_slices_are_not_judged_but_counted():
    slices = [slice_of(0.1, "1", 99), slice_of(0.7, "2", 100)]
    gate = MetricGate("recall", min=0.6, slice=("label",), min_examples=100)
    found = judge_metric(gate, Evidence(slices=slices))
    assert found.state == "pass"
    assert found.reason == (
        "recall of label=2 is 0.7, the only slice, reaches 0.6 (100 examples); skipped 1 with fewer than 100 examples"
    )


def test_a_gate_whose_slices_are_all_too_small_warns():
    gate = MetricGate("recall", min=0.6, slice=("label",), min_examples=100)
    found = judge_metric(gate, Evidence(slices=[slice_of(0.9, "1", 5)]))
    assert found.state == "warn"
    assert found.reason == "no slice by label could be judged; skipped 1 with fewer than 100 examples"


def test_an_undefined_slice_is_skipped_unless_predictions_are_not_finite():
    slices = [slice_of(math.nan, "1"), slice_of(0.7, "2")]
    gate = MetricGate("recall", min=0.6, slice=("label",))
    assert judge_metric(gate, Evidence(slices=slices)).state == "pass"
    broken = judge_metric(gate, Evidence(slices=slices, invalid_rows=3))
    assert (broken.state, broken.reason) == ("fail", "recall of label=1 is not a number")


def test_a_drop_within_the_allowed_one_passes_and_a_larger_is_refused():
    gate = MetricGate("accuracy", against_baseline=True, max_drop=0.002)
    # 0.88 - 0.878 is 0.0020000000000000018 in floats, and must pass.
    assert judge_metric(gate, Evidence(comparison=compared(0.878, 0.88, None, None))).state == "pass"
    found = judge_metric(gate, Evidence(comparison=compared(0.87, 0.88, -0.001, 0.021)))
    assert found.state == "fail"
    assert (
        found.reason
        == "accuracy 0.87 is 0.01 [-0.001, 0.021] worse than the baseline's 0.88, more than 0.002"
    )


def test_a_significant_gate_refuses_only_a_drop_beyond_chance():
    gate = MetricGate("accuracy", against_baseline=True, max_drop=0.002, significant=True)
    chance = judge_metric(gate, Evidence(comparison=compared(0.87, 0.88, -0.001, 0.021)))
    assert chance.state == "pass"
    assert "not beyond chance" in chance.reason
    real = judge_metric(gate, Evidence(comparison=compared(0.87, 0.88, 0.001, 0.019)))
    assert real.state == "fail"
    small = judge_metric(gate, Evidence(comparison=compared(0.879, 0.88, 0.0005, 0.0015)))
    assert small.state == "pass"
    unknown = judge_metric(gate, Evidence(comparison=compared(0.87, 0.88, None, None)))
    assert unknown.state == "fail"


@pytest.mark.parametrize(("if_missing", "state"), [("pass", "skipped"), ("warn", "warn"), ("error", "fail")])
def test_without_a_baseline_if_missing_decides(if_missing, state):
    gate = MetricGate("accuracy", against_baseline=True)
    found = judge_metric(gate, Evidence(comparison=MissingBaseline("no model was released yet", if_missing)))
    assert found.state == state
    assert found.reason == "nothing to compare accuracy with: no model was released yet"


def test_a_minimum_still_counts_when_there_is_no_baseline():
    gate = MetricGate("accuracy", min=0.9, against_baseline=True)
    missing = MissingBaseline("none", "pass")
    assert judge_metric(gate, Evidence(Measured("accuracy", 0.95), comparison=missing)).state == "pass"
    assert judge_metric(gate, Evidence(Measured("accuracy", 0.85), comparison=missing)).state == "fail"
    assert gate.name == "accuracy >= 0.9 and at most 0 worse than the baseline"


def test_parity_is_judged_by_its_largest_difference():
    gate = LimitGate("parity <= 0.0001", 1e-4)
    close = judge_parity(gate, Parity(2e-6, 1e-7, 1, 500))
    assert close.state == "pass"
    assert (
        close.reason == "model and graph differ by 2e-06 at most on 500 rows, within 0.0001; 1 labels differ"
    )
    assert judge_parity(gate, Parity(2e-3, 1e-7, 0, 500)).state == "fail"
    assert judge_parity(gate, Parity(math.inf, math.inf, 0, 500)).state == "fail"
    assert judge_parity(gate, Parity(math.nan, 0.0, 0, 500)).state == "fail"
    assert judge_parity(gate, None).state == "fail"


def test_parity_of_labels_alone_allows_none_to_differ():
    gate = LimitGate("parity <= 0.0001", 1e-4)
    assert judge_parity(gate, Parity(0, 0, 0, 500, has_floats=False)).state == "pass"
    assert judge_parity(gate, Parity(0, 0, 1, 500, has_floats=False)).state == "fail"


def test_size_is_told_in_units_for_people():
    gate = LimitGate("size <= 20MiB", 20 * 2**20)
    assert judge_size(gate, 2**20).reason == "the model has 1 MiB, within 20 MiB"
    over = judge_size(gate, 20 * 2**20 + 1)
    assert (over.state, over.reason) == ("fail", "the model has 20971521 bytes, above 20971520 bytes")
    assert judge_size(gate, None).state == "fail"
    assert show_bytes(3 * 2**30) == "3 GiB"


def test_a_function_of_the_user_s_passes_refuses_or_has_nothing_to_say():
    said = [
        judge_answer("gates.fairness:check", ok, "", 0.3, severity="error", key="gates[4]").state
        for ok in (True, False, None)
    ]
    assert said == ["pass", "fail", "skipped"]
    warned = judge_answer("a:b", False, "gap 0.3", 0.3, severity="warn", key="gates[4]")
    assert (warned.state, warned.reason, warned.key) == ("warn", "gap 0.3", "gates[4]")


@given(value=NUMBERS, limit=FINITE)
def test_a_minimum_passes_exactly_the_numbers_that_reach_it(value, limit):
    found = judge_metric(MetricGate("m", min=limit), Evidence(Measured("m", value)))
    assert (found.state == "pass") == (value >= limit)


@given(values=st.lists(st.tuples(FINITE, st.integers(0, 20)), min_size=1, max_size=8), limit=FINITE)
def test_a_slice_gate_passes_exactly_when_every_large_slice_does(values, limit):
    slices = [slice_of(value, str(n), size) for n, (value, size) in enumerate(values)]
    gate = MetricGate("recall", min=limit, slice=("label",), min_examples=10)
    large = [value for value, size in values if size >= 10]
    found = judge_metric(gate, Evidence(slices=slices))
    expected = "warn" if not large else "pass" if min(large) >= limit else "fail"
    assert found.state == expected


@given(
    candidate=FINITE,
    baseline=FINITE,
    max_drop=st.floats(0, 10),
    low=FINITE,
    width=st.floats(0, 10),
)
def test_asking_for_significance_never_refuses_more(candidate, baseline, max_drop, low, width):
    evidence = Evidence(comparison=compared(candidate, baseline, low, low + width))
    plain = judge_metric(MetricGate("m", against_baseline=True, max_drop=max_drop), evidence)
    careful = judge_metric(
        MetricGate("m", against_baseline=True, max_drop=max_drop, significant=True), evidence
    )
    assert not (careful.state == "fail" and plain.state == "pass")
    if candidate >= baseline:
        assert plain.state == careful.state == "pass"


@given(value=NUMBERS, limit=st.floats(0, 1), ok=st.sampled_from([True, False, None]))
def test_severity_warn_never_fails_a_run(value, limit, ok):
    warned = [
        judge_metric(MetricGate("m", min=limit, severity="warn"), Evidence(Measured("m", value))),
        judge_parity(LimitGate("p", limit, "warn"), Parity(value, 0.0, 0, 5)),
        judge_answer("a:b", ok, "", value, severity="warn", key=""),
    ]
    assert all(found.state != "fail" for found in warned)
    assert all(found.value is None or math.isfinite(found.value) for found in warned)
