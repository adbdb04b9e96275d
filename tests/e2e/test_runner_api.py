"""What is asked of a runner over its API and on the command line, and models that are brought back."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest

from tests.e2e.repo_stage import MALLORY, MONA, RepoStage
from tests.e2e.runner_process import API_TOKEN, sleepers
from tests.e2e.runner_stage import RunnerStage, runner_stage
from tests.e2e.tiny_specs import add_models, deployed_factor, judged, tiny

pytestmark = pytest.mark.slow
PUSH, PULL = "fiat/push", "fiat/pr"
REPOS = ("acme/shop", "acme/gate", "acme/halt", "acme/line", "acme/post")
SLEEP = "sleep 61.{word}; touch {{out.o}}"


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerStage]:
    with runner_stage(tmp_path_factory.mktemp("api"), workers=2) as stage:
        for name in REPOS:
            stage.add(name)
        stage.start()
        yield stage


def test_a_run_is_cancelled_over_the_api_and_what_was_finished_is_reused_afterwards(
    runner: RunnerStage,
) -> None:
    halt = runner.others["acme/halt"]
    spec = tiny("2", run=SLEEP) + '  b: {run: "echo b > {out.p}", out: {p: file}, code: []}\n'
    commit = halt.pushed({"spec.yaml": spec})
    runner.wait(lambda: sleepers("61.2"), "the step to sleep")
    (run,) = halt.runs_of(commit)
    runner.wait(lambda: halt.steps(commit).get("b") == "ran", "the other step")
    answer = runner.post(f"/api/v1/runs/{run['id']}/cancel", {})
    assert (answer.status, answer.body["state"]) == (200, "cancelling")
    assert halt.said(commit, f"{PUSH}/tiny") == "error: cancelled by test"
    runner.wait(lambda: not sleepers("61.2"), "its processes to be gone", 10)
    assert runner.post(f"/api/v1/runs/{run['id']}/cancel", {}).status == 409
    record = runner.get(f"/api/v1/runs/{run['id']}").body
    assert {step["name"]: step["state"] for step in record["steps"]} == {"a": "cancelled", "b": "ran"}
    again = halt.pushed({"spec.yaml": spec.replace("sleep 61.2", "sleep 0")})
    assert halt.said(again, PUSH).startswith("success")
    assert halt.steps(again) == {"a": "ran", "b": "reused"}


@pytest.fixture(scope="module")
def shop(runner: RunnerStage) -> RepoStage:
    """Two models were deployed, one after the other; the newer by the merge of pull request 1."""
    repo = runner.others["acme/shop"]
    add_models(repo.clone, 1, 2)
    repo.begin({"specs/scale/spec.yaml": judged(2, 100)})
    assert deployed_factor(runner.shelf) == 2
    head = repo.propose(1, {"specs/scale/spec.yaml": judged(1, 100)})
    assert repo.said(head, PULL).startswith("success")
    repo.run_git("merge", "-q", "--ff-only", "patch-1")
    repo.push("main")
    assert repo.said(head, PUSH).startswith("success")
    assert deployed_factor(runner.shelf) == 1
    return repo


def test_a_run_with_overrides_judges_only_and_leaves_the_checks_of_the_commit_alone(
    runner: RunnerStage, shop: RepoStage
) -> None:
    head = shop.remote_head("main")
    before = shop.forge.world.contexts(head)
    body = {
        "repo": "acme/shop",
        "ref": "main",
        "specs": ["scale"],
        "overrides": ["gates=[{metric: mae, max: 0}]"],
    }
    answer = runner.post("/api/v1/trigger", body)
    assert answer.status == 201, answer
    change = answer.body["id"]
    runner.wait(lambda: runner.get(f"/api/v1/changes/{change}").body["state"] == "done", "its end")
    (run,) = runner.get(f"/api/v1/changes/{change}").body["runs"]
    assert runner.get(f"/api/v1/runs/{run['id']}/steps").body["items"][-1]["state"] == "skipped"
    assert run["cause"].startswith("asked for by test")
    assert run["overrides"] == body["overrides"]
    assert deployed_factor(runner.shelf) == 1
    shop.wait_text(head, "fiat/manual/scale", "success" if run["verdict"] == "pass" else "failure")
    after = shop.forge.world.contexts(head)
    assert {name: after[name] for name in before} == before


def test_rollback_on_a_pull_request_brings_the_model_before_it_back(
    runner: RunnerStage, shop: RepoStage
) -> None:
    shop.tell_comment(1, "/fiat rollback", sender=MALLORY)
    shop.tell_comment(1, "/fiat rollback")
    runner.wait(lambda: deployed_factor(runner.shelf) == 2, "the model before", 60)
    manifest = json.loads((runner.shelf / "models" / "scale" / "manifest.json").read_text())
    first = shop.run_git("rev-list", "--max-parents=0", "main")
    assert manifest["commit"] == first
    (back,) = [run for run in runner.runs("repo=acme/shop") if run["purpose"] == "rollback"]
    assert back["cause"].startswith("rollback by mona")


def test_run_again_at_a_commit_that_was_rolled_back_to_deploys_nothing(
    runner: RunnerStage, shop: RepoStage
) -> None:
    newest = shop.pushed({"specs/scale/spec.yaml": judged(1, 200)})
    assert shop.said(newest, PUSH).startswith("success")
    assert deployed_factor(runner.shelf) == 1
    first = shop.run_git("rev-list", "--max-parents=0", "main")
    before = shop.forge.world.contexts(first)
    check = {"id": 7, "head_sha": first, "name": f"{PUSH}/scale", "completed_at": "x"}
    shop.tell("check_run", {"action": "rerequested", "check_run": check} | shop.place.who(MONA))

    def again() -> dict[str, str]:
        found = runner.get("/api/v1/changes?repo=acme/shop").body["items"]
        return dict(next(one for one in found if one["commit"] == first))

    runner.wait(lambda: again()["state"] == "done" and again()["purpose"] == "push", "its end")
    assert again()["reason"].startswith("superseded by")
    assert deployed_factor(runner.shelf) == 1
    shop.all_told()
    assert shop.forge.world.contexts(first) == before


def test_a_fork_is_approved_over_the_api_for_that_very_commit(runner: RunnerStage) -> None:
    gate = runner.others["acme/gate"]
    gate.begin({"spec.yaml": tiny("1", code="'*.txt'"), "a.txt": "1"})
    commit = gate.propose(1, {"a.txt": "2"}, fork=True)
    runner.wait(lambda: "approve" in gate.description(commit, f"{PULL}/tiny"), "the wait for approval")
    body = {"repo": "acme/gate", "pull": 1, "commit": "0" * 40}
    assert runner.post("/api/v1/approve", body).status == 409
    assert runner.post("/api/v1/approve", body | {"commit": commit[:12]}).status == 422
    assert runner.post("/api/v1/approve", body | {"commit": commit}).body["released"] == 1
    assert gate.said(commit, PULL).startswith("success")
    edited = gate.propose(2, {"spec.yaml": tiny("2", code="'*.txt'")}, fork=True)
    said = "success: nothing runs: specs that a fork changes count only after the merge"
    assert gate.said(edited, PULL) == said
    assert gate.runs_of(edited) == []


def test_a_run_is_followed_by_events_to_its_end(runner: RunnerStage) -> None:
    line = runner.others["acme/line"]
    run = "for i in 1 2 3; do echo line $i {word}; sleep 0.4; done; touch {{out.o}}"
    commit = line.pushed({"spec.yaml": tiny("followed", run=run)})
    runner.wait(lambda: line.runs_of(commit), "the run")
    run_id = line.runs_of(commit)[0]["id"]
    request = urllib.request.Request(
        f"{runner.url}/api/v1/runs/{run_id}/events", headers={"Authorization": f"Bearer {API_TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=60) as stream:
        text = stream.read().decode()
    events = [block.split("\n") for block in text.split("\n\n") if "event:" in block]
    kinds = [next(line for line in block if line.startswith("event:")).split(": ")[1] for block in events]
    assert kinds[-1] == "end"
    assert {"log", "state", "end"} == set(kinds)
    assert [f"line {number} followed" in text for number in (1, 2, 3)] == [True] * 3
    assert line.said(commit, PUSH).startswith("success")


def trigger(runner: RunnerStage, *words: str) -> "subprocess.CompletedProcess[str]":
    return runner.fiat("trigger", "--runner", runner.url, "--repo", "acme/line", *words)


def test_fiat_trigger_follows_a_run_and_exits_with_its_verdict(runner: RunnerStage) -> None:
    line = runner.others["acme/line"]
    run = "echo heard {word}; test ${{params.n}} = 1; touch {{out.o}}"
    commit = line.pushed({"spec.yaml": tiny("cli", run=run, head="params: {n: 1}\n")})
    assert line.said(commit, PUSH).startswith("success")
    done = trigger(runner, "--commit", "main", "tiny")
    assert done.returncode == 0, done.stderr
    assert "tiny" in done.stdout + done.stderr
    failed = trigger(runner, "--commit", "main", "tiny", "params.n=2")
    assert failed.returncode == 1, failed.stderr
    assert "heard cli" in failed.stdout + failed.stderr
    newest = line.runs_of(commit)[0]
    assert newest["verdict"] == "error"
    told = trigger(runner, "--attach", newest["id"], "--json")
    assert told.returncode == 1
    assert json.loads(told.stdout)["verdict"] == "error"
    assert line.forge.world.last(commit, f"{PUSH}/tiny") == "success"
    unknown = trigger(runner, "--commit", "no-such-branch")
    assert (unknown.returncode, "no branch, tag or commit" in unknown.stderr) == (2, True)
    refused = runner.fiat(
        "trigger",
        "--runner",
        runner.url,
        "--repo",
        "acme/line",
        "--commit",
        "main",
        FIAT_RUNNER_TOKEN="x" * 20,
    )
    assert refused.returncode == 3


def test_letters_that_a_forge_refuses_are_listed_with_the_reason(runner: RunnerStage) -> None:
    post = runner.others["acme/post"]
    post.forge.world.token = "somebody-changed-the-token"
    commit = post.pushed({"spec.yaml": tiny("post")})
    runner.wait(lambda: post.runs_of(commit) and post.runs_of(commit)[0]["state"] == "done", "the run to end")

    def refused() -> list[str]:
        return [letter["reason"] for letter in letters() if "Bad credentials" in letter["reason"]]

    def letters() -> list[dict[str, str]]:
        found: list[dict[str, str]] = runner.get("/api/v1/letters?repo=acme/post").body["items"]
        return found

    runner.wait(refused, "the reason")
    assert {(letter["repo"], letter["kind"], letter["about"]) for letter in letters()} == {
        ("acme/post", "check", commit)
    }
    assert not [text for text in refused() if runner.environment["FORGE_TOKEN"] in text]


def test_nothing_of_all_this_was_a_bug(runner: RunnerStage) -> None:
    assert "a bug of Fiat" not in runner.log
