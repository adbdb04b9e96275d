"""Putting models on places: holds, approvals, the record, a rollout that goes back by itself, and mending what differs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fiat.engine.baseline import find_baseline
from fiat.engine.placing import ROLLOUT, Ground, Placer
from fiat.engine.policy import RepoPolicy
from fiat.engine.sight_marks import SightMarks
from fiat.engine.targets import DEEP_S, Targets
from fiat.engine.watched import Watched
from fiat.errors import EnvironmentFault
from fiat.ports.deploy import DeployRequest, Share, TargetState
from fiat.run.deployment import Deployment, Hold, Seen
from fiat.run.model import Release
from fiat.run.report import Check
from fiat.store.store import Store, open_store
from fiat.testing.sample_packages import make_package

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PLACE = "production:tiny"


@dataclass
class Stage:
    """A target that does what the test says, and remembers what it was asked."""

    name: str = "stage"
    version: str = "1"
    now: TargetState = field(default_factory=lambda: TargetState("absent"))
    applied: list[DeployRequest] = field(default_factory=list)
    laid_out: list[Mapping[str, str]] = field(default_factory=list)
    rolls: bool = False
    breaks: str = ""
    left: list[str] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def observe(self, request: DeployRequest) -> str | None:
        return None if self.now.faults else self.now.digest

    def apply(self, request: DeployRequest) -> None:
        if self.breaks:
            raise EnvironmentFault(self.breaks)
        self.applied.append(request)
        self.laid_out.append({name: path.read_text() for name, path in (request.inputs or {}).items()})
        assert (request.package / "model.onnx").is_file()
        phase = "rolling" if self.rolls and self.now.digest else "serving"
        self.now = TargetState(phase, request.digest, f"{phase} it", shares=(Share(request.digest, 100.0),))  # type: ignore[arg-type]

    def state(self, request: DeployRequest) -> TargetState:
        self.meanwhile()
        return self.now

    def leave(self, request: DeployRequest) -> bool:
        self.left.append(str(request.settings.get("path")))
        return True


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store", now=lambda: NOW, checkout=tmp_path) as opened:
        yield opened


@pytest.fixture
def digests(tmp_path: Path, store: Store) -> list[str]:
    return [
        store.artifacts.put(make_package(tmp_path / "packages", n).folder, move=False).digest for n in (1, 2)
    ]


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def placer(tmp_path: Path, store: Store, stage: Stage) -> Placer:
    return Placer(store, lambda kind: stage, lambda one: Ground(tmp_path), lambda: NOW)


def wanted(digest: str, commit: str = "c1", **more: Any) -> Deployment:
    return Deployment(
        place=PLACE,
        kind="stage",
        target="production",
        spec="tiny",
        model="tiny",
        digest=digest,
        commit=commit,
        run=more.pop("run", ""),
        generation=more.pop("generation", 0),
        cause="a test",
        began_at=NOW,
        **more,
    )


def test_what_is_put_there_is_remembered_and_put_there_once(
    placer: Placer, store: Store, stage: Stage, digests: list[str]
) -> None:
    sight, was_there = placer.place(wanted(digests[0]))
    assert (was_there, sight.drift, sight.deployment.state) == (False, (), "deployed")
    _, was_there = placer.place(wanted(digests[0], "c2"))
    assert was_there
    assert len(stage.applied) == len(store.deployments.newest()) == 1


def test_a_numbered_deploy_is_told_to_the_target_although_it_has_the_model(
    placer: Placer, stage: Stage, digests: list[str]
) -> None:
    placer.place(wanted(digests[0], run="r1", generation=1))
    _, was_there = placer.place(wanted(digests[0], run="r2", generation=2))
    assert was_there
    assert [request.generation for request in stage.applied] == [1, 2]


def test_a_target_that_can_not_take_it_leaves_what_stood_there_wanted(
    placer: Placer, store: Store, stage: Stage, digests: list[str]
) -> None:
    placer.place(wanted(digests[0]))
    stage.breaks = "the disk is full"
    with pytest.raises(EnvironmentFault, match="the disk is full"):
        placer.place(wanted(digests[1]))
    standing = store.deployments.wanted(PLACE)
    assert standing is not None
    assert standing.digest == digests[0]
    assert [one.state for one in store.deployments.newest()] == ["failed", "deployed"]


def test_a_rollout_that_goes_back_by_itself_holds_its_commit_until_a_newer_one_comes(
    placer: Placer, store: Store, stage: Stage, digests: list[str]
) -> None:
    placer.place(wanted(digests[0]))
    stage.rolls = True
    sight, _ = placer.place(wanted(digests[1], "c2", run="r2", generation=3))
    assert sight.under_way
    assert sight.deployment.state == "deploying"
    stage.now = TargetState(
        "serving", digests[0], refused=digests[1], refused_generation=3, reason="p95 is 80 ms, above 20 ms"
    )
    sight = placer.look(sight.deployment)
    assert (sight.deployment.state, sight.drift) == ("refused", ())
    assert [hold.who for hold in store.deployments.holds(PLACE)] == [ROLLOUT]
    assert "p95 is 80 ms" in placer.why_not(wanted(digests[1], "c2"))
    assert placer.why_not(wanted(digests[1], "c3")) == ""
    assert placer.why_not(wanted(digests[0], "c2")) == ""
    standing = store.deployments.wanted(PLACE)
    assert standing is not None
    assert standing.digest == digests[0]


def test_a_refused_model_is_no_champion_and_no_baseline(
    placer: Placer, store: Store, stage: Stage, digests: list[str]
) -> None:
    for number, digest in enumerate(digests, 1):
        release = Release(
            "tiny", "champion", "main", f"c{number}", f"r{number}", digest, f"{number}" * 64, NOW
        )
        store.releases.add(release)
    placer.place(wanted(digests[0]))
    stage.rolls = True
    sight, _ = placer.place(wanted(digests[1], "c2", run="r2", generation=3))
    stage.now = TargetState("serving", digests[0], refused=digests[1], refused_generation=3, reason="slower")
    placer.look(sight.deployment)
    assert store.registry.versions("tiny")[0].aliases == ("champion",)
    assert store.registry.alias_moves("tiny")[0].who == ROLLOUT
    baseline = find_baseline(store, "tiny", {"from": "main"}, "3" * 64)
    assert baseline.release is not None
    assert baseline.release.digest == digests[0]
    # Once it stands somewhere after all, it counts again.
    stage.rolls = False
    placer.place(wanted(digests[1], "c3", run="r3", generation=4))
    again = find_baseline(store, "tiny", {"from": "main"}, "3" * 64)
    assert again.release is not None
    assert again.release.digest == digests[1]


def test_an_alias_that_a_person_moved_stays(store: Store, digests: list[str]) -> None:
    store.releases.add(Release("tiny", "", "main", "c1", "r1", digests[0], "1" * 64, NOW))
    store.registry.move_alias("tiny", "best", digests[0], who="ada")
    assert store.registry.take_back("tiny", digests[0], who=ROLLOUT, reason="slower") == ()


def test_an_earlier_refusal_of_the_same_model_is_not_taken_for_this_ones(
    placer: Placer, stage: Stage, digests: list[str]
) -> None:
    placer.place(wanted(digests[0], run="r1", generation=1))
    stage.rolls = True
    sight, _ = placer.place(wanted(digests[1], "c3", run="r3", generation=3))
    stage.now = replace(stage.now, phase="rolling", refused=digests[1], refused_generation=2, reason="before")
    assert placer.look(sight.deployment).deployment.state == "deploying"


def test_what_somebody_holds_takes_nothing_and_what_needs_approval_waits_for_it(
    placer: Placer, store: Store, digests: list[str]
) -> None:
    store.deployments.hold(Hold(PLACE, "", "", "ada", "an incident", NOW))
    assert "held by ada: an incident" in placer.why_not(wanted(digests[0]))
    store.deployments.unhold(PLACE)
    assert placer.why_not(wanted(digests[0])) == ""
    asks = wanted(digests[0], settings={"approval": True})
    assert "waits for approval" in placer.why_not(asks)
    assert placer.why_not(replace(asks, approver="ada")) == ""
    placer.place(replace(asks, approver="ada"))
    assert placer.why_not(replace(asks, commit="c2")) == "", "the very model was agreed to"
    assert "waits for approval" in placer.why_not(replace(asks, digest=digests[1]))
    assert "waits for approval" in placer.why_not(replace(asks, settings={"approval": True, "port": 1}))
    placer.place(replace(asks, run="r2", generation=2))
    standing = store.deployments.wanted(PLACE)
    assert standing is not None
    assert (standing.run, standing.approver) == ("r2", "ada")


def test_what_runs_at_the_old_path_ends_when_a_place_moves(
    placer: Placer, stage: Stage, digests: list[str]
) -> None:
    placer.place(wanted(digests[0], settings={"path": "a", "port": 8080}))
    placer.place(wanted(digests[1], settings={"path": "a", "port": 8081}))
    assert stage.left == []
    placer.place(wanted(digests[1], settings={"path": "b", "port": 8082}))
    assert stage.left == ["a"]
    placer.place(wanted(digests[0], settings={"path": "c", "port": 8082}))
    assert stage.left == ["a", "b", "b"]  # before, since both want one port, and after


def test_datasets_that_a_target_reads_are_laid_out_for_it(
    placer: Placer, store: Store, stage: Stage, digests: list[str], tmp_path: Path
) -> None:
    (tmp_path / "rows").write_text("1,2\n")
    rows = store.artifacts.put(tmp_path / "rows", move=False)
    placer.place(wanted(digests[0], settings={"inputs": {"new": rows.digest}}))
    assert stage.laid_out == [{"new": "1,2\n"}]
    assert stage.applied[0].settings["inputs"] == {"new": rows.digest}


# Reconciling on a runner.


@dataclass
class Shop:
    """One repository's places, with a clock, and what was told."""

    targets: Targets
    watched: Watched
    seconds: list[float]
    seen: list[str]

    def look(self) -> None:
        self.targets.look(self.watched)


