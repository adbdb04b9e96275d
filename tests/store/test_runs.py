import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fiat.errors import EnvironmentFault, SpecError
from fiat.run.model import Artifact, GateResult, Metric, Result, Run, StepResult
from fiat.store.store import Store

START = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)
STEPS = (
    StepResult(
        "data.images",
        "data",
        "ran",
        "never made before",
        1.5,
        2,
        "f" * 64,
        {"dataset": Artifact("a" * 32 + ".dir", 99, 4)},
        START,
        START + timedelta(seconds=2),
        {"cpus": 1.0, "peak_memory_bytes": 2**40},
    ),
    StepResult("train", "call", "waiting"),
)


def make(run_id: str, **changes: Any) -> Run:
    run = Run(
        id=run_id,
        spec="digits",
        spec_path="specs/digits",
        spec_digest="1" * 64,
        plan_digest="2" * 64,
        commit="3" * 40,
        branch="main",
        dirty=True,
        overrides=("params.lr=0.01",),
        config={"name": "digits", "params": {"lr": 0.01, "none": None}},
        state="running",
        verdict=None,
        reason="",
        started_at=START,
        pid=4242,
        host="desk",
        steps=STEPS,
    )
    return replace(run, **changes)


def test_a_run_comes_back_whole(reopen: Callable[[], Store]) -> None:
    run = make(
        "20261121-061500-4f2a",
        state="done",
        verdict="warn",
        reason="a gate warned",
        ended_at=START + timedelta(minutes=1, microseconds=5),
        metrics=(
            Metric("accuracy", 0.97, low=0.96, high=0.98, n_rows=360),
            Metric("accuracy", 1.0, slice="label=7"),
        ),
        gates=(
            GateResult("accuracy >= 0.9", "pass", "0.97", 0.97, 0.9, "gates[0]"),
            GateResult("x", "skipped", ""),
        ),
        model_digest="d" * 32 + ".dir",
    )
    reopen().runs.add(run)
    assert reopen().runs.find(run.id) == run


def test_a_run_that_is_added_twice_is_refused_and_the_first_stays(store: Store) -> None:
    store.runs.add(make("a"))
    with pytest.raises(EnvironmentFault, match="run a already"):
        store.runs.add(make("a", spec="other"))
    assert store.runs.find("a").spec == "digits"


def test_a_run_that_another_worker_goes_on_with_takes_its_own_place(store: Store) -> None:
    ran, waiting = STEPS
    store.runs.add(make("a"))
    store.save_work(
        "a", ran, Result(ran.fingerprint, ran.name, "digits", "a", {}, {}), metrics=[Metric("loss", 0.5, 1)]
    )
    reused = StepResult(ran.name, ran.kind, "reused", fingerprint=ran.fingerprint)
    store.runs.add(make("a", steps=(reused, waiting), metrics=(Metric("x", 1.0),), pid=7), again=True)
    store.runs.add(make("a", steps=(reused, waiting), metrics=(Metric("x", 2.0),), pid=8), again=True)
    found = store.runs.find("a")
    assert (found.pid, found.metrics) == (8, (Metric("x", 2.0),))
    assert found.steps == STEPS, "what ran for this run is said to have run, once, in its place"
    assert store.metrics.of_steps("a") == [(ran.name, Metric("loss", 0.5, 1))]
    store.runs.add(make("b"), again=True)
    assert store.runs.find("b") == make("b")


def test_the_state_of_a_run_and_the_times_of_its_steps_are_told(store: Store) -> None:
    assert store.runs.state_of("a") is None
    for number, seconds in enumerate((5.0, 7.0, 9.0)):
        step = replace(STEPS[0], seconds=seconds)
        again = replace(STEPS[0], name="train", state="reused", seconds=0.0)
        store.runs.add(make(f"r{number}", started_at=START + timedelta(hours=number), steps=(step, again)))
    store.runs.add(make("b", spec="wine"))
    assert store.runs.state_of("r1") == "running"
    assert store.runs.step_seconds("digits", last=2) == {"data.images": [9.0, 7.0]}


