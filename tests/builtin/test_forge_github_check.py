"""Check runs of a GitHub App: one of each, however often a reply is lost; annotations once each."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from fiat.builtin.forge_github import GithubForge
from fiat.errors import Stalled, Waiting
from fiat.run.report import Annotation, Check, CheckState, PullComment

sys.path.insert(0, str(Path(__file__).parent))
from forge_places import APP_ID, AppPlace
from forge_stage import BROKEN, HALF, LOST, Fault, ForgeStage, forge_stage

COMMIT = "ab" * 20
DAY_S = 86_400


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def place(key: rsa.RSAPrivateKey) -> Iterator[AppPlace]:
    with forge_stage("github") as stage:
        yield AppPlace(stage, key)


@pytest.fixture
def stage(place: AppPlace) -> ForgeStage:
    return place.stage


def forge_at(place: AppPlace, clock: Callable[[], float]) -> GithubForge:
    return GithubForge(place.stage.repo(app_id=APP_ID, app_key=place.pem), clock=clock)


def notes(count: int, word: str = "m") -> tuple[Annotation, ...]:
    return tuple(Annotation("spec.yaml", n, "failure", f"{word}{n}", f"t{n}") for n in range(1, count + 1))


def check(state: CheckState, **more: object) -> Check:
    return Check(COMMIT, "fiat/pr/x", state, "a text", "https://f.example/r", **more)  # type: ignore[arg-type]


def messages(stage: ForgeStage) -> list[str]:
    (run,) = stage.world.check_runs.values()
    return [note["message"] for note in run["annotations"]]


@pytest.mark.parametrize(
    ("report", "conclusion"),
    [
        (check("success"), "success"),
        (check("failure"), "failure"),
        (check("error"), "failure"),
        (check("error", cancelled=True), "cancelled"),
    ],
)
def test_a_check_run_starts_and_is_completed(place: AppPlace, report: Check, conclusion: str) -> None:
    forge = place.forge()
    memory = forge.send(check("pending"), "")
    (run,) = place.world.check_runs.values()
    assert (run["status"], run["conclusion"]) == ("in_progress", None)
    forge.send(report, memory)
    assert (run["status"], run["conclusion"]) == ("completed", conclusion)
    assert (run["name"], run["details_url"]) == ("fiat/pr/x", "https://f.example/r")
    assert len(place.world.check_runs) == 1


@pytest.mark.parametrize("fault", [LOST, HALF, BROKEN, Fault(502, done=True, cut=True)])
def test_a_lost_reply_makes_no_second_check_run(place: AppPlace, fault: Fault) -> None:
    place.stage.fail(fault, method="POST", path="check-runs")
    with pytest.raises(Waiting):
        place.forge().send(check("pending"), "")
    memory = place.forge().send(check("pending"), "")
    place.stage.fail(fault, method="PATCH", path="check-runs")
    with pytest.raises(Waiting):
        place.forge().send(check("success"), memory)
    place.forge().send(check("success"), memory)
    (run,) = place.world.check_runs.values()
    assert run["conclusion"] == "success"


@pytest.mark.parametrize("count", [1, 50, 51, 100, 137])
def test_annotations_go_out_fifty_at_a_time_and_once_each(place: AppPlace, count: int) -> None:
    place.forge().send(check("failure", annotations=notes(count)), "")
    assert messages(place.stage) == [f"m{n}" for n in range(1, count + 1)]
    memory = place.forge().send(check("failure", annotations=notes(count)), "")
    place.forge().send(check("failure", annotations=notes(count)), memory)
    assert len(messages(place.stage)) == count


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
@pytest.mark.parametrize("made_before", [False, True])
def test_annotations_whose_reply_was_lost_are_not_sent_again(
    place: AppPlace, lost: int, made_before: bool
) -> None:
    memory = place.forge().send(check("pending"), "") if made_before else ""
    n_writes = iter(range(100))
    place.stage.chance = lambda asked: (
        LOST
        if asked.method in ("POST", "PATCH") and "check-runs" in asked.path and next(n_writes) == lost
        else None
    )
    report = check("failure", annotations=notes(137))
    for _ in range(3):
        try:
            memory = place.forge().send(report, memory)
        except Waiting:
            continue
    assert messages(place.stage) == [f"m{n}" for n in range(1, 138)]


def test_other_annotations_are_added_to_those_that_are_there(place: AppPlace) -> None:
    forge = place.forge()
    memory = forge.send(check("pending", annotations=notes(60, "a")), "")
    memory = forge.send(check("pending", annotations=notes(60, "a")), memory)
    forge.send(check("failure", annotations=notes(60, "b")), memory)
    assert messages(place.stage) == [f"{word}{n}" for word in "ab" for n in range(1, 61)]


def test_texts_are_cut_to_githubs_limits(place: AppPlace) -> None:
    long = Annotation("s" * 9000, -3, "notice", "ü" * 70_000, "t" * 999)
    summary = "top\n```\n" + "line\n" * 20_000
    place.forge().send(check("failure", summary=summary, annotations=(long,)), "")
    (run,) = place.world.check_runs.values()
    (note,) = run["annotations"]
    assert len(note["message"].encode()) <= 64 * 1024
    assert len(note["title"]) <= 255
    assert (note["start_line"], note["end_line"]) == (1, 1)
    assert len(run["output"]["summary"]) <= 65_535
    assert run["output"]["summary"].startswith("top\n```\nline")
    assert run["output"]["title"] == "a text"


def test_a_check_that_runs_again_gets_a_run_of_its_own(place: AppPlace) -> None:
    forge = place.forge()
    memory = forge.send(check("failure"), forge.send(check("pending"), ""))
    place.stage.fail(LOST, method="POST", path="check-runs")
    with pytest.raises(Waiting):
        forge.send(check("pending"), memory)
    forge.send(check("success"), forge.send(check("pending"), memory))
    first, second = place.world.check_runs.values()
    assert (first["conclusion"], second["conclusion"]) == ("failure", "success")


def test_a_check_that_takes_two_weeks_is_replaced_before_github_gives_it_up(place: AppPlace) -> None:
    now_s = [1_750_000_000.0]
    forge = forge_at(place, lambda: now_s[0])
    memory = forge.send(check("pending"), "")
    now_s[0] += 12 * DAY_S
    memory = forge.send(check("pending"), memory)
    assert len(place.world.check_runs) == 1
    now_s[0] += 1.5 * DAY_S
    memory = forge.send(check("pending"), memory)
    memory = forge.send(check("pending"), memory)
    assert len(place.world.check_runs) == 2
    forge.send(check("success"), memory)
    assert [run["conclusion"] for run in place.world.check_runs.values()] == [None, "success"]


def test_a_check_run_of_another_app_is_left_alone(place: AppPlace) -> None:
    place.forge().send(check("pending"), "")
    (theirs,) = place.world.check_runs.values()
    theirs["app"] = {"id": 78, "slug": "other"}
    place.forge().send(check("success"), "")
    assert [run["conclusion"] for run in place.world.check_runs.values()] == [None, "success"]


def test_a_deleted_check_run_is_made_anew(place: AppPlace) -> None:
    forge = place.forge()
    memory = forge.send(check("pending"), "")
    place.world.check_runs.clear()
    forge.send(check("success"), memory)
    (run,) = place.world.check_runs.values()
    assert run["conclusion"] == "success"


@pytest.mark.parametrize(
    "memory", ["7", "null", "{}", "[]", '{"id": "x"}', "garbage", "note:1", json.dumps({"id": 1})]
)
def test_a_memory_of_another_kind_is_none(place: AppPlace, memory: str) -> None:
    place.forge().send(check("success"), memory)
    assert len(place.world.check_runs) == 1


def test_a_commit_that_is_not_there_yet_is_waited_for(place: AppPlace) -> None:
    place.world.commits = set()
    with pytest.raises(Waiting, match="No commit found"):
        place.forge().send(check("pending"), "")
    place.world.commits = {COMMIT}
    place.forge().send(check("pending"), "")
    assert place.world.last(COMMIT, "fiat/pr/x") == "pending"


@pytest.mark.parametrize("off_s", [-365 * DAY_S, -3600, 3600, 365 * DAY_S])
def test_an_app_works_with_a_clock_of_ours_that_is_wrong(place: AppPlace, off_s: float) -> None:
    forge = forge_at(place, lambda: time.time() + off_s)
    for _ in range(3):
        forge.send(check("success"), "")
    assert len(place.stage.asked("POST", "access_tokens")) == 1
    assert len(place.stage.asked("GET", "/installation$")) == 2


def test_an_installation_token_is_kept_and_a_refused_one_is_renewed(place: AppPlace) -> None:
    forge = place.forge()
    for _ in range(3):
        forge.send(PullComment(3, "<!-- m -->", "x"), "")
    assert len(place.stage.asked("POST", "access_tokens")) == 1
    assert len(place.stage.asked("GET", "/installation$")) == 1
    assert place.stage.asked("POST", "access_tokens")[0].body == {"repository_ids": [4711]}
    # By its own clock the token is over after an hour; GitHub may end it before.
    place.world.installation_tokens.clear()
    forge.send(PullComment(3, "<!-- m -->", "y"), "")
    assert len(place.stage.asked("POST", "access_tokens")) == 2
    assert place.world.texts(3) == ["<!-- m -->\ny"]


def test_an_installation_token_is_renewed_before_it_ends(place: AppPlace) -> None:
    now_s = [time.time()]
    forge = forge_at(place, lambda: now_s[0])
    for later_s, n_tokens in ((0, 1), (3000, 1), (330, 2)):
        now_s[0] += later_s
        forge.send(check("success"), "")
        assert len(place.world.installation_tokens) == n_tokens


def test_an_app_that_is_not_installed_or_has_a_bad_key_stalls(place: AppPlace) -> None:
    place.stage.fail(Fault(404, {"message": "Not Found"}), path="/installation$")
    with pytest.raises(Stalled, match="not installed for acme/models"):
        place.forge().send(check("pending"), "")
    broken = GithubForge(place.stage.repo(app_id=APP_ID, app_key="-----BEGIN NONSENSE-----\nsecret"))
    with pytest.raises(Stalled, match="private key of GitHub App 77") as caught:
        broken.send(check("pending"), "")
    assert "NONSENSE" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