@pytest.fixture
def shop(store: Store, placer: Placer) -> Shop:
    seconds, seen = [0.0], list[str]()

    def words(
        repo: str, deployment: Deployment, state: TargetState, drift: Sequence[str]
    ) -> tuple[Check, ...]:
        said = deployment.reason if deployment.state == "refused" else "; ".join(drift) or state.sentence
        return (Check(deployment.commit, "fiat/deploy/tiny/production", "pending", said),)

    watched = cast(
        Watched, SimpleNamespace(policy=RepoPolicy("acme/m", "github", targets={"production": Path()}))
    )
    targets = Targets(
        store,
        lambda _: placer,
        words,
        lambda _, one: seen.append(one.digest),
        lambda: seconds[0],
        lambda text: None,
    )
    return Shop(targets, watched, seconds, seen)


def told(store: Store) -> list[str]:
    """What is on its way to the forge."""
    return [item.report.description for item in store.outbox.due() if isinstance(item.report, Check)]


def put(placer: Placer, digest: str, commit: str, generation: int) -> Deployment:
    named = replace(
        wanted(digest, commit, run=f"r{generation}", generation=generation), place="acme/m:production:tiny"
    )
    return placer.place(named)[0].deployment


def test_a_place_that_is_as_it_should_be_is_watched_and_says_nothing(
    shop: Shop, placer: Placer, store: Store, digests: list[str]
) -> None:
    put(placer, digests[0], "c1", 1)
    shop.look()
    shop.look()
    assert shop.seen == [digests[0]] * 2
    assert told(store) == []