def test_a_step_is_found_in_several_runs_at_once(store: Store) -> None:
    for run_id, names in (("a", ("train", "export")), ("b", ("train",)), ("c", ("export",))):
        steps = tuple(StepResult(name, "call", "ran", fingerprint=run_id * 64) for name in names)
        store.runs.add(make(run_id, steps=steps))
    found = store.runs.steps_of(["a", "c", "b", "a", "gone"], "train")
    assert {run_id: step.fingerprint[0] for run_id, step in found.items()} == {"a": "a", "b": "b"}
    assert store.runs.steps_of([], "train") == {}


def test_steps_keep_the_order_of_the_plan_while_they_change(store: Store) -> None:
    store.runs.add(make("a"))
    store.runs.save_step("a", replace(STEPS[1], state="running", attempt=1))
    store.runs.save_step("a", replace(STEPS[0], state="reused", fingerprint="e" * 64))
    store.runs.save_step("a", StepResult("deploy.shelf", "deploy", "waiting"))
    steps = store.runs.find("a").steps
    assert [(step.name, step.state) for step in steps] == [
        ("data.images", "reused"),
        ("train", "running"),
        ("deploy.shelf", "waiting"),
    ]
    assert steps[0].outputs == STEPS[0].outputs
    assert steps[0].resources == STEPS[0].resources


def test_the_end_of_a_run_is_written_at_once(store: Store) -> None:
    store.runs.add(make("a"))
    gates = (GateResult("g", "fail", "too low", math.inf, None, "gates[0]"),)
    end = {
        "verdict": "fail",
        "reason": "gate g refused",
        "state": "done",
        "ended_at": START + timedelta(hours=1),
    }
    store.runs.finish("a", metrics=[Metric("m", 1.0)], gates=gates, model_digest="x", **end)
    store.runs.finish("a", metrics=[Metric("m", 2.0)], gates=gates, model_digest="x", **end)
    run = store.runs.find("a")
    assert run == make("a", metrics=(Metric("m", 2.0),), gates=gates, model_digest="x", **end)
    with pytest.raises(EnvironmentFault, match="run b is gone"):
        store.runs.finish("b", **end)


def test_a_run_is_named_by_the_start_of_its_id_or_as_the_last(store: Store) -> None:
    with pytest.raises(SpecError, match="no run yet"):
        store.runs.find("last")
    store.runs.add(make("20261121-061500-4f2a", started_at=START))
    store.runs.add(make("20261121-071500-77aa", started_at=START + timedelta(hours=1)))
    store.runs.add(make("20261120-010101-0000", started_at=START - timedelta(days=1)))
    assert store.runs.find("last").id == "20261121-071500-77aa"
    assert store.runs.find("20261121-06").id == "20261121-061500-4f2a"
    assert store.runs.find("20261120").id == "20261120-010101-0000"
    with pytest.raises(SpecError, match="several runs start with '20261121'") as several:
        store.runs.find("20261121")
    assert "20261121-071500-77aa, 20261121-061500-4f2a" in several.value.hint
    with pytest.raises(SpecError, match="no run '20261121-061500-4f2b'") as near:
        store.runs.find("20261121-061500-4f2b")
    assert "20261121-061500-4f2a" in near.value.hint
    for nonsense in ("", "%", "_", "zz'; --", "\0", "\udce9"):
        with pytest.raises(SpecError, match="no run"):
            store.runs.find(nonsense)


