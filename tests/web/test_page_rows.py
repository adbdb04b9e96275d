from dataclasses import replace
from datetime import UTC, datetime

import pytest

from fiat.run.model import Run, StepResult, Verdict
from fiat.run.queue import Change, QueuedRun
from fiat.run.view import RunView
from fiat.web.page_rows import change_standing, run_standing, silence

NOW = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)
FAULT = "fiat/digits.yml:3:1: unknown key `trian` (did you mean `train`?)"


CHANGE = Change("c1", "acme/models", "4f2a" * 10, "push", "refs/heads/main", state="done")


def over(verdict: Verdict, reason: str, *, claimed: bool = True) -> QueuedRun:
    return QueuedRun(
        id="r1",
        change="c1",
        repo="acme/models",
        commit="4f2a" * 10,
        purpose="push",
        ref="refs/heads/main",
        spec="digits",
        spec_path="fiat/digits.yml",
        state="done",
        verdict=verdict,
        reason=reason,
        started_at=NOW if claimed else None,
    )


@pytest.mark.parametrize(
    ("run", "word"),
    [
        (over("fail", "there is no spec digits", claimed=False), "spec error"),
        (over("fail", FAULT), "spec error"),
        (over("fail", "accuracy 0.8 is below 0.9"), "refused by a gate"),
        (over("error", "cancelled by ada"), "cancelled"),
        (over("error", "superseded by 4f2a1c"), "cancelled"),
        (over("error", "step train failed: out of memory"), "failed"),
    ],
)
def test_a_run_and_its_change_stand_by_what_ended_them(run: QueuedRun, word: str) -> None:
    assert run_standing(run).word == word
    assert change_standing(replace(CHANGE, verdict=run.verdict), [run]).word == word


def test_a_refusal_without_a_record_was_no_gates() -> None:
    assert run_standing(over("fail", "train is missing"), recorded=False).word == "spec error"


def test_one_refusal_by_a_gate_makes_the_change_one() -> None:
    runs = [over("fail", FAULT), over("fail", "accuracy 0.8 is below 0.9")]
    assert change_standing(replace(CHANGE, verdict="fail"), runs).word == "refused by a gate"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (StepResult("train", "train", "ran"), "It printed nothing."),
        (StepResult("train", "train", "reused"), "It did not run here, so it printed nothing."),
        (StepResult("train", "train", "running"), ""),
    ],
)
def test_of_a_step_without_output_the_page_says_why(step: StepResult, said: str) -> None:
    record = Run(
        id="r1",
        spec="digits",
        spec_path="fiat/digits.yml",
        spec_digest="",
        plan_digest="",
        commit="",
        branch="",
        dirty=False,
        overrides=(),
        config={},
        state="running",
        verdict=None,
        reason="",
        started_at=NOW,
        steps=(step,),
    )
    assert silence(RunView(over("pass", ""), record), "train") == said