def test_each_step_of_a_rollout_and_its_end_are_told_once(
    shop: Shop, placer: Placer, store: Store, stage: Stage, digests: list[str]
) -> None:
    put(placer, digests[0], "c1", 1)
    shop.look()
    stage.rolls = True
    put(placer, digests[1], "c2", 2)
    stage.now = replace(stage.now, sentence="10 % for 2 min")
    shop.look()
    shop.look()
    assert told(store) == ["10 % for 2 min"]
    stage.now = replace(stage.now, sentence="50 % for 2 min")
    shop.look()
    assert told(store) == ["50 % for 2 min"]  # the outbox keeps the newest that was not sent
    stage.now = TargetState(
        "serving", digests[0], "", refused=digests[1], refused_generation=2, reason="slower"
    )
    shop.look()
    assert told(store) == ["slower"]
    assert shop.seen == [digests[0]]
    for item in store.outbox.due():
        store.outbox.sent(item.id)
    shop.look()
    shop.look()
    assert told(store) == []
    assert len(stage.applied) == 2


def test_what_differs_is_mended_by_bringing_the_same_model_there_again(
    shop: Shop, placer: Placer, stage: Stage, digests: list[str]
) -> None:
    put(placer, digests[0], "c1", 1)
    stage.now = replace(stage.now, phase="broken", faults=("the server's process is gone",))
    shop.look()
    assert stage.now.phase == "serving"
    assert [request.generation for request in stage.applied] == [1, 1]


