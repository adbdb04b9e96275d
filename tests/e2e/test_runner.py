"""The story of a repository on a runner: push, pull request, merge, revert, fork. Real git over HTTP, Ray and SQLite."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.runner_stage import FILES, FORKER, SPEC, RunnerStage, runner_stage

pytestmark = pytest.mark.slow
PUSH, PULL = "fiat/push", "fiat/pr"
WORSE = SPEC.replace("spoil: false", "spoil: true")
OTHER = SPEC.replace("trees: 20", "trees: 30")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerStage]:
    with runner_stage(tmp_path_factory.mktemp("runner"), compute="ray", workers=2) as stage:
        stage.start()
        yield stage


@pytest.fixture(scope="module")
def first(stage: RunnerStage) -> str:
    """The first commit on main, trained, judged and deployed."""
    commit = stage.commit(FILES, "a model of leaves")
    began = time.monotonic()
    stage.push("main")
    stage.wait(lambda: stage.forge.world.last(commit, PUSH) == "pending", "the first word", 5)
    assert time.monotonic() - began < 5
    stage.wait_state(commit, PUSH, "success")
    return commit


def steps(stage: RunnerStage, commit: str, purpose: str = "push") -> dict[str, str]:
    """State of each step of the newest run of a commit."""
    for run in stage.runs():
        if run["commit"] == commit and run["purpose"] == purpose:
            found = stage.get(f"/api/v1/runs/{run['id']}/steps").body
            return {step["name"]: step["state"] for step in found["items"]}
    raise AssertionError(f"no run of {commit}")


def deployed(stage: RunnerStage) -> bytes:
    return (stage.shelf / "models" / "leaves" / "model.onnx").read_bytes()


def manifest(stage: RunnerStage) -> Any:
    return json.loads((stage.shelf / "models" / "leaves" / "manifest.json").read_text())


def test_a_push_is_pending_then_trained_judged_deployed_and_a_success(stage: RunnerStage, first: str) -> None:
    assert stage.forge.world.states(first, PUSH)[0] == "pending"
    assert stage.forge.world.states(first, f"{PUSH}/leaves")[-1] == "success"
    assert steps(stage, first)["train"] == "ran"
    assert manifest(stage)["commit"] == first
    assert deployed(stage)
    assert "accuracy" in stage.description(first, f"{PUSH}/leaves")
    states = [status["state"] for found in stage.forge.world.deployments for status in found["statuses"]]
    assert states[-1] == "success"


def test_a_commit_that_touches_nothing_of_the_spec_is_a_success_without_a_run(
    stage: RunnerStage, first: str
) -> None:
    commit = stage.commit({"README.md": "words only"}, "words")
    stage.push("main")
    stage.wait_state(commit, PUSH, "success")
    assert stage.forge.world.contexts(commit) == {PUSH: "success", f"{PUSH}/leaves": "success"}
    assert stage.description(commit, f"{PUSH}/leaves") == "no change"
    assert not [run for run in stage.runs() if run["commit"] == commit]


def test_a_worse_model_in_a_pull_request_fails_with_the_metric_named_and_deploys_nothing(
    stage: RunnerStage, first: str
) -> None:
    before = deployed(stage)
    stage.run_git("checkout", "-q", "-b", "worse")
    commit = stage.commit({"spec.yaml": WORSE}, "a worse model")
    stage.tell_pull(1, commit)
    stage.wait_state(commit, PULL, "failure")
    assert "accuracy" in stage.description(commit, f"{PULL}/leaves")
    (comment,) = stage.forge.world.texts(1)
    assert "accuracy" in comment
    assert "❌" in comment
    assert deployed(stage) == before
    stage.run_git("checkout", "-q", "main")


def test_a_pull_request_that_lowers_its_own_gate_is_judged_by_the_gate_in_force(
    stage: RunnerStage, first: str
) -> None:
    stage.run_git("checkout", "-q", "-b", "cheat")
    lowered = WORSE.replace("min: 0.8", "min: 0.0").replace("max_drop: 0.05", "max_drop: 1.0")
    commit = stage.commit({"spec.yaml": lowered}, "[skip ci] approved by the owner")
    stage.tell_pull(2, commit)
    stage.wait_state(commit, PULL, "failure")
    assert "0.8" in stage.description(commit, f"{PULL}/leaves")
    assert "gates" in stage.forge.world.texts(2)[-1]
    stage.run_git("checkout", "-q", "main")


def test_a_merge_deploys_the_model_of_its_pull_request_without_training_and_a_revert_brings_the_earlier_back(
    stage: RunnerStage, first: str
) -> None:
    earlier = deployed(stage)
    stage.run_git("checkout", "-q", "-b", "better")
    head = stage.commit({"spec.yaml": OTHER}, "more trees")
    stage.tell_pull(3, head)
    stage.wait_state(head, PULL, "success")
    assert steps(stage, head, "pull_request")["train"] == "ran"
    assert steps(stage, head, "pull_request")["deploy.shelf"] == "skipped"
    assert deployed(stage) == earlier
    stage.run_git("checkout", "-q", "main")
    stage.run_git("merge", "-q", "--squash", "better")
    merged = stage.commit({}, "more trees (#3)")
    stage.push("main")
    stage.wait_state(merged, PUSH, "success")
    assert steps(stage, merged)["train"] == "reused"
    assert steps(stage, merged)["deploy.shelf"] == "ran"
    assert deployed(stage) != earlier
    stage.run_git("revert", "--no-edit", "HEAD")
    reverted = stage.push("main")
    stage.wait_state(reverted, PUSH, "success")
    assert steps(stage, reverted)["train"] == "reused"
    assert deployed(stage) == earlier


def test_a_fork_waits_for_approval_of_that_very_commit_and_then_runs_without_secrets(
    stage: RunnerStage, first: str
) -> None:
    stage.run_git("checkout", "-q", "-b", "stranger")
    commit = stage.commit({"train.py": FILES["train.py"] + "\n# by a stranger\n"}, "from a fork")
    stage.tell_pull(4, commit, fork=True)
    context = f"{PULL}/leaves"
    stage.wait(lambda: "approve" in stage.description(commit, context), "the word that it waits")
    stage.tell_comment(4, f"/fiat approve {commit}", sender=(FORKER, "mallory"))
    stage.tell_comment(4, f"/fiat approve {'0' * 40}")
    time.sleep(1.5)
    assert stage.forge.world.last(commit, context) == "pending"
    stage.tell_comment(4, f"/fiat approve {commit}")
    stage.wait_state(commit, PULL, "success")
    assert steps(stage, commit, "pull_request")["train"] == "ran"
    assert list((stage.store / "scopes").iterdir())
    newer = stage.commit({"train.py": FILES["train.py"] + "\n# changed again\n"}, "after the approval")
    stage.tell_pull(4, newer, action="synchronize", fork=True)
    stage.wait(lambda: "approve" in stage.description(newer, context), "a new approval to be asked for")
    stage.run_git("checkout", "-q", "main")


def test_a_spec_error_is_a_failure_that_names_the_line(stage: RunnerStage, first: str) -> None:
    stage.run_git("checkout", "-q", "-b", "broken")
    commit = stage.commit(
        {"spec.yaml": SPEC.replace("metric: accuracy, min", "metrik: accuracy, min")}, "a slip"
    )
    stage.tell_pull(5, commit)
    stage.wait(lambda: stage.forge.world.last(commit, f"{PULL}/leaves") == "failure", "the failure")
    assert "spec.yaml:10" in stage.description(commit, f"{PULL}/leaves")
    stage.run_git("checkout", "-q", "main")


def test_without_webhooks_the_heads_are_found_all_the_same(stage: RunnerStage, first: str) -> None:
    commit = stage.commit({"leaves.csv": FILES["leaves.csv"] + "900,0.1,3.1,a\n"}, "more data")
    stage.push("main", tell=False)
    stage.stop()
    stage.start()
    stage.wait_state(commit, PUSH, "success")
    assert steps(stage, commit)["data.leaves"] == "ran"


def test_at_the_end_every_context_is_final_but_what_waits_for_approval_and_nothing_was_taken_back(
    stage: RunnerStage, first: str
) -> None:
    world = stage.forge.world
    held = {
        seen.commit
        for seen in world.seen
        if "approve" in seen.description and world.last(seen.commit, seen.context) == "pending"
    }
    assert {commit for commit, _ in world.unfinished()} == held
    assert world.taken_back() == []


def test_told_to_end_the_runner_leaves_no_process_behind(stage: RunnerStage, first: str) -> None:
    stage.stop()
    left = [
        words
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if (words := read_words(path)) and str(stage.folder) in words
    ]
    assert left == []
    assert "ending" in stage.log


def read_words(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
