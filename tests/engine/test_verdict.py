"""One verdict from steps and gates."""

from fiat.engine.verdict import fold
from fiat.run.model import GateResult, StepResult

RAN = StepResult("train", "call", "ran")


def gate(state: str) -> GateResult:
    return GateResult("accuracy >= 0.9", state, "accuracy 0.8 is below 0.9")  # type: ignore[arg-type]


def test_all_gates_passed_is_pass() -> None:
    assert fold([RAN], [gate("pass")], [])[0] == "pass"


def test_a_refused_gate_fails_and_is_named() -> None:
    verdict, reason = fold([RAN], [gate("pass"), gate("fail")], [])
    assert verdict == "fail"
    assert "accuracy 0.8 is below 0.9" in reason


def test_a_failed_step_is_an_error_even_beside_a_refused_gate() -> None:
    broken = StepResult("train", "call", "failed", "exited with code 3")
    verdict, reason = fold([broken], [gate("fail")], [])
    assert verdict == "error"
    assert "exited with code 3" in reason


def test_warnings_of_gates_and_of_steps_are_warn() -> None:
    assert fold([RAN], [gate("warn")], [])[0] == "warn"
    assert fold([RAN], [gate("pass")], ["the eval split is empty"])[0] == "warn"


def test_skipped_gates_do_not_refuse_and_are_not_counted_as_passed() -> None:
    assert fold([RAN], [gate("pass"), gate("skipped")], []) == (
        "pass",
        "1 gate passed, 1 had nothing to judge",
    )


def test_a_target_that_is_not_granted_is_told_first_and_is_a_doubt() -> None:
    refusals = ["target production is not granted"]
    assert fold([RAN], [gate("warn")], ["the eval split is empty"], refusals=refusals) == (
        "warn",
        "target production is not granted (and 2 more)",
    )
    assert fold([RAN], [gate("fail")], [], refusals=refusals)[0] == "fail"
