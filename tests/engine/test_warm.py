"""Which model a training starts from, over many runs, releases and kills: it trains again only for a reason."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fiat.engine.baseline import Baseline
from fiat.engine.checkout import Checkout
from fiat.engine.decide import Decider
from fiat.engine.walk import Walk
from fiat.engine.warm import Warm, find_warm, work_key
from fiat.plan.build import Outside, build_plan
from fiat.plan.fingerprint import digest_json
from fiat.run.model import Artifact, Release, Result, Run, StepResult
from fiat.spec.model import Spec
from fiat.store.store import Store, open_store

START = datetime(2026, 11, 1, tzinfo=UTC)
MODEL = "acme/models:net"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / ".fiat", now=lambda: START + timedelta(days=1), checkout=tmp_path) as store:
        yield store


class Trainings:
    """Runs of one spec as the engine would walk them: look up, reuse or train, and release."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.found = Warm("", "")
        self._folder = folder
        self._count = 0

    def run(
        self,
        code: str,
        branch: str = "main",
        wanted: dict[str, object] | None = None,
        *,
        release: bool = True,
        recorded: bool = True,
        alias: str = "champion",
        threads: str = "1",
    ) -> str:
        """One run; gives how its training went, such as `a after b`, or `reused`.

        Args:
            code: of the training.
            branch: that it stands on.
            wanted: the spec's `baseline`; left out: `{from: main}`.
            release: whether its gates pass.
            recorded: False when it was killed between its release and the record of a run that reused everything.
            alias: that the release takes.
            threads: a variable that changes nothing about what is trained.
        """
        self._count += 1
        run_id = f"run-{self._count}"
        parts: dict[str, Any] = {
            "params": {},
            "env": {"OMP_NUM_THREADS": threads},
            "inputs": {"data.d": "d" * 32},
            "code": {"net.py": code},
        }
        self.found = find_warm(self.store, MODEL, wanted or {"from": "main"}, "train", work_key(parts))
        if self.found.digest:
            parts = {**parts, "inputs": {**parts["inputs"], "warm": self.found.digest}}
        fingerprint = digest_json(parts)
        result = self.store.results.find(fingerprint)
        made = result or self._train(run_id, code, parts, fingerprint)
        exported = self._export(run_id, made)
        train = StepResult(
            "train", "call", "reused" if result else "ran", fingerprint=fingerprint, outputs=made.outputs
        )
        export = StepResult("export", "export", "ran", fingerprint=exported.fingerprint)
        if recorded:
            self.store.runs.add(self._record(run_id, branch, (train, export)))
        if release:
            digest = self._package(exported)
            last = self.store.releases.last(MODEL, branch=branch)
            if last is None or last.digest != digest:
                self.store.releases.add(
                    Release(MODEL, alias, branch, "c" * 40, run_id, digest, exported.fingerprint, START)
                )
        return "reused" if result else self._text(made.outputs["model"])

    def _train(self, run_id: str, code: str, parts: dict[str, Any], fingerprint: str) -> Result:
        before = self._name(self.found.digest) if self.found.digest else ""
        artifact = self._put(f"{code} after {before.partition(' ')[0]}" if before else code)
        result = Result(
            fingerprint, "train", "net", run_id, outputs={"model": artifact}, parts=parts, made_at=START
        )
        return self.store.results.add(result)

    def _export(self, run_id: str, made: Result) -> Result:
        fingerprint = digest_json(made.outputs["model"].digest)
        parts = {"inputs": {"model": made.outputs["model"].digest}}
        return self.store.results.add(
            Result(fingerprint, "export", "net", run_id, outputs={}, parts=parts, made_at=START)
        )

    def _package(self, exported: Result) -> str:
        folder = self._folder / f"package-{exported.fingerprint[:8]}"
        folder.mkdir(exist_ok=True)
        (folder / "model.onnx").write_text(exported.fingerprint)
        return self.store.artifacts.put(folder, move=False).digest

    def _put(self, text: str) -> Artifact:
        path = self._folder / "model"
        path.write_text(text)
        return self.store.artifacts.put(path, move=False)

    def _name(self, digest: str) -> str:
        return self.store.artifacts.object_path(digest).read_text()

    def _text(self, artifact: Artifact) -> str:
        return self._name(artifact.digest)

    def _record(self, run_id: str, branch: str, steps: tuple[StepResult, ...]) -> Run:
        return Run(
            id=run_id,
            spec="net",
            spec_path="spec.yaml",
            spec_digest="",
            plan_digest="",
            commit="c" * 40,
            branch=branch,
            dirty=False,
            overrides=(),
            config={},
            state="done",
            verdict="pass",
            reason="",
            started_at=START + timedelta(minutes=self._count),
            steps=steps,
        )


