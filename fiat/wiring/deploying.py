"""Deploy what a commit was judged to have, without running anything, and compare it with what stands on the targets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from fiat.engine.placing import Placer, Sight
from fiat.engine.silent import SilentReporter
from fiat.errors import FiatError, SpecError
from fiat.model.package import MANIFEST, METRICS
from fiat.wiring.desk import Desk


@dataclass(frozen=True)
class Done:
    """What came of a deploy.

    Attributes:
        sights: what the places are like afterwards, in the spec's order.
        reasons: targets that were not brought to the model, each with why.
        placer: to go on looking.
    """

    sights: tuple[Sight, ...]
    reasons: Mapping[str, str]
    placer: Placer


@dataclass(frozen=True)
class Difference:
    """A target beside what git says.

    Attributes:
        target: its name.
        wanted: digest of the commit's package; empty when it is not made yet.
        has: digest of what is there; None for nothing.
        faults: what else differs.
    """

    target: str
    wanted: str
    has: str | None
    faults: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the target is as git says."""
        return bool(self.wanted) and self.wanted == self.has and not self.faults


def waiting_steps(desk: Desk) -> list[str]:
    """Steps that must run before there is a model to deploy; none when everything is remembered."""
    desk.decider.look_ahead()
    walk = desk.walk()
    walk.advance()
    return [
        item.step
        for item in walk.decisions()
        if item.action in ("run", "wait") and not item.step.startswith("deploy.")
    ]


def deploy_desk(desk: Desk, only: frozenset[str] | None, approver: str) -> Done:
    """Deploy a spec whose steps are all remembered; targets that have the model already are looked at and mended.

    Args:
        desk: of the spec.
        only: names of targets; None for all.
        approver: who agrees to what needs approval.

    Raises:
        SpecError: a target that the spec does not have.
        FiatError: the run can't be.
    """
    known = list(desk.loaded.spec.deploy)
    if only and (unknown := sorted(only - set(known))):
        raise SpecError(f"the spec has no target {unknown[0]}", hint=f"it has: {', '.join(known) or 'none'}")
    desk = replace(desk, only=only, approver=approver)
    run = desk.apply(desk.new_run(), SilentReporter(), compute="local")
    releaser = desk.releaser(SilentReporter())
    placer, sights, reasons = releaser.placer, [], {}
    for step in run.steps:
        target = step.name.removeprefix("deploy.")
        if step.kind != "deploy" or (only is not None and target not in only):
            continue
        wanted = desk.store.deployments.wanted(f"{target}:{desk.model_name}")
        if step.state in ("failed", "skipped") or wanted is None:
            reasons[target] = step.reason
            continue
        sight = placer.look(wanted)
        sights.append(placer.mend(wanted) if sight.drift and not sight.under_way else sight)
    return Done(tuple(sights), reasons, placer)


def differences(desk: Desk) -> list[Difference]:
    """Each target of a spec beside the model that this commit was judged to have."""
    desk.decider.look_ahead()
    walk = desk.walk()
    walk.advance()
    package = walk.output("package", "package")
    digest = package.digest if package else ""
    releaser = desk.releaser(SilentReporter())
    found = []
    for step in desk.plan.steps:
        if step.kind != "deploy":
            continue
        wanted = releaser.deployment_of(None, step, walk, digest)
        state = releaser.target(wanted.kind).state(releaser.placer.request(wanted))
        found.append(Difference(wanted.target, digest, state.digest, state.faults))
    return found


def model_changes(desk: Desk, before: str, after: str) -> list[tuple[str, object, object]]:
    """Parameters, data and metrics in which two packages of the store differ, as name, before and after.

    Packages that are gone from the store differ in nothing that could be told.
    """
    if not before or not after:
        return []
    first, second = _facts(desk, before), _facts(desk, after)
    names = sorted(first.keys() | second.keys())
    return [
        (name, first.get(name), second.get(name)) for name in names if first.get(name) != second.get(name)
    ]


def _facts(desk: Desk, digest: str) -> dict[str, object]:
    try:
        manifest = json.loads(desk.store.artifacts.file_path(digest, MANIFEST).read_bytes())
        metrics = json.loads(desk.store.artifacts.file_path(digest, METRICS).read_bytes())
    except (OSError, ValueError, FiatError):
        return {}
    return {
        "commit": manifest.get("commit"),
        **{f"params.{name}": value for name, value in manifest.get("params", {}).items()},
        **{f"data.{name.removeprefix('data.')}": value for name, value in manifest.get("data", {}).items()},
        **{item["name"]: item["value"] for item in metrics if not item["slice"]},
    }
