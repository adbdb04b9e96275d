"""After the steps: read the gates, fold the verdict, release the model, deploy it."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from fiat.engine.placing import INPUTS, MONITOR, Ground, Placer
from fiat.engine.verdict import fold
from fiat.engine.walk import Walk
from fiat.errors import Fenced, FiatError
from fiat.plan.model import Plan, Step
from fiat.ports.deploy import DeployTarget
from fiat.ports.report import Reporter
from fiat.run.deployment import Deployment
from fiat.run.model import GateResult, Metric, Release, Result, Run, StepResult, StepState
from fiat.store.faults import disk_faults
from fiat.store.store import Store

GOOD = frozenset({"pass", "warn"})
_GATE_KEY = re.compile(r"gates\[(\d+)\]")


@dataclass
class Releaser:
    """Judges a walked plan; a verdict of pass or warn releases the model and puts it on its targets.

    The release is written down first, then the targets are changed: a target never has a model that no release tells of.
    Killed in between, the same run finds when it is walked again that it released already, and goes on with the targets.

    Attributes:
        store: where releases are remembered.
        plan: the plan that was walked.
        model: name of the model, empty when the spec makes none.
        alias: alias that a release takes, empty for none.
        target: gives the deploy target of a `to:`.
        ground: where a target stands, by its name.
        reporter: hears of deploys.
        now: the clock, aware UTC.
        dry: judge only: no release, no deploy (a pull request's run).
        release_name: name that its releases go by in the store; empty for the model's.
        sign: given the name and digest of what was released, before it is deployed; signs it, when there is a key.
        begin_deploy: called once before anything is released that has targets; raises to stop.
        generation: number of this run's deploy to a target, see `DeployRequest`; 0 is by hand.
        grant: why a deploy step's target is not granted, None when it is.
        prefix: what stands before the names of places, `owner/name:` on a runner.
        monitor: what the spec says under `monitor`, JSON values.
        approver: who agreed to deploy; empty for nobody.
        only: names of the targets that are deployed; None for all.
        cause: one sentence: who or what wants it.
        goes_back: somebody wants an earlier model: what stands is held, so that no run of its commit undoes that.
    """

    store: Store
    plan: Plan
    model: str
    alias: str
    target: Callable[[str], DeployTarget]
    ground: Callable[[str], Ground]
    reporter: Reporter
    now: Callable[[], datetime]
    dry: bool = False
    release_name: str = ""
    sign: Callable[[str, str], object] = lambda model, digest: None
    begin_deploy: Callable[[], None] = lambda: None
    generation: Callable[[str], int] = lambda target: 0
    grant: Callable[[Step], str | None] = lambda step: None
    prefix: str = ""
    monitor: Mapping[str, object] | None = None
    approver: str = ""
    only: frozenset[str] | None = None
    cause: str = ""
    goes_back: bool = False

    def judge(self, run: Run, walk: Walk) -> Run:
        """Fold the steps and gates into the run's verdict; when it is good, release the model, then deploy it.

        Raises:
            Fenced: another process has taken the run over.
            FiatError: what `begin_deploy` raises.
        """
        gates = self.read_gates(walk)
        warnings = [text for result in walk.results.values() for text in result.warnings]
        refusals = self._refusals(walk)
        said = list(refusals.values())
        verdict, reason = fold(walk.steps(), gates, warnings, refusals=said)
        package = walk.output("package", "package")
        digest = package.digest if package else ""
        self._settle(run, walk, digest, refusals, good=verdict in GOOD)
        if verdict in GOOD:
            verdict, reason = fold(walk.steps(), gates, warnings, refusals=said)
        return replace(
            run,
            state="done",
            verdict=verdict,
            reason=reason,
            ended_at=self.now(),
            steps=walk.steps(),
            metrics=_metrics(walk),
            gates=gates,
            model_digest=digest,
        )

    def read_gates(self, walk: Walk) -> tuple[GateResult, ...]:
        """What the checks of data said in plan order, then the gates in spec order; of those that ran."""
        told = [gate for result in walk.results.values() for gate in _told_gates(result)]
        checks = tuple(gate for gate in told if _place(gate) is None)
        probes = tuple(gate for gate in told if _place(gate) is not None)
        artifact = walk.output("gates", "gates")
        if artifact is None:
            return checks + probes
        path = self.store.artifacts.object_path(artifact.digest)
        with disk_faults(path):
            document = json.loads(path.read_text())
        judged = tuple(GateResult(**gate) for gate in document["gates"])
        # Python's sort keeps the order of equals: a gate without a place stays where it was.
        return checks + tuple(sorted(judged + probes, key=lambda gate: _place(gate) or 0))

    def deployed(self, step: Step, walk: Walk) -> bool:
        """Whether the step's target already has the model, as it is asked for (for a plan)."""
        package = walk.output("package", "package")
        if package is None:
            return False
        wanted = self.deployment_of(None, step, walk, package.digest)
        has = self.target(wanted.kind).observe(self.placer.request(wanted)) == package.digest
        return has and not self.placer.asked_otherwise(wanted)

    def held_back(self, step: Step, walk: Walk, commit: str) -> str:
        """Why the model would not be put on the step's target (for a plan); empty when it would be."""
        package = walk.output("package", "package")
        if package is None:
            return ""
        return self.placer.why_not(
            replace(self.deployment_of(None, step, walk, package.digest), commit=commit)
        )

    @property
    def placer(self) -> Placer:
        """What puts models on places."""
        return Placer(self.store, self.target, lambda deployment: self.ground(deployment.target), self.now)

    def _open(self, walk: Walk) -> list[Step]:
        return [step for step in self.plan.steps if step.kind == "deploy" and step.name not in walk.settled]

    def _refusals(self, walk: Walk) -> dict[str, str]:
        """Deploy step to the reason why the operator does not grant its target."""
        asked = {step.name: self.grant(step) for step in self._open(walk)}
        return {name: reason for name, reason in asked.items() if reason}

    def _settle(self, run: Run, walk: Walk, digest: str, refusals: Mapping[str, str], *, good: bool) -> None:
        """Release and deploy what may be; every other deploy step is skipped, or failed, with its reason."""
        steps = self._open(walk)
        reason = self._why_not(digest, refusals, good=good)
        if not reason and steps:
            self.begin_deploy()
        if good and digest and not self.dry and not refusals:
            self._release(run, walk, digest)
            self.sign(self.release_name or self.model, digest)
        for step in steps:
            if step.name in refusals:
                state: StepState = "skipped" if self.dry or not good else "failed"
                outcome = StepResult(step.name, step.kind, state, refusals[step.name])
            elif reason:
                outcome = StepResult(step.name, step.kind, "skipped", reason)
            else:
                outcome = self._apply(run, step, walk, digest)
            walk.settle(outcome, None)
            self.reporter.stepped(run, outcome)

    def _why_not(self, digest: str, refusals: Mapping[str, str], *, good: bool) -> str:
        """Why no target is changed at all; empty when they are."""
        if self.dry:
            return "this run only judges; it deploys nothing"
        if not good:
            return "the verdict is not good enough to deploy"
        if not digest:
            return "there is no package to deploy"
        if refusals:
            return f"nothing is deployed, because {next(iter(refusals))} is not granted"
        return ""

    def _release(self, run: Run, walk: Walk, digest: str) -> None:
        """Remember the model as released from its branch, when it is not so already."""
        export = walk.decided.get("export")
        if export is None:
            return
        name = self.release_name or self.model
        last = self.store.releases.last(name, branch=run.branch)
        if last is not None and last.digest == digest and last.alias == self.alias:
            return
        self.store.releases.add(
            Release(
                model=name,
                alias=self.alias,
                branch=run.branch,
                commit=run.commit,
                run=run.id,
                digest=digest,
                fingerprint=export.fingerprint,
                released_at=self.now(),
            )
        )

    def _apply(self, run: Run, step: Step, walk: Walk, digest: str) -> StepResult:
        if self.only is not None and _target_name(step) not in self.only:
            return StepResult(step.name, step.kind, "skipped", "not among the targets that were asked for")
        started_at = self.now()
        wanted = self.deployment_of(run, step, walk, digest)
        try:
            if reason := self.placer.why_not(wanted):
                return StepResult(step.name, step.kind, "skipped", reason)
            generation = self.generation(_target_name(step))
            put = self.placer.go_back if self.goes_back else self.placer.place
            sight, was_there = put(replace(wanted, generation=generation))
        except Fenced:
            raise  # nothing may be written any more: the run belongs to another process
        except FiatError as error:
            return StepResult(step.name, step.kind, "failed", str(error), started_at=started_at)
        if was_there and not sight.under_way:
            return StepResult(step.name, step.kind, "reused", "the target already has this model")
        ended_at = self.now()
        seconds = (ended_at - started_at).total_seconds()
        return StepResult(
            step.name,
            step.kind,
            "ran",
            sight.state.sentence if sight.under_way else "the target had another model or none",
            seconds=seconds,
            attempt=1,
            started_at=started_at,
            ended_at=ended_at,
            resources={"phase": sight.state.phase, "url": sight.state.url},
        )

    def deployment_of(self, run: Run | None, step: Step, walk: Walk, digest: str) -> Deployment:
        """What a deploy step wants: this package at its target; nothing is done yet.

        Args:
            run: that wants it, None for a plan.
            step: of kind `deploy`.
            walk: knows the datasets that the target reads.
            digest: of the package.
        """
        target = _target_name(step)
        inputs = {
            role.removeprefix("data."): artifact.digest
            for role, ref in step.inputs.items()
            if role.startswith("data.") and (artifact := walk.output(ref.step, ref.output)) is not None
        }
        settings: dict[str, object] = {**step.params, "model": self.model}
        if version := self.store.registry.number(self.release_name or self.model, digest):
            settings["version"] = str(version)
        if inputs:
            settings[INPUTS] = inputs
        if self.monitor:
            settings[MONITOR] = self.monitor
        return Deployment(
            place=f"{self.prefix}{target}:{self.model}",
            kind=str(step.params["to"]),
            target=target,
            spec=self.plan.spec,
            model=self.release_name or self.model,
            digest=digest,
            commit=run.commit if run else "",
            run=run.id if run else "",
            generation=0,
            cause=self.cause,
            began_at=self.now(),
            approver=self.approver,
            settings=settings,
        )


def _target_name(step: Step) -> str:
    return step.name.removeprefix("deploy.")


def _metrics(walk: Walk) -> tuple[Metric, ...]:
    """Final metrics of the run: the evaluation's first, then what steps logged under other names."""
    order = sorted(walk.results, key=lambda name: name != "evaluate")
    found: dict[tuple[str, str], Metric] = {}
    for name in order:
        if name == "evaluate.baseline":
            continue
        # Of what a step logs again and again the last value counts, as it does for gates.
        finals = {(item.name, item.slice): item for item in walk.results[name].metrics if item.step is None}
        for key, metric in finals.items():
            found.setdefault(key, metric)
    return tuple(found.values())


def _place(gate: GateResult) -> int | None:
    """Index of a gate among those of the spec, None for a check of data."""
    match = _GATE_KEY.match(gate.key)
    return int(match[1]) if match else None


def _told_gates(result: Result) -> list[GateResult]:
    said = result.facts.get("gate")
    return [GateResult(**said)] if isinstance(said, dict) else []