@pytest.fixture
def trainings(store: Store, tmp_path: Path) -> Trainings:
    return Trainings(store, tmp_path)


def test_the_first_training_starts_anew_and_says_why(trainings: Trainings) -> None:
    assert trainings.run("a") == "a"
    assert trainings.found.reason == f"starts anew: no earlier model of {MODEL} was released from branch main"


def test_a_release_does_not_make_the_next_run_train_again(trainings: Trainings) -> None:
    trainings.run("a")
    assert [trainings.run("a") for _ in range(3)] == ["reused"] * 3
    assert trainings.found.reason == "starts anew as run run-1 did, which released this same work"
    assert trainings.run("b") == "b after a"
    assert [trainings.run("b") for _ in range(3)] == ["reused"] * 3
    assert (
        trainings.found.reason == "starts from the same model as run run-5 did, which released this same work"
    )


def test_another_training_starts_from_the_newest_baseline(trainings: Trainings) -> None:
    trainings.run("a")
    trainings.run("b")
    assert trainings.run("c") == "c after b"
    assert trainings.found.reason == "starts from the model of run run-2, released from branch main"


def test_going_back_to_a_commit_goes_back_to_its_model(trainings: Trainings) -> None:
    for code in "abc":
        trainings.run(code)
    assert [trainings.run(code) for code in ("b", "b", "a", "c", "b")] == ["reused"] * 5


def test_a_model_that_was_refused_is_nobodys_start_and_is_kept_until_the_baseline_moves(
    trainings: Trainings,
) -> None:
    trainings.run("a")
    assert trainings.run("b", release=False) == "b after a"
    assert trainings.run("b", release=False) == "reused"
    assert trainings.run("c") == "c after a"
    assert trainings.run("b", release=False) == "b after c"


def test_a_new_baseline_is_picked_up_by_work_on_another_branch(trainings: Trainings) -> None:
    trainings.run("a")
    assert trainings.run("mine", "topic") == "mine after a"
    assert trainings.run("mine", "topic") == "reused"
    trainings.run("b")
    assert trainings.run("mine", "topic") == "mine after b"
    assert [trainings.run("mine", branch) for branch in ("topic", "main", "main", "topic")] == ["reused"] * 4


def test_more_threads_are_the_same_work(trainings: Trainings) -> None:
    trainings.run("a")
    trainings.run("b", threads="1")
    assert trainings.run("b", threads="8") == "b after a"


def test_an_alias_names_the_model_and_people_may_move_it(trainings: Trainings, store: Store) -> None:
    wanted: dict[str, object] = {"alias": "champion"}
    trainings.run("a", wanted=wanted)
    first = store.releases.newest(MODEL)[0].digest
    trainings.run("b", wanted=wanted)
    assert trainings.run("b", wanted=wanted) == "reused"
    store.registry.move_alias(MODEL, "champion", first, who="ann", reason="b is worse")
    assert trainings.run("c", wanted=wanted) == "c after a"
    assert [trainings.run(code, wanted=wanted) for code in "bca"] == ["reused"] * 3


def test_a_commit_names_the_model(trainings: Trainings) -> None:
    trainings.run("a")
    assert trainings.run("b", wanted={"commit": "c" * 7}) == "b after a"
    assert trainings.run("d", wanted={"commit": "e" * 7}) == "d"
    assert "no earlier model" in trainings.found.reason


