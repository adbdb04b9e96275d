"""Release and deploy: in which order, at most once, only where granted, and only what was judged."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.builtin.deploy_directory import DirectoryTarget
from fiat.engine.decide import Decided
from fiat.engine.placing import Ground
from fiat.engine.release import Releaser
from fiat.engine.silent import SilentReporter
from fiat.engine.walk import Walk
from fiat.errors import Fenced, Stalled
from fiat.model.package import damaged_files
from fiat.plan.model import Plan, Ref, Step
from fiat.ports.deploy import DeployRequest
from fiat.run.model import Artifact, GateResult, Result, Run, StepResult
from fiat.store.fence import Fence
from fiat.store.store import Store, open_store
from fiat.testing.moments import killed_at
from fiat.testing.sample_packages import make_package

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PACKAGE = Ref("package", "package")
PACKAGES = Artifact("", 0, 6)


def deploy_step(name: str, path: str = "models") -> Step:
    params = {"to": "directory", "path": path}
    return Step(f"deploy.{name}", "deploy", params, {"package": PACKAGE}, key=f"deploy.{name}")


@dataclass
class Watched(DirectoryTarget):
    """The real target; what is done before and after is told."""

    before: Callable[[DeployRequest], None] = lambda request: None
    after: Callable[[DeployRequest], None] = lambda request: None
    asked: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(lock_wait_s=0.05)

    def apply(self, request: DeployRequest) -> None:
        self.asked.append((request.target, request.generation))
        self.before(request)
        super().apply(request)
        self.after(request)


@dataclass
class Shop:
    """A store with packages 1, 2 and 3, and targets below a folder of their own."""

    base: Path
    digests: list[str]
    target: Watched = field(default_factory=Watched)
    names: tuple[str, ...] = ("shelf",)

    @property
    def root(self) -> Path:
        return self.base / "targets"

    def open(self, fence: Fence | None = None) -> Store:
        return open_store(self.base / "store", now=lambda: NOW, checkout=self.base, fence=fence)

    def judge(
        self, store: Store, number: int, run_id: str = "r1", *, gates: str = "", **hooks: object
    ) -> Run:
        """Judge a run whose package is that one."""
        steps = [Step("export", "export"), Step("gates", "gates"), Step("package", "package")]
        plan = Plan("t", ".", "d", (*steps, *(deploy_step(name) for name in self.names)))
        walk = Walk(plan, None, lambda _: None, lambda _: None)  # type: ignore[arg-type, return-value]  # not walked
        artifact = replace(PACKAGES, digest=self.digests[number - 1])
        walk.settle(StepResult("export", "export", "reused"), None)
        walk.settle(StepResult("gates", "gates", "reused"), None)
        walk.settle(StepResult("package", "package", "reused", outputs={"package": artifact}), None)
        walk.decided["export"] = Decided(steps[0], {}, {}, f"{number}" * 64, None, ())
        releaser = Releaser(
            store=store,
            plan=plan,
            model="tiny",
            alias="champion",
            target=lambda kind: self.target,
            ground=lambda target: Ground(self.root, confined=True),
            reporter=SilentReporter(),
            now=lambda: NOW,
        )
        if gates:
            (self.base / "gates").write_text(
                json.dumps({"gates": [{"name": "accuracy >= 0.9", "state": gates, "reason": "it is 0.8"}]})
            )
            found = store.artifacts.put(self.base / "gates", move=False)
            walk.settle(StepResult("gates", "gates", "reused", outputs={"gates": found}), None)
        return replace(releaser, **hooks).judge(new_run(run_id), walk)  # type: ignore[arg-type]

    def served(self) -> int | None:
        """Which package people see, None for none; it must be whole."""
        link = self.root / "models" / "tiny"
        if not link.exists():
            return None
        assert damaged_files(link) == []
        return self.digests.index(link.readlink().name.partition("+")[0]) + 1

    def releases(self) -> list[tuple[str, int]]:
        """Run and package of each release, the oldest first."""
        with self.open() as store:
            found = store.releases.newest("tiny")
        return [(release.run, self.digests.index(release.digest) + 1) for release in reversed(found)]


def new_run(run_id: str) -> Run:
    return Run(
        id=run_id,
        spec="t",
        spec_path="spec.yaml",
        spec_digest="",
        plan_digest="",
        commit="c" * 40,
        branch="main",
        dirty=False,
        overrides=(),
        config={},
        state="running",
        verdict=None,
        reason="",
        started_at=NOW,
    )


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    (tmp_path / "targets").mkdir()
    (tmp_path / "checkout").mkdir()
    found = Shop(tmp_path, [])
    with found.open() as store:
        for number in (1, 2, 3):
            made = make_package(tmp_path / "made", number)
            kept = store.artifacts.put(made.folder)
            assert kept.digest == made.digest
            found.digests.append(kept.digest)
    return found


def states(run: Run) -> dict[str, str]:
    return {step.name: step.state for step in run.steps if step.kind == "deploy"}


def at(number: int) -> Callable[[str], int]:
    return lambda target: number


def test_the_release_is_written_before_a_target_changes_and_deploying_begins_before_both(shop: Shop) -> None:
    heard: list[str] = []
    with shop.open() as store:
        shop.target.before = lambda request: heard.append(f"apply {len(store.releases.newest('tiny'))}")
        begin = lambda: heard.append(f"begin {len(store.releases.newest('tiny'))}")  # noqa: E731
        run = shop.judge(store, 1, begin_deploy=begin, generation=at(1))
    assert heard == ["begin 0", "apply 1"]
    assert (run.verdict, states(run), shop.served()) == ("pass", {"deploy.shelf": "ran"}, 1)
    assert not list((shop.base / "checkout").iterdir())
    assert not [path for path in (shop.base / "store" / "work").rglob("*") if path.name == "package"]


def test_what_stops_the_deploy_stops_the_release(shop: Shop) -> None:
    def stop() -> None:
        raise Stalled("cancelled by somebody")

    with shop.open() as store, pytest.raises(Stalled, match="cancelled by somebody"):
        shop.judge(store, 1, begin_deploy=stop)
    assert (shop.releases(), shop.served(), shop.target.asked) == ([], None, [])


def test_a_run_that_was_taken_over_releases_and_deploys_nothing(shop: Shop) -> None:
    with shop.open(Fence("r1", 7)) as store, pytest.raises(Fenced):  # the queue knows of no such claim
        shop.judge(store, 1, generation=at(1))
    assert (shop.releases(), shop.served(), shop.target.asked) == ([], None, [])


def test_a_target_that_finds_the_run_taken_over_ends_it(shop: Shop) -> None:
    def fence(request: DeployRequest) -> None:
        raise Fenced("taken over")

    shop.target.before = fence
    with shop.open() as store, pytest.raises(Fenced):
        shop.judge(store, 1, generation=at(1))


@pytest.mark.slow
def test_killed_at_any_moment_the_same_run_ends_with_one_release_and_one_deploy(shop: Shop) -> None:
    with shop.open() as store:
        shop.judge(store, 3, "r0", generation=at(1))
    generation, moment, before = 1, 0, [("r0", 3)]

    def work() -> None:
        with shop.open() as store:
            shop.judge(store, number, run_id, generation=at(generation))

    ending = "killed"
    while ending == "killed":
        moment += 2
        number = 1 + moment // 2 % 2
        generation, run_id = generation + 1, f"r{moment}"
        ending = killed_at(work, moment)
        assert shop.served() in (3, 1, 2)
        if shop.served() == number and number != before[-1][1]:
            assert shop.releases()[-1] == (run_id, number), "deployed, and no release tells of it"
        work()
        expected = [*before, (run_id, number)] if before[-1][1] != number else before
        assert (shop.served(), shop.releases()) == (number, expected), f"killed at step {moment}"
        before = expected
    assert ending == "done"
    assert moment > 60


def test_the_way_back_is_a_new_generation_of_the_earlier_package(shop: Shop) -> None:
    with shop.open() as store:
        for generation, number in enumerate((1, 2, 1), start=1):
            run = shop.judge(store, number, f"r{generation}", generation=at(generation))
            assert (run.verdict, states(run)["deploy.shelf"], shop.served()) == ("pass", "ran", number)
    assert shop.releases() == [("r1", 1), ("r2", 2), ("r3", 1)]


def test_a_run_that_is_older_than_what_is_there_says_so_and_changes_nothing(shop: Shop) -> None:
    with shop.open() as store:
        shop.judge(store, 2, "newer", generation=at(5))
        late = shop.judge(store, 1, "older", generation=at(4))
    assert (late.verdict, states(late), shop.served()) == ("error", {"deploy.shelf": "failed"}, 2)
    assert "took generation 5 already, this is generation 4" in late.reason


def test_a_target_that_has_the_model_still_learns_the_generation(shop: Shop) -> None:
    with shop.open() as store:
        shop.judge(store, 1, "first", generation=at(1))
        again = shop.judge(store, 1, "again", generation=at(3))
        assert states(again) == {"deploy.shelf": "reused"}
        late = shop.judge(store, 2, "woken", generation=at(2))
    assert (states(late), shop.served()) == ({"deploy.shelf": "failed"}, 1)


def test_at_a_desk_a_target_that_has_the_model_is_left_alone(shop: Shop) -> None:
    with shop.open() as store:
        shop.judge(store, 1)
        again = shop.judge(store, 1, "again")
    assert (states(again), shop.target.asked) == ({"deploy.shelf": "reused"}, [("shelf", 0)])
    assert shop.releases() == [("r1", 1)]


# What is granted.


def deny(step: Step) -> str | None:
    name = step.name.removeprefix("deploy.")
    return None if name == "shelf" else f"target {name} is not granted to acme/models"


def test_a_target_that_is_not_granted_fails_its_step_and_nothing_is_deployed(shop: Shop) -> None:
    shop.names = ("shelf", "production")
    begun: list[int] = []
    with shop.open() as store:
        run = shop.judge(store, 1, grant=deny, generation=at(1), begin_deploy=lambda: begun.append(1))
    assert run.verdict == "error"
    assert "target production is not granted to acme/models" in run.reason
    assert states(run) == {"deploy.shelf": "skipped", "deploy.production": "failed"}
    assert (shop.releases(), shop.served(), shop.target.asked, begun) == ([], None, [], [])
    reason = next(step.reason for step in run.steps if step.name == "deploy.shelf")
    assert reason == "nothing is deployed, because deploy.production is not granted"


def test_a_run_that_only_judges_tells_of_a_target_that_is_not_granted(shop: Shop) -> None:
    shop.names = ("shelf", "production")
    with shop.open() as store:
        run = shop.judge(store, 1, grant=deny, dry=True)
        assert (run.verdict, run.reason) == ("warn", "target production is not granted to acme/models")
        assert states(run) == {"deploy.shelf": "skipped", "deploy.production": "skipped"}
        refused = shop.judge(store, 1, grant=deny, gates="fail")
        assert (refused.verdict, states(refused)["deploy.production"]) == ("fail", "skipped")
    assert (shop.releases(), shop.served()) == ([], None)


def test_a_refused_gate_releases_and_deploys_nothing(shop: Shop) -> None:
    with shop.open() as store:
        run = shop.judge(store, 1, gates="fail", generation=at(1))
    assert (run.verdict, states(run)) == ("fail", {"deploy.shelf": "skipped"})
    assert (shop.releases(), shop.served(), shop.target.asked) == ([], None, [])


# What was judged.


def test_gates_are_told_in_the_specs_order_whichever_step_judged_them(shop: Shop) -> None:
    told = {
        f"gates[{place}]": GateResult(f"g{place}", "pass", "", key=f"gates[{place}]") for place in range(3)
    }
    data = GateResult("data d", "pass", "", key="data.d.checks[0]")
    names = ("check.d", "gates", "gates.1", "package")
    plan = Plan("t", ".", "d", tuple(Step(name, name.partition(".")[0]) for name in names))
    walk = Walk(plan, None, lambda _: None, lambda _: None)  # type: ignore[arg-type, return-value]  # not walked
    with shop.open() as store:
        judged = [asdict(told[key]) for key in ("gates[0]", "gates[2]")]
        (shop.base / "gates").write_text(json.dumps({"gates": judged}))
        found = store.artifacts.put(shop.base / "gates", move=False)
        walk.settle(StepResult("gates", "gates", "ran", outputs={"gates": found}), None)
        for step, gate in (("gates.1", told["gates[1]"]), ("check.d", data)):
            result = Result("f", step, "t", "r", {}, {}, facts={"gate": asdict(gate)})
            walk.settle(StepResult(step, step, "ran"), result)
        releaser = Releaser(
            store=store,
            plan=plan,
            model="tiny",
            alias="",
            target=lambda kind: shop.target,
            ground=lambda target: Ground(shop.root, confined=True),
            reporter=SilentReporter(),
            now=lambda: NOW,
        )
        assert [gate.name for gate in releaser.read_gates(walk)] == ["data d", "g0", "g1", "g2"]


def test_bytes_that_were_swapped_in_the_store_are_not_deployed(shop: Shop) -> None:
    with shop.open() as store:
        shop.judge(store, 1, generation=at(1))
        graph = store.artifacts.file_path(shop.digests[1], "model.onnx")
        content = bytearray(graph.read_bytes())
        content[-1] ^= 1
        graph.chmod(0o644)
        graph.write_bytes(content)
        run = shop.judge(store, 2, "r2", generation=at(2))
    assert (run.verdict, shop.served()) == ("error", 1)
    assert "the package is not what it was when it was judged" in run.reason
    assert shop.target.asked == [("shelf", 1)]


def test_bytes_that_are_swapped_after_they_were_looked_at_are_not_deployed(shop: Shop) -> None:
    with shop.open() as store:
        shop.judge(store, 1, generation=at(1))

        def swap(request: DeployRequest) -> None:
            store.artifacts.materialize(shop.digests[2], shop.base / "other")
            for path in (shop.base / "other").iterdir():
                (request.package / path.name).unlink()
                path.rename(request.package / path.name)

        shop.target.before = swap
        run = shop.judge(store, 2, "r2", generation=at(2))
    assert (run.verdict, shop.served()) == ("error", 1)
    assert "not the one that was judged" in run.reason


def test_a_target_that_has_something_else_afterwards_is_no_success(shop: Shop) -> None:
    def undo(request: DeployRequest) -> None:
        (shop.root / "models" / "tiny").unlink()

    shop.target.after = undo
    with shop.open() as store:
        run = shop.judge(store, 1, generation=at(1))
    assert (run.verdict, states(run)) == ("error", {"deploy.shelf": "failed"})
    assert "has none now" in run.reason


def test_releases_of_two_repositories_do_not_meet(shop: Shop) -> None:
    with shop.open() as store:
        shop.judge(store, 1, release_name="acme/one:tiny")
        assert store.releases.newest("tiny") == []
        assert [release.run for release in store.releases.newest("acme/one:tiny")] == ["r1"]
    assert shop.served() == 1


def test_a_run_that_goes_back_holds_what_stood_there_so_that_no_run_of_that_commit_brings_it_again(
    shop: Shop,
) -> None:
    with shop.open() as store:
        for number, run, back in ((1, "r1", False), (2, "r2", False), (1, "r3", True)):
            shop.judge(store, number, run, goes_back=back, cause=f"run {run}")
        again = shop.judge(store, 2, "r4")
        assert [step.reason for step in again.steps if step.kind == "deploy"] == [
            "held by run r3: rolled back by hand; `fiat unhold` lifts it"
        ]
        standing = store.deployments.standing()
        assert [(one.run, one.digest) for one in standing] == [("r3", shop.digests[0])]
