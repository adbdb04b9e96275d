"""After the steps: read the gates, fold the verdict, release the model, deploy it."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from fiat.engine.verdict import fold
from fiat.engine.walk import Walk
from fiat.errors import FiatError
from fiat.plan.model import Plan, Step
from fiat.ports.deploy import DeployRequest, DeployTarget
from fiat.ports.report import Reporter
from fiat.run.model import GateResult, Metric, Release, Run, StepResult
from fiat.store.faults import disk_faults
from fiat.store.store import Store

GOOD = frozenset({"pass", "warn"})


@dataclass
class Releaser:
    """Judges a walked plan; a verdict of pass or warn releases the model and puts it on its targets.

    Attributes:
        store: where releases are remembered.
        plan: the plan that was walked.
        model: name of the model, empty when the spec makes none.
        alias: alias that a release takes, empty for none.
        root: the checkout.
        target: gives the deploy target of a `to:`.
        reporter: hears of deploys.
        now: the clock, aware UTC.
        dry: judge only: no release, no deploy (a pull request's run).
    """

    store: Store
    plan: Plan
    model: str
    alias: str
    root: Path
    target: Callable[[str], DeployTarget]
    reporter: Reporter
    now: Callable[[], datetime]
    dry: bool = False

    def judge(self, run: Run, walk: Walk) -> Run:
        """Fold the steps and gates into the run's verdict, then deploy when it is good."""
        gates = self.read_gates(walk)
        warnings = [text for result in walk.results.values() for text in result.warnings]
        verdict, reason = fold(walk.steps(), gates, warnings)
        self._deploy(run, walk, verdict in GOOD)
        if verdict in GOOD:
            verdict, reason = fold(walk.steps(), gates, warnings)
        package = walk.output("package", "package")
        return replace(
            run,
            state="done",
            verdict=verdict,
            reason=reason,
            ended_at=self.now(),
            steps=walk.steps(),
            metrics=_metrics(walk),
            gates=gates,
            model_digest=package.digest if package else "",
        )

    def release(self, run: Run, walk: Walk) -> None:
        """Remember the model as released from its branch, when the verdict is good and it is not so already."""
        export = walk.decided.get("export")
        if self.dry or run.verdict not in GOOD or not run.model_digest or export is None:
            return
        last = self.store.releases.last(self.model, branch=run.branch)
        if last is not None and last.digest == run.model_digest and last.alias == self.alias:
            return
        self.store.releases.add(
            Release(
                model=self.model,
                alias=self.alias,
                branch=run.branch,
                commit=run.commit,
                run=run.id,
                digest=run.model_digest,
                fingerprint=export.fingerprint,
                released_at=self.now(),
            )
        )

    def read_gates(self, walk: Walk) -> tuple[GateResult, ...]:
        """What the gates step said, in spec order; empty when it did not run."""
        artifact = walk.output("gates", "gates")
        if artifact is None:
            return ()
        path = self.store.artifacts.object_path(artifact.digest)
        with disk_faults(path):
            document = json.loads(path.read_text())
        return tuple(GateResult(**gate) for gate in document["gates"])

    def deployed(self, step: Step, walk: Walk) -> bool:
        """Whether the step's target already has the model (for a plan)."""
        package = walk.output("package", "package")
        if package is None:
            return False
        request = self._request(step, package.digest, self.store.root)
        return self.target(str(step.params["to"])).observe(request) == package.digest

    def _deploy(self, run: Run, walk: Walk, good: bool) -> None:
        for step in self.plan.steps:
            if step.kind != "deploy" or step.name in walk.settled:
                continue
            package = walk.output("package", "package")
            if self.dry:
                outcome = _skipped(step, "this run only judges; it deploys nothing")
            elif not good:
                outcome = _skipped(step, "the verdict is not good enough to deploy")
            elif package is None:
                outcome = _skipped(step, "there is no package to deploy")
            else:
                outcome = self._apply(run, step, package.digest)
            walk.settle(outcome, None)
            self.reporter.stepped(run, outcome)

    def _apply(self, run: Run, step: Step, digest: str) -> StepResult:
        started_at = self.now()
        try:
            target = self.target(str(step.params["to"]))
            if target.observe(self._request(step, digest, self.store.root)) == digest:
                return StepResult(step.name, step.kind, "reused", "the target already has this model")
            folder = self.store.work.make(run.id, step.name, 1) / "package"
            self.store.artifacts.materialize(digest, folder)
            target.apply(self._request(step, digest, folder))
        except FiatError as error:
            return StepResult(step.name, step.kind, "failed", str(error), started_at=started_at)
        ended_at = self.now()
        seconds = (ended_at - started_at).total_seconds()
        return StepResult(
            step.name,
            step.kind,
            "ran",
            "the target had another model or none",
            seconds=seconds,
            attempt=1,
            started_at=started_at,
            ended_at=ended_at,
        )

    def _request(self, step: Step, digest: str, package: Path) -> DeployRequest:
        settings = {**step.params, "model": self.model}
        return DeployRequest(step.name.removeprefix("deploy."), settings, package, digest, self.root)


def package_folder(store: Store, digest: str) -> Path:
    """The package as a folder that stays: `packages/<digest>` in the store, made at first use.

    Raises:
        EnvironmentFault: the package is gone, or the disk refused.
    """
    folder = store.root / "packages" / digest.removesuffix(".dir")
    if folder.is_dir():
        return folder
    temporary = folder.with_name(f"{folder.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with disk_faults(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            store.artifacts.materialize(digest, temporary)
            for path in temporary.iterdir():
                if path.is_symlink():  # large files: a package must stand on its own
                    content = path.resolve()
                    path.unlink()
                    shutil.copyfile(content, path)
            try:
                temporary.rename(folder)
            except OSError:
                if not folder.is_dir():  # else somebody else was quicker
                    raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _skipped(step: Step, reason: str) -> StepResult:
    return StepResult(step.name, step.kind, "skipped", reason)


def _metrics(walk: Walk) -> tuple[Metric, ...]:
    """Final metrics of the run: the evaluation's first, then what steps logged under other names."""
    order = sorted(walk.results, key=lambda name: name != "evaluate")
    found: dict[tuple[str, str], Metric] = {}
    for name in order:
        if name == "evaluate.baseline":
            continue
        for metric in walk.results[name].metrics:
            if metric.step is None:
                found.setdefault((metric.name, metric.slice), metric)
    return tuple(found.values())
