"""Which commits run, which deploy, in which order, and what is said of those that do not."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.e2e.hook_words import ZEROS
from tests.e2e.repo_stage import MONA, RepoStage
from tests.e2e.runner_stage import RunnerStage, runner_stage
from tests.e2e.tiny_specs import add_models, deployed_factor, judged, tiny

pytestmark = pytest.mark.slow
PUSH, PULL = "fiat/push", "fiat/pr"
TWO_GATES = "  - {metric: rmse, max: 1000, severity: warn}\n  - {metric: rmse, min: 0.5}\n"
REPOS = ("acme/twins", "acme/heads", "acme/queue", "acme/many-30", "acme/many-40", "acme/group", "acme/seen")
HELD = "concurrency: {group: one-machine}\n"


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerStage]:
    with runner_stage(tmp_path_factory.mktemp("rules"), workers=2) as stage:
        for name in REPOS:
            stage.add(name)
        stage.add("acme/gates", gate_checks=True, branches=["main", "next"])
        stage.others["acme/heads"].entry |= {"branches": ["main", "next"], "tags": ["v*"]}
        stage.start()
        yield stage


def changes(repo: RepoStage, commit: str) -> list[str]:
    """What was said at last of each change of a commit, the newest first."""
    found = repo.runner.get(f"/api/v1/changes?repo={repo.name}&limit=100").body["items"]
    return [f"{one['state']} {one['reason']}" for one in found if one["commit"] == commit]


@pytest.fixture(scope="module")
def gates(runner: RunnerStage) -> RepoStage:
    """A model is deployed."""
    repo = runner.others["acme/gates"]
    add_models(repo.clone, 1)
    commit = repo.pushed({"specs/scale/spec.yaml": judged(1, 100)})
    assert repo.said(commit, PUSH).startswith("success"), runner.log
    assert deployed_factor(runner.shelf) == 1
    return repo


def test_a_target_that_is_not_granted_is_named_in_the_pull_request_and_deploys_nothing_after_the_merge(
    gates: RepoStage,
) -> None:
    spec = judged(1, 100) + "  cloud: {to: directory, path: models}\n"
    commit = gates.propose(1, {"specs/scale/spec.yaml": spec})
    rule = "target cloud is not granted to acme/gates"
    assert gates.said(commit, f"{PULL}/scale").startswith(f"success: passed with warnings: {rule}")
    said = "target cloud is not granted to `acme/gates`"
    gates.runner.wait(lambda: said in "".join(gates.forge.world.texts(1)), "the comment")
    assert "A merge as it is would deploy nothing." in gates.forge.world.texts(1)[0]
    assert gates.steps(commit)["deploy.cloud"] == "skipped"
    before = (gates.runner.folder / "shelf").stat().st_mtime_ns
    gates.run_git("merge", "-q", "--ff-only", "patch-1")
    gates.push("main")
    said = gates.said(commit, f"{PUSH}/scale")
    assert said.startswith("error")
    assert rule in said
    assert gates.steps(commit, "push")["deploy.shelf"] == "skipped"
    assert (gates.runner.folder / "shelf").stat().st_mtime_ns == before


def test_each_gate_has_a_check_of_its_own_where_that_is_asked_for(gates: RepoStage) -> None:
    commit = gates.pushed({"specs/scale/spec.yaml": judged(1, 100, gates=TWO_GATES)})
    assert gates.said(commit, f"{PUSH}/scale").startswith("failure: rmse ")
    assert gates.said(commit, f"{PUSH}/scale/rmse-2").startswith("failure: rmse")
    gates.all_told()
    assert gates.forge.world.contexts(commit) == {
        PUSH: "failure",
        f"{PUSH}/scale": "failure",
        f"{PUSH}/scale/mae": "success",
        f"{PUSH}/scale/rmse": "success",
        f"{PUSH}/scale/rmse-2": "failure",
    }


def test_a_branch_that_is_not_protected_is_judged_and_deploys_nothing(gates: RepoStage) -> None:
    before = deployed_factor(gates.runner.shelf)
    gates.run_git("checkout", "-q", "-B", "next", gates.run_git("rev-list", "--max-parents=0", "main"))
    commit = gates.commit({"specs/scale/spec.yaml": judged(1, 500)})
    gates.push("next")
    gates.run_git("checkout", "-q", "main")
    assert gates.said(commit, f"{PUSH}/scale").startswith("success: 1 gate passed")
    assert gates.steps(commit)["deploy.shelf"] == "skipped"
    assert deployed_factor(gates.runner.shelf) == before


def test_two_specs_of_one_name_the_second_is_refused_whichever_is_touched(runner: RunnerStage) -> None:
    twins = runner.others["acme/twins"]
    files = {"specs/a/spec.yaml": tiny("1", name="same"), "specs/b/spec.yaml": tiny("2", name="same")}
    first = twins.pushed(files)
    assert twins.said(first, f"{PUSH}/same").startswith("success")
    assert "the name `same` is that of specs/a/spec.yaml too" in twins.said(first, f"{PUSH}/same-2")
    assert twins.said(first, PUSH).startswith("failure")
    second = twins.pushed({"specs/b/spec.yaml": tiny("3", name="same")})
    assert twins.said(second, f"{PUSH}/same") == "success: no change"
    assert twins.said(second, f"{PUSH}/same-2").startswith("failure")
    mended = twins.pushed({"specs/b/spec.yaml": tiny("3", name="other")})
    assert twins.said(mended, PUSH).startswith("success: other: every step")


def test_a_signed_push_that_names_a_commit_of_a_pull_request_runs_and_deploys_nothing(
    gates: RepoStage,
) -> None:
    head = gates.remote_head("main")
    gates.run_git("checkout", "-q", "-B", "imposter", head)
    imposter = gates.commit({"specs/scale/spec.yaml": judged(1, 1000)}, "not on main")
    gates.run_git("push", "-q", gates.address, f"{imposter}:refs/pull/77/head")
    gates.run_git("checkout", "-q", "main")
    assert gates.tell_push("main", imposter, head).status == 202
    assert gates.said(imposter, PUSH) == "error: the commit is not on main"
    assert gates.runs_of(imposter) == []


def test_tags_run_where_they_are_watched_and_deleted_branches_start_nothing(runner: RunnerStage) -> None:
    heads = runner.others["acme/heads"]
    commit = heads.pushed({"spec.yaml": tiny("1")})
    assert heads.said(commit, PUSH).startswith("success")
    heads.run_git("tag", "-a", "-m", "a release", "v1")
    heads.run_git("tag", "draft")
    heads.run_git("push", "-q", heads.address, "v1", "draft")
    heads.tell_push("refs/tags/draft", commit)
    event, body = heads.place.push("refs/tags/v1", heads.run_git("rev-parse", "v1"), ZEROS, MONA)
    heads.tell(event, {**body, "head_commit": {"id": commit}})
    runner.wait(
        lambda: [run["ref"] for run in heads.runs_of(commit)][:1] == ["refs/tags/v1"], "a run of the tag"
    )
    assert len(heads.runs_of(commit)) == 2
    heads.run_git("checkout", "-q", "-B", "next")
    branch = heads.commit({"spec.yaml": tiny("2")})
    heads.push("next")
    assert heads.said(branch, PUSH).startswith("success")
    heads.run_git("push", "-q", heads.address, ":refs/heads/next")
    before = len(runner.runs())
    assert heads.tell_push("next", ZEROS, branch).status in (200, 202)
    heads.run_git("checkout", "-q", "main")
    last = heads.pushed({"spec.yaml": tiny("3")})
    assert heads.said(last, PUSH).startswith("success")
    assert len(runner.runs()) == before + 1


def test_a_push_back_to_an_older_commit_runs_it_again(runner: RunnerStage) -> None:
    heads = runner.others["acme/heads"]
    older = heads.pushed({"spec.yaml": tiny("older")})
    assert heads.said(older, PUSH).startswith("success")
    newer = heads.pushed({"spec.yaml": tiny("newer")})
    assert heads.said(newer, PUSH).startswith("success")
    heads.run_git("reset", "-q", "--hard", older)
    heads.push("main")
    runner.wait(lambda: len(heads.runs_of(older)) == 2, "another run of the older commit")
    runner.wait(lambda: heads.runs_of(older)[0]["state"] == "done", "its end")
    assert heads.steps(older) == {"a": "reused"}
    heads.wait_text(older, PUSH, "success")


def test_a_merge_queue_is_told_at_the_heads_that_it_asks_about_side_by_side(runner: RunnerStage) -> None:
    queue = runner.others["acme/queue"]
    first = queue.pushed({"spec.yaml": tiny("0")})
    assert queue.said(first, PUSH).startswith("success")
    heads = []
    for number in (1, 2):
        queue.run_git("checkout", "-q", "-B", f"queued-{number}")
        head = queue.commit(
            {"spec.yaml": tiny(str(number), run="sleep 1; echo {word} > {{out.o}}")}, f"entry {number}"
        )
        ref = f"refs/heads/gh-readonly-queue/main/pr-{number}-{first}"
        queue.run_git("push", "-q", queue.address, f"HEAD:{ref}")
        queue.tell_push(ref, head)
        group = {"head_sha": head, "head_ref": ref, "base_ref": "refs/heads/main", "base_sha": first}
        queue.tell(
            "merge_group", {"action": "checks_requested", "merge_group": group} | queue.place.who(MONA)
        )
        heads.append(head)
    for head in heads:
        assert queue.said(head, PULL).startswith("success"), queue.description(head, PULL)
        (run,) = queue.runs_of(head)
        assert run["cause"].startswith("merge queue by mona: entry")
    queue.all_told()
    assert queue.forge.world.contexts(heads[0]) == {PULL: "success", f"{PULL}/tiny": "success"}


@pytest.mark.parametrize(("n_specs", "n_told"), [(30, 30), (40, 1)])
def test_of_many_specs_one_runs_and_the_others_are_no_change_unless_there_are_too_many_to_say_so(
    runner: RunnerStage, n_specs: int, n_told: int
) -> None:
    many = runner.others[f"acme/many-{n_specs}"]
    pulls_only = "triggers: {pull_request: {}}\n"
    first = many.pushed(
        {f"specs/s{n}/spec.yaml": tiny(str(n), name=f"s{n}", head=pulls_only) for n in range(n_specs)}
    )
    assert many.said(first, PUSH) == "success: no change"
    touched = tiny(f"of {n_specs}", name="s7", head=pulls_only)
    commit = many.propose(1, {"specs/s7/spec.yaml": touched})
    assert many.runs_end(commit, 1) == ["s7"]
    runner.wait(lambda: changes(many, commit) == ["done s7: every step has its result"], "the end")
    # The forge is told one thing a second after the first twenty: what waits counts too.
    waiting = runner.get(f"/api/v1/letters?repo={many.name}&limit=100").body["items"]
    still = {letter["channel"].split()[-1] for letter in waiting if letter["about"] == commit}
    assert len(still.union(many.forge.world.contexts(commit))) == 1 + n_told
    others = [seen for seen in many.forge.world.seen if seen.context not in (PUSH, PULL, f"{PULL}/s7")]
    assert {seen.description for seen in others} <= {"no change"}


def overlap(runs: list[dict[str, str]]) -> bool:
    """Whether two of these runs were under way at the same time."""
    spans = sorted((run["started_at"], run["ended_at"]) for run in runs)
    return any(before[1] > after[0] for before, after in pairwise(spans))


def test_runs_of_one_group_never_run_side_by_side_and_others_do(runner: RunnerStage) -> None:
    group = runner.others["acme/group"]
    slow = "sleep 1; echo {word} > {{out.o}}"
    files = {f"specs/{name}/spec.yaml": tiny(name, name=name, run=slow, head=HELD) for name in ("a", "b")}
    held = group.pushed(files)
    assert group.said(held, PUSH).startswith("success: 2 specs")
    assert not overlap(group.runs_of(held))
    free = group.pushed(
        {path: text.replace(HELD, "").replace("sleep 1", "sleep 1.1") for path, text in files.items()}
    )
    assert group.said(free, PUSH).startswith("success: 2 specs")
    assert overlap(group.runs_of(free))


def test_a_newer_commit_ends_the_training_of_an_older_one_unless_the_group_says_otherwise(
    runner: RunnerStage,
) -> None:
    group = runner.others["acme/group"]
    slow = "sleep {word}; touch {{out.o}}"
    files = {
        "specs/a/spec.yaml": tiny("61.7", name="a", run=slow),
        "specs/b/spec.yaml": tiny("2", name="b", run=slow, head=HELD),
    }
    older = group.pushed(files)
    runner.wait(lambda: {run["state"] for run in group.runs_of(older)} == {"running"}, "both to run")
    newer = group.pushed(
        {path: text.replace("61.7", "0").replace("sleep 2", "sleep 0") for path, text in files.items()}
    )
    assert group.said(older, f"{PUSH}/a") == f"error: superseded by {newer[:10]}"
    assert group.said(older, f"{PUSH}/b").startswith("success")
    assert group.said(newer, PUSH).startswith("success: 2 specs")


def test_what_a_step_read_counts_for_its_own_repository_only(runner: RunnerStage) -> None:
    seen, twins = runner.others["acme/seen"], runner.others["acme/twins"]
    reads = "import pathlib\n\n\ndef see():\n    print(pathlib.Path('words.txt').read_text())\n"
    spec = 'fiat: 1\nname: reader\nsteps:\n  a: {call: "see:see"}\n'
    files = {"specs/reader/spec.yaml": spec, "see.py": reads, "words.txt": "one"}
    assert seen.said(seen.pushed(files), f"{PUSH}/reader").startswith("success")
    other = twins.pushed({"specs/reader/spec.yaml": tiny("reader", name="reader")})
    assert twins.said(other, f"{PUSH}/reader").startswith("success")
    changed = seen.pushed({"words.txt": "two"})
    assert seen.said(changed, f"{PUSH}/reader") == "success: every step has its result"
    assert seen.steps(changed) == {"a": "ran"}
    same = twins.pushed({**files, "specs/reader/spec.yaml": spec, "words.txt": "two"})
    assert twins.said(same, f"{PUSH}/reader").startswith("success")
    assert twins.steps(same) == {"a": "reused"}
    assert "two" in runner.step_log(seen.runs_of(changed)[0]["id"], "a")
    # A token may be for one repository only: what the same step printed in another one is not shown.
    assert (
        runner.step_log(next(run for run in twins.runs_of(same) if run["spec"] == "reader")["id"], "a") == ""
    )


def test_the_repository_of_the_higher_priority_has_its_turn_first(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with runner_stage(tmp_path_factory.mktemp("turns"), workers=1) as stage:
        high = stage.add("acme/high", priority=10)
        low = stage.add("acme/low", priority=-10)
        stage.start()
        busy = stage.pushed({"spec.yaml": tiny("1", run="sleep 2; touch {{out.o}}")})
        stage.wait(
            lambda: [run["state"] for run in stage.runs_of(busy)] == ["running"], "the worker to be busy"
        )
        later = low.pushed({"spec.yaml": tiny("low")})
        stage.wait(lambda: low.runs_of(later), "the low one to wait")
        sooner = high.pushed({"spec.yaml": tiny("high")})
        stage.wait(lambda: high.runs_of(sooner), "the high one to wait")
        assert stage.said(busy, PUSH).startswith("success")
        assert low.said(later, PUSH).startswith("success")
        assert high.said(sooner, PUSH).startswith("success")
        (one,), (other,) = high.runs_of(sooner), low.runs_of(later)
        assert one["started_at"] < other["started_at"]
        assert one["queued_at"] > other["queued_at"]


def test_nothing_of_all_this_was_a_bug(runner: RunnerStage) -> None:
    assert "a bug of Fiat" not in runner.log
    for repo in (runner, *runner.others.values()):
        repo.all_told()
        assert repo.forge.world.unfinished() == []