def test_what_a_run_changes_while_it_is_looked_at_is_neither_mended_nor_told(
    shop: Shop, placer: Placer, store: Store, stage: Stage, digests: list[str]
) -> None:
    place = put(placer, digests[0], "c1", 1).place

    def another_run_deploys() -> None:
        stage.meanwhile = lambda: None
        put(placer, digests[1], "c2", 2)

    stage.meanwhile = another_run_deploys
    shop.look()
    assert [request.generation for request in stage.applied] == [1, 2]
    assert told(store) == []
    standing = store.deployments.wanted(place)
    assert standing is not None
    assert standing.digest == digests[1]
    stage.now = replace(stage.now, phase="broken", faults=("its process is gone",))
    stage.breaks = "no room"
    shop.look()
    assert told(store) == ["no room"]


def test_what_must_not_be_healed_or_is_held_is_only_told(
    shop: Shop, placer: Placer, store: Store, stage: Stage, digests: list[str]
) -> None:
    place = put(placer, digests[0], "c1", 1).place
    store.deployments.hold(Hold(place, "", "", "ada", "an incident", NOW))
    stage.now = replace(stage.now, phase="broken", faults=("model.onnx was changed",))
    shop.look()
    assert len(stage.applied) == 1
    store.deployments.unhold(place)
    shop.look()
    assert len(stage.applied) == 2


def test_a_change_that_a_quick_look_does_not_see_is_found_within_ten_minutes(
    shop: Shop, placer: Placer, stage: Stage, digests: list[str]
) -> None:
    put(placer, digests[0], "c1", 1)
    shop.look()
    healthy = stage.now
    stage.observe = lambda request: digests[0]  # type: ignore[method-assign]  # sizes are as they were
    stage.now = replace(healthy, phase="broken", faults=("model.onnx was changed",))
    shop.look()
    assert len(stage.applied) == 1
    shop.seconds[0] = DEEP_S
    shop.look()
    assert len(stage.applied) == 2


def test_other_settings_reach_a_place_that_has_the_model_already(
    placer: Placer, store: Store, stage: Stage, digests: list[str]
) -> None:
    placer.place(wanted(digests[0], settings={"port": 8080}))
    placer.place(wanted(digests[0], settings={"port": 8081}))
    assert [request.settings["port"] for request in stage.applied] == [8080, 8081]
    standing = store.deployments.wanted(PLACE)
    assert standing is not None
    assert standing.settings == {"port": 8081}
    assert not placer.asked_otherwise(wanted(digests[0], settings={"port": 8081}))
    assert placer.asked_otherwise(wanted(digests[0], settings={"port": 8081, "signed": True}))


def test_a_rollout_that_nobody_watched_to_its_end_is_known_to_have_ended_when_the_next_begins(
    placer: Placer, store: Store, stage: Stage, digests: list[str]
) -> None:
    placer.place(wanted(digests[0]))
    stage.rolls = True
    placer.place(wanted(digests[1], "c2"))
    stage.now = TargetState("serving", digests[1], "has all traffic")
    placer.place(wanted(digests[0], "c3"))
    assert [one.state for one in store.deployments.newest()] == ["deploying", "deployed", "deployed"]


def test_what_was_seen_last_is_kept_with_the_time_since_when_it_is_so(
    shop: Shop, tmp_path: Path, store: Store, stage: Stage, digests: list[str]
) -> None:
    times = [NOW]
    placer = Placer(store, lambda kind: stage, lambda one: Ground(tmp_path), lambda: times[0])
    shop.targets.placer = lambda _: placer
    sights = SightMarks(store)
    first = put(placer, digests[0], "c1", 1)
    assert sights.of(first.place) is None
    shop.look()
    before = sights.of(first.place)
    assert before == Seen(first.sequence, "serving", "serving it", "", (), NOW)
    times[0] = NOW + timedelta(hours=1)
    shop.seconds[0] = DEEP_S
    shop.look()
    assert sights.of(first.place) == before
    stage.breaks = "the disk is full"
    stage.now = replace(stage.now, phase="broken", faults=("model.onnx was changed",))
    shop.look()
    assert sights.of(first.place) == Seen(first.sequence, "broken", "", "", ("the disk is full",), times[0])


def test_a_place_that_got_another_model_is_looked_at_in_earnest_at_once(
    shop: Shop, placer: Placer, store: Store, digests: list[str]
) -> None:
    put(placer, digests[0], "c1", 1)
    shop.look()
    second = put(placer, digests[1], "c2", 2)
    shop.look()
    seen = SightMarks(store).of(second.place)
    assert seen is not None
    assert seen.sequence == second.sequence
    assert told(store) == []
