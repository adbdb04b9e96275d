"""Faults of a forge over real HTTP become waiting or stalling, and pages stay with the forge."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.builtin.forge_github import GithubForge
from fiat.builtin.http_client import HttpClient, HttpPolicy
from fiat.errors import EnvironmentFault, FiatError, Stalled, Waiting
from fiat.ports.forge import Credential, ForgeRepo
from fiat.run.report import Check, PullComment

sys.path.insert(0, str(Path(__file__).parent))
from forge_places import StagePlace
from forge_stage import (
    BROKEN,
    FORBIDDEN,
    HALF,
    INVALID,
    LOST,
    NOT_THERE,
    NOTHING,
    REFUSED,
    SECONDARY,
    UNAVAILABLE,
    Fault,
    ForgeStage,
    busy,
    exhausted,
    forge_stage,
    slow,
)

COMMIT = "ab" * 20
CHECK = Check(COMMIT, "fiat/push", "success", "passed")


@pytest.fixture
def stage() -> Iterator[ForgeStage]:
    with forge_stage("github") as found:
        yield found


def meets(stage: ForgeStage, fault: Fault) -> FiatError:
    stage.fail(fault)
    with pytest.raises(FiatError) as caught:
        GithubForge(stage.repo()).send(CHECK, "")
    stage.heal()
    assert stage.world.token not in f"{caught.value!r} {caught.value.__cause__!r}"
    return caught.value


@pytest.mark.parametrize(
    ("fault", "retry_after_s"),
    [
        (BROKEN, None),
        (UNAVAILABLE, None),
        (Fault(599), None),
        (NOTHING, None),
        (LOST, None),
        (HALF, None),
        (NOT_THERE, None),
        (Fault(404, None, {"Content-Type": "text/html"}), None),
        (Fault(409, {"message": "conflict"}), None),
        (Fault(200, "a proxy's page", {"Content-Type": "text/html"}), None),
        (Fault(200, None), None),
        (Fault(422, {"message": f"No commit found for SHA: {COMMIT}"}), None),
        (Fault(503, None, {"Retry-After": "7"}), 7.0),
        (busy(77), 77.0),
        (busy(77, 429), 77.0),
        (Fault(429), 60.0),
        (SECONDARY, 60.0),
    ],
)
def test_what_may_pass_by_itself_is_waited_for(
    stage: ForgeStage, fault: Fault, retry_after_s: float | None
) -> None:
    error = meets(stage, fault)
    assert isinstance(error, Waiting)
    assert error.retry_after_s == retry_after_s
    GithubForge(stage.repo()).send(CHECK, "")
    assert stage.world.last(COMMIT, "fiat/push") == "success"


def test_no_requests_left_is_waited_for_until_there_are(stage: ForgeStage) -> None:
    error = meets(stage, exhausted(500))
    assert isinstance(error, Waiting)
    assert error.retry_after_s is not None
    assert 495 <= error.retry_after_s <= 500


@pytest.mark.parametrize(
    "fault", [REFUSED, FORBIDDEN, INVALID, Fault(410), Fault(451), Fault(400), Fault(422, "html")]
)
def test_what_somebody_must_mend_stalls(stage: ForgeStage, fault: Fault) -> None:
    error = meets(stage, fault)
    assert isinstance(error, Stalled)
    assert f"answers {fault.status} to POST /repos/acme/models/statuses/{COMMIT}" in error.message


def test_a_status_too_many_is_told_in_githubs_words(stage: ForgeStage) -> None:
    forge = GithubForge(stage.repo())
    for _ in range(3):
        forge.send(CHECK, "")
    seen = stage.world.seen[0]
    stage.world.seen.extend([seen] * 997)
    with pytest.raises(Stalled, match="maximum number of statuses"):
        forge.send(CHECK, "")


def test_a_late_answer_is_taken_and_one_that_never_comes_is_given_up(stage: ForgeStage) -> None:
    stage.fail(slow(0.3))
    GithubForge(stage.repo()).send(CHECK, "")

    def hasty(policy: HttpPolicy) -> HttpClient:
        return HttpClient(HttpPolicy(policy.allow_private_hosts, timeout_s=0.2, idle_timeout_s=0.2))

    stage.fail(slow(1.0))
    with pytest.raises(Waiting, match="did not answer POST"):
        GithubForge(stage.repo(), make_client=hasty).send(CHECK, "")


def test_a_forge_that_is_not_there_is_waited_for() -> None:
    with forge_stage("github") as stage:
        repo = stage.repo()
    with pytest.raises(Waiting, match="did not answer"):
        GithubForge(repo).send(CHECK, "")


def test_a_name_that_can_not_be_resolved_is_waited_for() -> None:
    def lost(host: str, port: int) -> list[str]:
        raise EnvironmentFault(f"{host} can't be resolved")

    repo = ForgeRepo("acme/models", "1", "https://api.example", Credential(token="t"))
    with pytest.raises(Waiting, match=r"api\.example can't be resolved"):
        GithubForge(repo, make_client=lambda policy: HttpClient(policy, resolve=lost)).send(CHECK, "")


@pytest.mark.parametrize(
    "api", ["http://127.0.0.1:1", "http://169.254.169.254", "file:///etc", "", "http://[::1]/x"]
)
def test_an_address_that_is_not_allowed_stalls(api: str) -> None:
    repo = ForgeRepo("acme/models", "1", api, Credential(token="t"))
    with pytest.raises(Stalled, match="GitHub is not asked"):
        GithubForge(repo).send(CHECK, "")


def test_a_malformed_credential_stalls_and_is_not_shown(stage: ForgeStage) -> None:
    with pytest.raises(Stalled, match="the header Authorization") as caught:
        GithubForge(stage.repo(token="very-secret\n")).send(CHECK, "")
    assert "very-secret" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert stage.requests == []


def test_hostile_words_of_a_forge_are_one_short_line(stage: ForgeStage) -> None:
    error = meets(stage, Fault(422, {"message": "no\n\x1b[31m" + "w" * 5000}))
    assert "\n" not in error.message
    assert "\x1b" not in error.message
    assert len(error.message) < 400


def test_a_next_page_at_another_host_is_not_followed(stage: ForgeStage) -> None:
    place = StagePlace(stage)
    for number in range(1, 150):
        place.open_pull(number, COMMIT, 4711)
    for elsewhere in (
        "http://127.0.0.1:1/x",
        "http://169.254.169.254/x",
        "//evil.example/x",
        "file:///etc/passwd",
    ):
        stage.world.next_page = lambda url, elsewhere=elsewhere: elsewhere
        with pytest.raises(Stalled, match="another address"):
            GithubForge(stage.repo()).pulls()
    asked = {asked.headers["host"] for asked, _ in stage.requests}
    assert asked == {f"127.0.0.1:{stage.port}"}


def test_pages_that_never_end_do(stage: ForgeStage) -> None:
    place = StagePlace(stage)
    place.open_pull(1, COMMIT, 4711)
    place.open_pull(2, COMMIT, 4711)
    stage.world.page_size = 1
    stage.world.next_page = lambda url: url.replace("page=2", "page=1").replace("page=3", "page=1")
    assert len(GithubForge(stage.repo()).pulls()) == 100


def test_a_redirect_to_another_host_gets_no_credential(stage: ForgeStage) -> None:
    with forge_stage("github") as other:
        for status in (301, 302, 307, 308):
            stage.fail(Fault(status, None, {"Location": f"http://localhost:{other.port}/x"}), times=2)
            forge = GithubForge(stage.repo())
            with pytest.raises(Stalled):
                forge.pulls()
            with pytest.raises(Stalled):
                forge.send(CHECK, "")
        assert other.requests == []


def test_a_repository_that_moved_is_followed_on_the_same_host(stage: ForgeStage) -> None:
    target = f"/repos/acme/models/statuses/{COMMIT}"
    repo = stage.repo()
    moved = ForgeRepo("acme/old", repo.id, repo.api, repo.credential, allow_private_hosts=True)
    stage.fail(Fault(307, None, {"Location": target}), path="/old/")
    GithubForge(moved).send(CHECK, "")
    assert stage.world.last(COMMIT, "fiat/push") == "success"


def test_what_did_not_change_costs_nothing_to_ask_again(stage: ForgeStage) -> None:
    place = StagePlace(stage)
    for number in range(1, 151):
        place.open_pull(number, COMMIT, 4711)
    forge = GithubForge(stage.repo())
    assert forge.remaining is None
    first = forge.pulls()
    left = forge.remaining
    assert forge.pulls() == first
    assert [status for _, status in stage.requests] == [200, 200, 304, 304]
    assert (forge.remaining, forge.limit) == (left, 5000)
    place.open_pull(151, COMMIT, 4711)
    assert len(forge.pulls()) == 151


def test_a_repository_without_an_owner_is_an_error_of_the_settings(stage: ForgeStage) -> None:
    for name in ("models", "", "/", "acme/", "../x"):
        with pytest.raises(FiatError, match="no name of a repository"):
            GithubForge(ForgeRepo(name, "", stage.url, Credential()))


def test_an_hour_of_failures_ends_in_the_right_state(stage: ForgeStage) -> None:
    forge, memory = GithubForge(stage.repo()), {"check": "", "comment": ""}
    faults = [BROKEN, LOST, HALF, NOTHING, busy(5), NOT_THERE, SECONDARY]
    for round_number, state in enumerate(["pending"] * 20 + ["failure"]):
        reports = {
            "check": Check(COMMIT, "fiat/push", state, f"round {round_number}"),  # type: ignore[arg-type]
            "comment": PullComment(3, "<!-- m -->", f"round {round_number}"),
        }
        for name, report in reports.items():
            for fault in faults[round_number % 7 :]:
                stage.fail(fault, method="P")
                with pytest.raises(Waiting):
                    forge.send(report, memory[name])
                stage.heal()
            memory[name] = forge.send(report, memory[name])
    assert stage.world.last(COMMIT, "fiat/push") == "failure"
    assert stage.world.taken_back() == []
    assert stage.world.texts(3) == ["<!-- m -->\nround 20"]
