import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from page_samples import sample_run, step
from queue_samples import COMMIT, change, over, pulled, queued, refused_run

from fiat.builtin.report_check import (
    Manner,
    change_check,
    context_name,
    deployments,
    ended_check,
    gate_checks,
    running_check,
    waiting_check,
)
from fiat.builtin.report_check_notes import MOST, gate_notes, spec_notes
from fiat.builtin.report_check_words import LONGEST, gate_slug, gate_text, line
from fiat.builtin.view_text import visible
from fiat.errors import SpecError, Where
from fiat.ports.report import Told
from fiat.run.model import GateResult, Metric, StepResult

MANNER = Manner(url="https://fiat.example")
OFF = Manner(sandboxed=False)


@pytest.mark.parametrize(
    ("subject", "spec", "gate", "name"),
    [
        (change(), "", "", "fiat/push"),
        (change(purpose="pull_request", pull=7), "", "", "fiat/pr"),
        (change(purpose="pull_request", pull=0), "", "", "fiat/pr"),
        (pulled(), "fashion", "", "fiat/pr/fashion"),
        (pulled(purpose="manual"), "fashion", "", "fiat/pr/fashion"),
        (queued(purpose="rollback"), "fashion", "", "fiat/push/fashion"),
        (queued(purpose="schedule"), "fashion", "", "fiat/schedule/fashion"),
        (queued(purpose="data"), "fashion", "recall-by-label", "fiat/data/fashion/recall-by-label"),
        (queued(overrides=("lr=1",)), "fashion", "", "fiat/manual/fashion"),
        (pulled(overrides=("lr=1",)), "fashion", "", "fiat/manual/fashion"),
        (change(overrides=("lr=1",)), "", "", "fiat/manual"),
        (queued(), "My Folder/\u202ex", "", "fiat/push/my-folder-<u+202e>x"),
    ],
)
def test_a_check_has_a_name_of_its_own_for_each_meaning(subject, spec, gate, name) -> None:  # type: ignore[no-untyped-def]
    assert context_name(MANNER, subject, spec, gate) == name


def test_a_run_that_waits_is_pending() -> None:
    check = waiting_check(MANNER, queued())
    assert (check.commit, check.context, check.state) == (COMMIT, "fiat/push/fashion", "pending")
    assert (check.description, check.ref, check.url) == (
        "queued",
        "main",
        "https://fiat.example/runs/r-fashion",
    )


def test_a_forks_run_says_which_comment_starts_it() -> None:
    check = waiting_check(MANNER, pulled(state="held", fork=True, head_repo_id="99"))
    assert check.state == "pending"
    assert check.description == f"from a fork: needs the comment /fiat approve {COMMIT}"
    silent = waiting_check(replace(MANNER, commands=False), pulled(state="held", fork=True))
    assert silent.description == "from a fork: needs an approval on the run's page"
    assert check.head_repo_id == "99"
    assert check.ref == ""


def test_a_run_on_its_way_names_the_steps_that_work() -> None:
    steps = (step("data.scans", "reused"), step("other", "reused"), step("a"), step("train", "running"))
    assert running_check(MANNER, queued(), steps, 7).description == "running: train (3 of 7 steps, 2 reused)"
    assert running_check(MANNER, queued(), (), 7).description == "running (0 of 7 steps)"
    many = tuple(step(f"s{number}", "running") for number in range(5))
    assert (
        running_check(MANNER, queued(), many, 5).description
        == "running: s0, s1, s2 and 2 more (0 of 5 steps)"
    )


def test_success_names_the_judged_metrics_and_what_they_were() -> None:
    run = replace(sample_run(), verdict="pass", reason="5 gates passed")
    check = ended_check(MANNER, queued(), Told(run))
    assert (check.state, check.description) == ("success", "5 gates passed; accuracy 0.9722")
    before = (Metric("accuracy", 0.96, low=0.94, high=0.98), Metric("accuracy", 0.1, slice="a=1"))
    told = ended_check(MANNER, queued(), Told(run, baseline_metrics=before)).description
    assert told == "5 gates passed; accuracy 0.9722 (was 0.9600)"