def test_a_run_that_was_killed_right_after_its_release_is_known_by_what_it_reused(
    trainings: Trainings,
) -> None:
    trainings.run("a")
    trainings.run("b", release=False)
    assert trainings.run("b", recorded=False) == "reused"
    assert trainings.run("b") == "reused"
    assert trainings.run("c") == "c after b"


def test_a_model_that_is_gone_from_the_store_is_no_start(trainings: Trainings, store: Store) -> None:
    trainings.run("a")
    model = store.runs.steps_of(["run-1"], "train")["run-1"].outputs["model"]
    store.artifacts.object_path(model.digest).unlink()
    assert trainings.run("b") == "b"
    assert trainings.found.reason.startswith("starts anew: the trained model of run run-1, released from")
    assert trainings.found.reason.endswith("is gone from the store")


def test_what_a_release_started_from_is_still_known_when_those_bytes_are_gone(
    trainings: Trainings, store: Store
) -> None:
    trainings.run("a")
    trainings.run("b")
    model = store.runs.steps_of(["run-1"], "train")["run-1"].outputs["model"]
    store.artifacts.object_path(model.digest).unlink()
    assert trainings.run("b") == "reused"


def test_cleaning_up_keeps_what_the_next_training_starts_from(trainings: Trainings, store: Store) -> None:
    trainings.run("a")
    trainings.run("b")
    trainings.run("poor", release=False)
    cleaned = store.gc(keep_runs=0, grace_s=-1)
    assert (cleaned.removed_runs, cleaned.removed_results) == (1, 2)
    assert trainings.run("c") == "c after b"
    assert [trainings.run(code) for code in "bac"] == ["reused"] * 3
    assert trainings.run("poor", release=False) == "poor after c"


@pytest.fixture
def walk(store: Store, tmp_path: Path) -> tuple[Walk, list[tuple[str, str]]]:
    """A walk over a search and its training, and what it asked for a start."""
    (tmp_path / "net.py").write_text("def train(lr): ...")
    (tmp_path / "rows.csv").write_text("x\n1\n")
    spec = Spec.model_validate(
        {
            "fiat": 1,
            "name": "net",
            "data": {"d": {"source": {"path": "rows.csv"}}},
            "train": {"call": "net:train", "with": {"lr": 1}, "warm_start": "baseline"},
            "tune": {"search": {"lr": [1, 2]}, "objective": {"minimize": "loss"}},
            "baseline": {"from": "main"},
        }
    )
    plan = build_plan(spec, Outside())
    asked: list[tuple[str, str]] = []
    decider = Decider(store, Checkout(tmp_path), plan, spec_files=(), data=("rows.csv",), state_dir=tmp_path)

    def find(step: str, key: str) -> Warm:
        asked.append((step, key))
        return Warm("e" * 32, "starts from the model of run 7")

    return Walk(plan, decider, lambda _: Baseline(None, ""), lambda _: None, find_warm=find), asked


def test_trials_and_the_training_with_the_best_of_them_start_from_the_same_model(
    walk: tuple[Walk, list[tuple[str, str]]],
) -> None:
    walking, asked = walk
    assert [decided.step.name for decided in walking.advance()] == ["data.d"]
    assert asked == [], "its work is not known yet"
    for name, outputs in (("data.d", ("dataset",)), ("tune", ("best", "trials"))):
        made = {output: Artifact(f"{name}{output}".ljust(32, "0"), 1) for output in outputs}
        walking.settle(StepResult(name, "call", "ran", outputs=made), None)
        (decided,) = walking.advance()
        assert decided.inputs["warm"] == "e" * 32
        assert decided.reasons == ("no earlier result", "starts from the model of run 7")
    assert decided.step.name == "train"
    assert [step for step, _ in asked] == ["tune"]


def test_how_many_trials_there_are_is_no_other_work() -> None:
    def key(trials: int, warm: str, code: str = "a") -> str:
        inputs = {"data.d": "d" * 32, **({"warm": warm} if warm else {})}
        return work_key(
            {"params": {"study": {"trials": trials}}, "env": {}, "inputs": inputs, "code": {"net.py": code}}
        )

    assert key(10, "") == key(20, "") == key(10, "f" * 32)
    assert key(10, "", "b") != key(10, "")
