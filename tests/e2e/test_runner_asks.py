"""What people ask of a runner: by comments, by buttons, over the API and on the command line."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator

import psutil
import pytest

from tests.e2e.repo_stage import MALLORY, MONA, RepoStage
from tests.e2e.runner_process import API_TOKEN
from tests.e2e.runner_stage import RunnerStage, runner_stage
from tests.e2e.tiny_specs import add_models, deployed_factor, judged, tiny

pytestmark = pytest.mark.slow
PUSH, PULL = "fiat/push", "fiat/pr"
REPOS = ("acme/talk", "acme/words", "acme/shop", "acme/gate", "acme/halt", "acme/line", "acme/post")
SLEEP = "sleep 61.{word}; touch {{out.o}}"


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerStage]:
    with runner_stage(tmp_path_factory.mktemp("asks"), workers=2) as stage:
        for name in REPOS:
            stage.add(name)
        stage.others["acme/words"].entry["approvers"] = ["99"]
        stage.start()
        yield stage


def begun(repo: RepoStage, files: dict[str, str | None]) -> str:
    """A first commit on main that is over."""
    commit = repo.pushed(files, "begin")
    assert repo.said(commit, PUSH).startswith("success"), repo.runner.log
    return commit


def runs_end(repo: RepoStage, commit: str, count: int) -> list[str]:
    """Wait until a commit has so many runs and all are over; gives their specs, the newest first."""
    repo.runner.wait(lambda: len(repo.runs_of(commit)) == count, f"{count} runs")
    repo.runner.wait(lambda: all(run["state"] == "done" for run in repo.runs_of(commit)), "their end")
    return [run["spec"] for run in repo.runs_of(commit)]


def sleepers(word: str) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if f"61.{word}" in (process.info["cmdline"] or ())
    ]


def quiet(repo: RepoStage, done: int) -> None:
    """Wait until so many deliveries with something to do are dealt with."""

    def dealt() -> bool:
        with repo.runner.opened_store() as store:
            return not store.deliveries.received()

    repo.runner.wait(dealt, f"{done} comments to be read")


@pytest.fixture(scope="module")
def talk(runner: RunnerStage) -> RepoStage:
    """Two specs on main, one of which a pull request touches."""
    repo = runner.others["acme/talk"]
    own = "triggers: {comment: please judge}\n"
    begun(
        repo,
        {
            "specs/one/spec.yaml": tiny("1", name="one", code="'one.txt'"),
            "specs/two/spec.yaml": tiny("2", name="two", code="'two.txt'"),
            "specs/own/spec.yaml": tiny("3", name="own", code="'one.txt'", head=own),
            "one.txt": "1",
            "two.txt": "1",
        },
    )
    return repo


@pytest.fixture(scope="module")
def asked(talk: RepoStage) -> str:
    """Head of pull request 1, which touches `one` only."""
    commit = talk.propose(1, {"one.txt": "2"})
    assert talk.said(commit, PULL) == "success: one: every step has its result"
    assert talk.said(commit, f"{PULL}/two") == "success: no change"
    return commit


def test_run_runs_what_the_commit_touches_again_and_run_with_a_name_that_spec(
    talk: RepoStage, asked: str
) -> None:
    assert runs_end(talk, asked, 1) == ["one"]
    talk.tell_comment(1, "/fiat run")
    assert runs_end(talk, asked, 2) == ["one", "one"]
    talk.tell_comment(1, "/fiat run two")
    assert runs_end(talk, asked, 3) == ["two", "one", "one"]
    talk.wait_text(asked, f"{PULL}/two", "success: every step has its result")


def test_a_comment_on_a_commit_runs_that_commit_again(talk: RepoStage) -> None:
    commit = talk.pushed({"two.txt": "at a commit"})
    assert talk.said(commit, PUSH).startswith("success: two: every step")
    comment = {"id": 4, "body": "/fiat run", "commit_id": commit, "user": {"id": 7, "login": "mona"}}
    talk.tell("commit_comment", {"action": "created", "comment": comment} | talk.place.who(MONA))
    assert runs_end(talk, commit, 2) == ["two", "two"]


def test_the_comment_that_a_spec_names_starts_that_spec_for_people_who_may(
    talk: RepoStage, asked: str
) -> None:
    before = len(talk.runs_of(asked))
    talk.tell_comment(1, "please judge", sender=MALLORY)
    talk.tell_comment(1, "who would please judge this?")
    talk.tell_comment(1, "Nice.\n\nplease judge this one")
    assert runs_end(talk, asked, before + 1)[0] == "own"
    assert talk.said(asked, f"{PULL}/own").startswith("success")


def test_comments_of_strangers_change_nothing_and_are_not_answered(talk: RepoStage, asked: str) -> None:
    before = len(talk.runner.runs()), talk.forge.world.texts(1)
    for sender in (MALLORY, (MALLORY[0], MONA[1])):
        for text in ("/fiat run", "/fiat dance", f"/fiat approve {asked}", "/fiat rollback", "/fiat cancel"):
            assert talk.tell_comment(1, text, sender=sender).status == 202
    quiet(talk, 10)
    assert (len(talk.runner.runs()), talk.forge.world.texts(1)) == before


def test_an_unclear_command_is_answered_in_one_comment_whose_text_is_the_newest_answer(
    talk: RepoStage, asked: str
) -> None:
    def answers() -> list[str]:
        return [text for text in talk.forge.world.texts(1) if "What can be asked" in text]

    talk.tell_comment(1, "/fiat dance")
    talk.runner.wait(answers, "an answer")
    assert "There is no command dance here" in answers()[0].replace("`", "")
    talk.tell_comment(1, "/fiat run nothing-like-it")
    talk.runner.wait(lambda: "nothing-like-it" in answers()[0], "the second answer")
    assert len(answers()) == 1
    assert "/fiat approve COMMIT" in answers()[0]


def test_words_of_a_commit_give_no_authority_and_skip_nothing(runner: RunnerStage) -> None:
    words = runner.others["acme/words"]
    begun(words, {"specs/one/spec.yaml": tiny("1", name="one", code="'one.txt'"), "one.txt": "1"})
    message = f"[skip ci] /fiat approve\n\nReviewed-by: {MONA[1]}\n/fiat run"
    author = (MONA[1], "mona@example.org")
    commit = words.propose(2, {"one.txt": "by a stranger"}, message, fork=True, author=author)
    words.runner.wait(lambda: "approve" in words.description(commit, f"{PULL}/one"), "the wait for approval")
    assert {run["state"] for run in words.runs_of(commit)} == {"held"}
    words.wait_text(commit, PULL, "pending: one: waiting for approval")
    named = (99, "somebody-whom-the-operator-named")
    words.tell_comment(2, "/fiat run", sender=named)
    words.tell_comment(2, f"/fiat approve {commit}", sender=named)
    assert words.said(commit, f"{PULL}/one").startswith("success")
    assert len(words.runs_of(commit)) == 1, "who is named as an approver may approve, no more"
    skipped = words.propose(3, {"one.txt": "3"}, "[skip ci] [ci skip] nothing to see")
    assert words.said(skipped, PULL).startswith("success: one: every step")
    assert words.runs_of(skipped)


def test_cancel_ends_a_step_that_runs_with_all_its_processes(runner: RunnerStage) -> None:
    halt = runner.others["acme/halt"]
    begun(halt, {"a.txt": "1"})
    commit = halt.propose(1, {"spec.yaml": tiny("1", run=f"(sleep 61.1 &) ; {SLEEP}")})
    runner.wait(lambda: len(sleepers("1")) >= 2, "the step to sleep")
    halt.tell_comment(1, "/fiat cancel")
    assert halt.said(commit, f"{PULL}/tiny") == "error: cancelled by mona"
    runner.wait(lambda: not sleepers("1"), "its processes to be gone", 10)
    assert halt.said(commit, PULL).startswith("error")
    (run,) = halt.runs_of(commit)
    assert (run["state"], run["verdict"]) == ("done", "error")


def test_a_run_is_cancelled_over_the_api_and_what_was_finished_is_reused_afterwards(
    runner: RunnerStage,
) -> None:
    halt = runner.others["acme/halt"]
    spec = tiny("2", run=SLEEP) + '  b: {run: "echo b > {out.p}", out: {p: file}, code: []}\n'
    commit = halt.pushed({"spec.yaml": spec})
    runner.wait(lambda: sleepers("2"), "the step to sleep")
    (run,) = halt.runs_of(commit)
    runner.wait(lambda: halt.steps(commit).get("b") == "ran", "the other step")
    answer = runner.post(f"/api/v1/runs/{run['id']}/cancel", {})
    assert (answer.status, answer.body["state"]) == (200, "cancelling")
    assert halt.said(commit, f"{PUSH}/tiny") == "error: cancelled by test"
    runner.wait(lambda: not sleepers("2"), "its processes to be gone", 10)
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
    begun(repo, {"specs/scale/spec.yaml": judged(2, 100)})
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
    runner.wait(lambda: shop.forge.world.contexts(first) == before, "the checks to stand as they did")


def test_a_refused_spec_stays_refused_while_another_one_of_its_commit_is_run_again(talk: RepoStage) -> None:
    commit = talk.propose(4, {"one.txt": None, "two.txt": "once more"})
    assert talk.said(commit, PULL).startswith("failure: 2 specs: 1 refused: one")
    talk.tell_comment(4, "/fiat run two")
    runs_end(talk, commit, 3)
    talk.runner.wait(lambda: talk.forge.world.states(commit, PULL)[-2:] == ["pending", "failure"], "the end")
    assert talk.description(commit, PULL).startswith("2 specs: 1 refused: one")
    body = {"repo": "acme/talk", "ref": commit, "specs": ["mistyped"]}
    assert talk.runner.post("/api/v1/trigger", body).status == 201
    talk.runner.wait(
        lambda: talk.forge.world.states(commit, PULL)[-4:] == ["pending", "failure"] * 2, "the end"
    )


def test_run_again_at_one_check_runs_that_spec_though_it_passed(talk: RepoStage) -> None:
    commit = talk.pushed({"one.txt": "at once", "two.txt": "at once"})
    assert talk.said(commit, PUSH).startswith("success: 2 specs")
    check = {"id": 8, "head_sha": commit, "name": f"{PUSH}/two", "completed_at": "x"}
    talk.tell("check_run", {"action": "rerequested", "check_run": check} | talk.place.who(MONA))
    assert runs_end(talk, commit, 3)[0] == "two"
    suite = {"id": 9, "head_sha": commit, "updated_at": "x"}
    talk.tell("check_suite", {"action": "rerequested", "check_suite": suite} | talk.place.who(MONA))
    assert sorted(runs_end(talk, commit, 5)[:2]) == ["one", "two"]
    talk.wait_text(commit, PUSH, "success: 2 specs: 2 passed")


def test_a_fork_is_approved_over_the_api_for_that_very_commit(runner: RunnerStage) -> None:
    gate = runner.others["acme/gate"]
    begun(gate, {"spec.yaml": tiny("1", code="'*.txt'"), "a.txt": "1"})
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