def test_success_without_gates_names_the_first_metric_and_what_was_done() -> None:
    reused = tuple(replace(item, state="reused") for item in sample_run().steps)
    run = replace(sample_run(), verdict="pass", reason="every step has its result", config={}, steps=reused)
    said = ended_check(MANNER, queued(), Told(run)).description
    assert said == "every step has its result; accuracy 0.9722; all reused"
    deployed = (*reused, StepResult("deploy.shelf", "deploy", "ran"))
    said = ended_check(MANNER, queued(), Told(replace(run, steps=deployed))).description
    assert said.endswith("; all reused; deployed to shelf")


def test_a_warning_still_passes() -> None:
    check = ended_check(MANNER, queued(), Told(sample_run()))
    assert check.state == "success"
    assert check.description == "passed with warnings: gate fairness:check: the gap is 0.041"


def test_a_refusal_names_the_metric_and_both_numbers() -> None:
    check = ended_check(MANNER, queued(), Told(refused_run()))
    assert check.state == "failure"
    assert check.description == "accuracy 0.85 < 0.88 (gate); 1 more gate refused"
    assert not check.cancelled


@pytest.mark.parametrize(
    ("wanted", "gate", "said"),
    [
        (
            {"metric": "log_loss", "max": 0.3},
            GateResult("g", "fail", "r", 0.35, 0.3, "gates[0]"),
            "log_loss 0.35 > 0.3 (gate)",
        ),
        (
            {"metric": "recall", "slice": ["a", "b"]},
            GateResult("g", "fail", "r", 0.5, 0.6, "gates[0]"),
            "recall by a, b 0.5 < 0.6 (gate)",
        ),
        (
            {"metric": "accuracy", "min": 0.88},
            GateResult("g", "fail", "r", 0.879999, 0.88, "gates[0]"),
            "accuracy 0.879999 < 0.88 (gate)",
        ),
        (
            {"metric": "accuracy", "against": "baseline"},
            GateResult("g", "fail", "0.85 is 0.02 worse", 0.02, 0.01, "gates[0]"),
            "0.85 is 0.02 worse (gate g)",
        ),
        ({"call": "a:b"}, GateResult("a:b", "fail", "the gap", 1.0, None, "gates[0]"), "the gap (gate a:b)"),
        ({}, GateResult("g", "fail", "it refused", 1.0, 2.0, "elsewhere"), "it refused (gate g)"),
    ],
)
def test_a_gate_is_told_by_its_numbers_or_by_its_reason(wanted, gate, said) -> None:  # type: ignore[no-untyped-def]
    assert gate_text(gate, {"gates": [wanted]}) == said


@pytest.mark.parametrize(
    ("reason", "cancelled"),
    [
        ("superseded by abc1234", True),
        ("main has moved on to abcdef0123", True),
        ("main has moved on to abcdef0123 and broke", False),
        ("cancelled by octocat", True),
        ("the pull request was closed", True),
        ("step train failed: ValueError: loss is not finite", False),
        ("its worker died 5 times", False),
    ],
)
def test_what_was_not_judged_is_an_error_with_its_reason(reason: str, cancelled: bool) -> None:
    run = replace(sample_run(), verdict="error", reason=reason)
    for check in (
        waiting_check(MANNER, over("fashion", "error", reason)),
        ended_check(MANNER, queued(), Told(run)),
        change_check(MANNER, change(state="done", verdict="error", reason=reason), ()),
    ):
        assert (check.state, check.description, check.cancelled) == ("error", reason, cancelled)


def test_an_untouched_spec_is_a_success_without_a_change() -> None:
    check = waiting_check(MANNER, over("fashion", "pass", "no change"))
    assert (check.state, check.description) == ("success", "no change")