def test_runs_are_listed_from_the_newest_on_without_their_weight(store: Store) -> None:
    for number in range(30):
        changes = {
            "spec": f"s{number % 2}",
            "branch": f"b{number % 3}",
            "started_at": START + timedelta(hours=number),
        }
        store.runs.add(make(f"r{number:02}", state="done" if number % 5 else "running", **changes))
    listed = store.runs.newest()
    assert [run.id for run in listed] == [f"r{number:02}" for number in range(29, 9, -1)]
    assert listed[0].config == {}
    assert listed[0].steps == ()
    assert listed[0].overrides == ("params.lr=0.01",)
    assert [run.id for run in store.runs.newest(spec="s0", limit=3)] == ["r28", "r26", "r24"]
    assert [run.id for run in store.runs.newest(spec="s0", branch="b0", limit=2, offset=1)] == ["r18", "r12"]
    assert {run.id for run in store.runs.newest(state="running")} == {
        f"r{number:02}" for number in range(0, 30, 5)
    }
    assert store.runs.newest(spec="nobody") == []


def test_a_run_whose_process_is_gone_ends_as_interrupted(store: Store) -> None:
    store.runs.add(make("lives", pid=1, steps=(replace(STEPS[1], state="running"),)))
    store.runs.add(make("gone", pid=2, steps=(replace(STEPS[1], state="running"), STEPS[0])))
    store.runs.add(make("over", pid=2, state="done", verdict="pass"))
    asked: list[tuple[int, str]] = []

    def alive(pid: int, host: str) -> bool:
        asked.append((pid, host))
        return pid == 1

    assert store.runs.mark_crashed(alive) == ["gone"]
    assert sorted(asked) == [(1, "desk"), (2, "desk")]
    gone = store.runs.find("gone")
    assert (gone.state, gone.verdict) == ("interrupted", "error")
    assert gone.ended_at is not None
    assert [step.state for step in gone.steps] == ["cancelled", "ran"]
    assert store.runs.find("lives").steps[0].state == "running"
    assert store.runs.find("over").verdict == "pass"
    assert store.runs.mark_crashed(alive) == []


def test_curves_come_back_in_order_and_by_step(store: Store) -> None:
    store.runs.add(make("a", metrics=(Metric("whole", 1.0, step=1),)))
    points = [Metric("loss", 1 / (number + 1), step=number) for number in range(5000)]
    store.metrics.add("a", "train", points[:4000])
    store.metrics.add("a", "train", [*points[4000:], Metric("final", math.nan)])
    store.metrics.add("a", "clean", [Metric("rows", 3.0, step=0), Metric("left", 2.0)])
    store.metrics.add("a", "clean", [])
    store.metrics.add("b", "train", [Metric("loss", 9.0, step=0)])
    assert store.metrics.curve("a") == [
        ("clean", Metric("rows", 3.0, step=0)),
        *(("train", one) for one in points),
    ]
    finals = [one for _, one in store.metrics.of_steps("a") if one.step is None]
    assert [one.name for one in finals] == ["left", "final"]
    assert math.isnan(finals[1].value)
    store.metrics.drop("a", "train")
    assert len(store.metrics.of_steps("a")) == 2
    assert store.runs.find("a").metrics == (Metric("whole", 1.0, step=1),)


def test_a_step_its_result_and_its_metrics_are_kept_together_or_not_at_all(store: Store) -> None:
    store.runs.add(make("a"))
    result = Result("f" * 64, "train", "digits", "a", {}, {}, made_at=START)
    step = replace(STEPS[1], state="ran")
    assert store.save_work("a", step, result, metrics=[Metric("loss", 1.0, step=0)]) == result
    assert store.runs.find("a").steps[1] == step
    assert store.metrics.curve("a") == [("train", Metric("loss", 1.0, step=0))]
    broken = replace(result, fingerprint="e" * 64, facts={"thing": object()})
    with pytest.raises(TypeError, match="not a JSON value"):
        store.save_work("a", replace(step, state="failed"), broken)
    assert store.results.find("e" * 64) is None
    assert store.runs.find("a").steps[1].state == "ran"
    half = replace(result, fingerprint="d" * 64)
    with pytest.raises(TypeError):
        store.save_work("a", replace(step, resources={"thing": object()}), half)
    assert store.results.find("d" * 64) is None
