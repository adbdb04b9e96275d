import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from page_samples import sample_run
from queue_samples import change, over, pulled, queued, refused_run

from fiat.builtin.report_check import Manner
from fiat.builtin.report_comment import marker
from fiat.builtin.report_teller import ForgeTeller
from fiat.errors import SpecError, Where
from fiat.plan.model import Decision, Plan, Step
from fiat.ports.report import Teller, Told
from fiat.run.model import StepResult
from fiat.run.queue import QueuedRun
from fiat.run.report import Check, Deployed, PullComment, Report

TELLER = ForgeTeller({"acme/models": Manner(url="https://fiat.example", gate_checks=True)})
PLAN = Plan("fashion", ".", "", (Step("train", "call"), Step("deploy.shelf", "deploy")))


def kinds(reports: tuple[Report, ...]) -> list[type]:
    return [type(report) for report in reports]


def body(reports: tuple[Report, ...]) -> str:
    return next(report.body for report in reports if isinstance(report, PullComment))


def test_it_is_a_teller() -> None:
    teller: Teller = TELLER
    assert [report.state for report in teller.change(change(), ()) if isinstance(report, Check)] == [
        "pending"
    ]


def test_a_pull_request_gets_its_plan_in_the_comment_and_the_check() -> None:
    record = replace(sample_run(), steps=(StepResult("train", "call", "running"),))
    reports = TELLER.runs(pulled(), record, PLAN, (Decision("train", "run", ()),), {})
    check, comment = reports
    assert isinstance(check, Check)
    assert isinstance(comment, PullComment)
    assert check.description == "running: train (0 of 2 steps)"
    assert comment.body == check.summary
    assert comment.body.startswith("### ⏳ `fashion` runs")
    assert (comment.pull, comment.marker) == (7, marker("acme/models", "fashion"))


def test_a_push_gets_no_comment_and_its_deployments_at_the_end() -> None:
    record = replace(sample_run(), steps=(StepResult("deploy.shelf", "deploy", "running"),))
    assert kinds(TELLER.runs(queued(), record, PLAN, (), {})) == [Check]
    over = replace(
        record, verdict="pass", steps=(StepResult("deploy.shelf", "deploy", "ran"),), config={}, gates=()
    )
    assert kinds(TELLER.ends(queued(), Told(over))) == [Check, Deployed]


def test_the_end_of_a_run_is_its_check_the_comment_and_its_gates() -> None:
    reports = TELLER.ends(pulled(), Told(refused_run()))
    assert kinds(reports) == [Check, PullComment, Check, Check, Check]
    assert body(reports).startswith("### ❌ `fashion` is refused")
    quiet = ForgeTeller({"acme/models": Manner(comments=False)})
    assert kinds(quiet.ends(pulled(), Told(refused_run()))) == [Check]
    assert kinds(ForgeTeller().ends(pulled(), Told(refused_run()))) == [Check, PullComment]


@pytest.mark.parametrize(
    ("run", "errors", "begins"),
    [
        (pulled(), (), ""),
        (pulled(state="held", fork=True), (), "### ✋ `fashion` waits for approval"),
        (pulled(state="done", verdict="pass", reason="no change"), (), ""),
        (pulled(state="done", verdict="error", reason="superseded by abc1234"), (), ""),
        (
            pulled(state="done", verdict="error", reason="its worker died 5 times"),
            (),
            "### ⛔ `fashion` did not finish",
        ),
        (
            pulled(state="done", verdict="error"),
            (SpecError("no", where=Where("a", 1)),),
            "### ❌ `fashion` can't run",
        ),
        (over("fashion", "error", "its worker died 5 times"), (), ""),
    ],
)
def test_the_comment_is_written_where_somebody_has_to_do_something(
    run: QueuedRun, errors: tuple[SpecError, ...], begins: str
) -> None:
    reports = TELLER.waits(run, errors)
    assert kinds(reports) == [Check, *([PullComment] if begins else [])]
    if begins:
        assert body(reports).startswith(begins)


def test_a_superseded_run_leaves_the_comment_to_the_newer_one() -> None:
    run = replace(sample_run(), verdict="error", reason="superseded by abc1234", gates=(), config={})
    (check,) = TELLER.ends(pulled(), Told(run))
    assert isinstance(check, Check)
    assert (check.state, check.cancelled) == ("error", True)


def test_the_same_values_give_the_same_reports() -> None:
    assert TELLER.ends(pulled(), Told(refused_run())) == TELLER.ends(pulled(), Told(refused_run()))