@pytest.mark.parametrize(
    ("runs", "state", "said"),
    [
        ([], "pending", "queued"),
        ([queued()], "pending", "fashion: queued"),
        (
            [over("a", "pass"), queued("b"), queued("c", state="running")],
            "pending",
            "3 specs: 1 running, 1 queued, 1 passed",
        ),
        (
            [over("a", "pass"), pulled("b", state="held")],
            "pending",
            "2 specs: 1 waiting for approval, 1 passed",
        ),
        (
            [over("a", "pass"), over("b", "warn"), over("wine", "fail")],
            "failure",
            "3 specs: 1 refused: wine, 2 passed",
        ),
        ([over("wine", "fail", "accuracy 0.85 < 0.88")], "failure", "wine: accuracy 0.85 < 0.88"),
        ([over("a", "fail"), over("b", "error", "x")], "failure", "2 specs: 1 refused: a, 1 failed: b"),
        ([over("a", "pass"), over("b", "error", "x")], "error", "2 specs: 1 failed: b, 1 passed"),
        (
            [over(name, "error", "superseded by abc1234") for name in "ab"],
            "error",
            "2 specs: 2 superseded by abc1234",
        ),
        (
            [over("a", "pass", "no change"), over("b", "pass", "3 gates passed")],
            "success",
            "2 specs: 1 passed, 1 no change",
        ),
    ],
)
def test_the_commit_as_a_whole_is_the_fold_of_its_runs(runs, state, said) -> None:  # type: ignore[no-untyped-def]
    check = change_check(MANNER, change(purpose="pull_request", pull=7), runs)
    assert (check.context, check.state, check.description) == ("fiat/pr", state, said)
    assert check.url == "https://fiat.example/changes/c1"
    assert check.cancelled == ("superseded" in said)


def test_a_commit_that_touches_nothing_is_a_success() -> None:
    check = change_check(MANNER, change(state="done", verdict="pass", reason="no change"), ())
    assert (check.state, check.description) == ("success", "no change")


def test_that_the_sandbox_is_off_stands_in_every_check() -> None:
    run = refused_run()
    checks = [
        change_check(OFF, change(), ()),
        waiting_check(OFF, queued()),
        waiting_check(OFF, over("a", "error", "x" * 500)),
        running_check(OFF, queued(), run.steps, 9),
        ended_check(OFF, queued(), Told(run)),
        *gate_checks(OFF, queued(), run),
    ]
    assert all(check.description.endswith(" (sandbox off)") for check in checks)
    assert all(len(check.description) <= LONGEST for check in checks)
    assert all(check.url == "" for check in checks)


def test_each_gate_can_have_a_check_that_keeps_its_name_when_limits_change() -> None:
    checks = gate_checks(MANNER, pulled(), refused_run())
    assert [(check.context, check.state) for check in checks] == [
        ("fiat/pr/fashion/accuracy", "failure"),
        ("fiat/pr/fashion/fairness-check", "success"),
        ("fiat/pr/fashion/recall-by-digit", "failure"),
    ]
    assert checks[0].description == "accuracy 0.85 [0.81, 0.89] is below 0.88"
    assert checks[1].description == "warning: the gap is 0.041"


def test_gates_of_one_name_have_checks_of_their_own() -> None:
    run = replace(sample_run(), config={"gates": [{"metric": "accuracy", "min": 0.1}] * 2}, gates=())
    assert [check.context for check in gate_checks(MANNER, queued(), run)] == [
        "fiat/push/fashion/accuracy",
        "fiat/push/fashion/accuracy-2",
    ]


def test_a_gate_that_was_not_judged_does_not_keep_what_it_said_before() -> None:
    run = replace(refused_run(), gates=(), verdict="error", reason="step train failed: out of memory")
    checks = gate_checks(MANNER, queued(), run)
    assert len(checks) == 3
    assert {check.state for check in checks} == {"error"}
    assert checks[0].description == "not judged: step train failed: out of memory"


@pytest.mark.parametrize(
    ("wanted", "slug"),
    [
        ({"metric": "f1_macro", "against": "baseline"}, "f1_macro-against-baseline"),
        ({"metric": "recall", "slice": ["sex", "age group"]}, "recall-by-sex-age-group"),
        ({"parity": {}}, "parity"),
        ({"size": {"max": "1MiB"}}, "size"),
        ({"call": "pkg.Mod:func"}, "pkg.mod-func"),
        ({}, "accuracy"),
        ({"metric": "///"}, "gate"),
    ],
)
def test_a_gates_slug_is_made_of_what_it_judges(wanted, slug) -> None:  # type: ignore[no-untyped-def]
    assert gate_slug("accuracy >= 0.8", wanted) == slug


