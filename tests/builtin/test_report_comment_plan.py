import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from markdown_reader import read

from fiat.builtin.report_comment_plan import forecast, gpu_text, plan_part, usual_s
from fiat.plan.model import Decision, Limits, Plan, Ref, Step

PLAN = Plan(
    "fashion",
    ".",
    "",
    (
        Step("data.a", "data"),
        Step("data.b", "data"),
        Step(
            "train",
            "call",
            inputs={"a": Ref("data.a", "dataset"), "b": Ref("data.b", "dataset")},
            limits=Limits(gpus=2),
        ),
        Step("probe", "call", after=("data.b",)),
        Step("export", "export", inputs={"model": Ref("train", "model")}),
    ),
)
REUSED = Decision("data.a", "reuse", ("nothing changed",))
TRAINS = Decision("train", "run", ("params: lr 0.003 -> 0.01", "code: model.py changed"))
WAITS = Decision("export", "wait", ("train runs first",))
SKIPPED = Decision("probe", "skip", ("not for this branch",))
TOOK = {
    "data.a": [50.0],
    "data.b": [10.0],
    "train": [700.0, 650.0, 900.0, 600.0, 800.0, 1e6],
    "export": [20.0],
}


def test_a_step_usually_takes_the_median_of_its_last_runs() -> None:
    assert usual_s([700.0, 650.0, 900.0, 600.0, 800.0, 1e6]) == 700.0
    assert usual_s([4.0, 2.0]) == 3.0
    assert usual_s([]) is None


def test_time_is_that_of_the_longest_chain_and_gpus_count_each() -> None:
    whole = forecast(PLAN, (REUSED, TRAINS, WAITS, SKIPPED), TOOK)
    assert whole.work_s == 730.0
    assert whole.path_s == 730.0
    assert whole.gpu_s == 1400.0
    assert whole.unknown == ()
    assert forecast(PLAN, (), TOOK).work_s == 780.0
    assert forecast(PLAN, (), TOOK).path_s == 770.0
    assert forecast(PLAN, (), TOOK).unknown == ("probe",)


def test_the_plan_says_what_runs_what_is_reused_and_why() -> None:
    found = read(plan_part(PLAN, (REUSED, TRAINS, WAITS, SKIPPED), TOOK))
    assert found.rows == [
        ["step", "", "time", "GPU time", "why"],
        ["data.a", "= reuse", "", "", "nothing changed"],
        ["data.b", "▷ run if needed", "10 s", "", ""],
        ["train", "▶ run", "11 m 40 s", "23 GPU min", "params: lr 0.003 -> 0.01 (and 1 more)"],
        ["probe", "– skip", "", "", "not for this branch"],
        ["export", "▷ run if needed", "20 s", "", "train runs first"],
        ["total", "", "12 m 10 s", "23 GPU min", ""],
    ]
    assert found.text.startswith(
        "3 of 5 steps to run, 1 reused, 1 skipped. By earlier runs that takes about 12 m 10 s and 23 GPU min."
    )


def test_a_plan_without_earlier_runs_promises_nothing() -> None:
    plan = Plan("a", ".", "", (Step("train", "call"),))
    found = read(plan_part(plan, (Decision("train", "run", ()),), {}))
    assert found.text.startswith("1 of 1 step to run. No earlier run tells the time of train.")
    assert found.rows == [["step", "", "time", "why"], ["train", "▶ run", "", ""]]


def test_what_is_not_counted_is_named() -> None:
    steps = tuple(Step(f"s{number}", "call") for number in range(8))
    found = read(plan_part(Plan("a", ".", "", steps), (), {"s0": [5.0]}))
    assert (
        "about 5.0 s. Not counted, for want of an earlier run: s1, s2, s3, s4, s5 and 2 more." in found.text
    )


def test_a_plan_that_reuses_everything_takes_no_time() -> None:
    decisions = tuple(Decision(step.name, "reuse", ("nothing changed",)) for step in PLAN.steps)
    assert read(plan_part(PLAN, decisions, TOOK)).text.startswith("0 of 5 steps to run, 5 reused.")


@pytest.mark.parametrize(
    ("gpu_s", "said"), [(59.0, "1 GPU min"), (3599.0, "60 GPU min"), (12600.0, "3.5 GPU h")]
)
def test_gpu_time_is_in_minutes_or_hours(gpu_s: float, said: str) -> None:
    assert gpu_text(gpu_s) == said


def test_a_pull_request_deploys_after_the_merge() -> None:
    steps = (Step("train", "call"), Step("deploy.live", "deploy"), Step("deploy.old", "deploy"))
    decisions = (
        Decision("train", "run", ()),
        Decision("deploy.live", "wait", ("waits for train",)),
        Decision("deploy.old", "skip", ("not for this branch",)),
    )
    found = read(plan_part(Plan("a", ".", "", steps), decisions, {}, deploys=False))
    assert found.text.startswith("1 of 3 steps to run, 1 skipped, 1 after the merge.")
    assert [row[1] for row in found.rows[1:]] == ["▶ run", "▷ after the merge", "– skip"]
    assert "after the merge" not in plan_part(Plan("a", ".", "", steps), decisions, {})


def test_steps_that_are_waited_for_are_all_names() -> None:
    steps = (Step("evaluate", "call"), Step("evaluate.baseline", "call"), Step("gates", "gates"))
    waits = Decision("gates", "wait", ("waits for evaluate, evaluate.baseline",))
    assert "waits for `evaluate`, `evaluate.baseline` |" in plan_part(Plan("a", ".", "", steps), (waits,), {})
