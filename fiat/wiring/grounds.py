"""Where deploy targets stand: at a desk its user gives what they need, on a runner its operator does."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from fiat.builtin.service_words import rollout_words
from fiat.engine.placing import Ground, Placer
from fiat.engine.policy import RepoPolicy
from fiat.engine.release import Releaser
from fiat.engine.walk import Walk
from fiat.engine.watched import Watched
from fiat.plan.model import Decision, Plan, Step
from fiat.store.store import Store
from fiat.wiring.registry import load_plugin
from fiat.wiring.runner_settings import RunnerSettings
from fiat.wiring.settings import Settings


def desk_ground(settings: Settings, root: Path) -> Ground:
    """Where the targets of a checkout's specs stand."""
    return Ground(
        root,
        settings.state_dir(root) / "services",
        settings=_key(settings.verify_key),
        env=settings.environment,
        allow_private_hosts=settings.allow_private_hosts,
    )


def runner_ground(settings: RunnerSettings, policy: RepoPolicy, target: str) -> Ground:
    """Where a granted target stands; what is not granted stands nowhere.

    Args:
        settings: of the runner.
        policy: of the repository whose spec names the target.
        target: its name.
    """
    root = policy.targets.get(target, settings.store / "deployed" / "nowhere")
    secrets = {name: settings.secrets[name] for name in policy.secrets if name in settings.secrets}
    return Ground(
        root,
        root / "services",
        confined=True,
        settings=_key(settings.verify_key),
        env=secrets,
        hosts=policy.data_hosts,
        allow_private_hosts=policy.allow_private_hosts,
    )


def _key(path: Path | None) -> dict[str, object]:
    return {} if path is None else {"key": str(path)}


def runner_placer(
    settings: RunnerSettings, store: Store, now: Callable[[], datetime], watched: Watched
) -> Placer:
    """What looks after the places of a repository's models between runs."""
    return Placer(
        store,
        lambda kind: load_plugin("deploy", kind)(),
        lambda deployment: runner_ground(settings, watched.policy, deployment.target),
        now,
    )


def with_rollout(decision: Decision, plan: Plan) -> Decision:
    """A deploy that waits, with how long traffic will take to move."""
    step = next((one for one in plan.steps if one.name == decision.step and one.kind == "deploy"), None)
    if step is None or decision.action != "wait" or step.params.get("to") != "service":
        return decision
    return replace(decision, reasons=("; ".join((*decision.reasons, rollout_words(step.params))),))


def deploy_decision(releaser: Releaser, step: Step, walk: Walk, commit: str) -> Decision:
    """What a run would do at a target."""
    gates = releaser.read_gates(walk)
    if any(gate.state == "fail" for gate in gates):
        return Decision(step.name, "skip", ("a gate refuses the model",))
    if reason := releaser.held_back(step, walk, commit):
        return Decision(step.name, "skip", (reason,))
    if releaser.deployed(step, walk):
        return Decision(step.name, "reuse", ("the target already has this model",))
    rollout = rollout_words(step.params) if step.params.get("to") == "service" else ""
    reasons = ("the target has another model or none", rollout)
    # One reason: a plan shows the first, and how long traffic takes to move belongs there.
    return Decision(step.name, "run", ("; ".join(reason for reason in reasons if reason),))