def test_faults_of_a_spec_fail_the_check_and_stand_at_their_lines() -> None:
    errors = [
        SpecError(
            "expected a number", hint="write 0.1", where=Where("specs/fashion/spec.yaml", 12, 3, "params.lr")
        ),
        SpecError("no such file\x1b[31m", where=Where("/srv/checkouts/x/spec.yaml", 4, 1)),
        SpecError("wrong override", where=Where("<override>", 1, 1)),
        SpecError("outside", where=Where("../../etc/passwd", 1, 1)),
        SpecError("nowhere"),
    ]
    run = over("fashion", "error", "spec error")
    check = waiting_check(MANNER, run, errors, "the faults")
    assert check.state == "failure"
    assert check.description.startswith(
        "spec error: specs/fashion/spec.yaml:12:3: params.lr: expected a number"
    )
    first, second, *rest = check.annotations
    assert (first.path, first.line, first.level) == ("specs/fashion/spec.yaml", 12, "failure")
    assert (first.title, first.message) == ("params.lr", "expected a number\nwrite 0.1")
    assert second.message == "no such file␛[31m"
    assert {(note.path, note.line) for note in (second, *rest)} <= {(run.spec_path, 4), (run.spec_path, 1)}


def test_gates_that_refuse_or_warn_are_remarks_at_their_keys() -> None:
    def where(key: str) -> Where:
        return (
            Where("specs/fashion/gates.yaml", 30 + int(key[6]), 5, key)
            if key != "gates[2]"
            else Where("", key=key)
        )

    notes = ended_check(MANNER, queued(), Told(refused_run(), where=where)).annotations
    assert [(note.path, note.line, note.level) for note in notes] == [
        ("specs/fashion/gates.yaml", 30, "failure"),
        ("specs/fashion/spec.yaml", 1, "failure"),
        ("specs/fashion/gates.yaml", 31, "warning"),
    ]
    assert notes[0].title == "gate accuracy >= 0.88"
    assert notes[0].message == "accuracy 0.85 [0.81, 0.89] is below 0.88"


def test_remarks_are_few_and_the_last_says_how_many_are_left_out() -> None:
    errors = [SpecError(f"fault {number}", where=Where("spec.yaml", number + 1)) for number in range(80)]
    notes = spec_notes(errors, "spec.yaml")
    assert len(notes) == MOST
    assert notes[-1].message == "31 more remarks are left out"
    gates = [GateResult(f"g{number}", "fail", "no", key="gates[0]") for number in range(MOST)]
    assert len(gate_notes(gates, lambda key: Where("a", 1), "spec.yaml")) == MOST


def test_targets_that_change_are_told_and_others_are_not() -> None:
    steps = (
        StepResult("deploy.shelf", "deploy", "running"),
        StepResult("deploy.edge", "deploy", "ran", "put 3 files"),
        StepResult("deploy.old", "deploy", "reused", "has it"),
        StepResult("deploy.far", "deploy", "failed", "disk full"),
        StepResult("train", "call", "ran"),
    )
    told = deployments(MANNER, queued(), steps)
    assert [(item.environment, item.state, item.description) for item in told] == [
        ("fashion/edge", "success", "put 3 files"),
        ("fashion/far", "failure", "disk full"),
    ]
    assert len({item.key for item in told}) == 2


@given(st.text(st.characters()), st.booleans())
def test_any_text_becomes_one_harmless_short_line(text: str, sandboxed: bool) -> None:
    said = line(text, sandboxed=sandboxed)
    said.encode("utf-8")
    assert len(said) <= LONGEST
    assert len(said.splitlines()) <= 1
    assert visible(said) == said


@given(st.text(st.characters(), max_size=300))
def test_hostile_names_leave_every_check_in_shape(text: str) -> None:
    run = replace(
        refused_run(),
        reason=text,
        gates=(GateResult(text, "fail", text, math.nan, 0.1, text),),
        config={"gates": [{"metric": text, "slice": text}]},
        metrics=(Metric(text, math.inf),),
        steps=(step(text, "running"),),
    )
    row = queued(text, spec_path="a/spec.yaml", reason=text)
    checks = [
        change_check(MANNER, change(reason=text), [row]),
        waiting_check(MANNER, replace(row, state="done", verdict="error")),
        waiting_check(MANNER, row, [SpecError(text, hint=text, where=Where(text, 1, 1, text))]),
        running_check(MANNER, row, run.steps, 1),
        ended_check(MANNER, row, Told(run)),
        *gate_checks(MANNER, row, run),
    ]
    for check in checks:
        assert len(check.context) <= 255
        for said in (check.context, check.description, *(note.path for note in check.annotations)):
            assert visible(said) == said
        assert " " not in check.context
        for note in check.annotations:
            assert ".." not in Path(note.path).parts
            assert not note.path.startswith("/")
            assert all(visible(part) == part for part in note.message.split("\n"))
