"""Put models on places, and know what stands there: holds and approvals before, the record and the target's word after.

A place is a target with the model that goes to it. Its desired state is the newest deployment that was neither refused nor
failed; what the target says of itself is compared with it, and mended by bringing the same model there again.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from fiat.engine.deploy import bring
from fiat.errors import Fenced, FiatError
from fiat.ports.deploy import MOVING, DeployRequest, DeployTarget, Leaves, TargetState
from fiat.run.deployment import Deployment, Hold
from fiat.store.store import Store

ROLLOUT = "rollout"
"""Who holds a commit whose rollout failed."""
INPUTS, MONITOR = "inputs", "monitor"
_BY_HAND = "by-hand"


@dataclass(frozen=True)
class Ground:
    """Where a target stands: what the operator gives to it.

    Attributes:
        root: folder that paths of the spec are relative to.
        state: folder for what the target keeps of its own; None: below `root`.
        confined: the spec is not to be trusted, see `DeployRequest`.
        settings: what is added to the spec's words, such as the key that signatures are checked with.
        env: see `DeployRequest`; so are `hosts` and `allow_private_hosts`.
        hosts: that the target may reach.
        allow_private_hosts: whether they may be private addresses.
    """

    root: Path
    state: Path | None = None
    confined: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    allow_private_hosts: bool = False


@dataclass(frozen=True)
class Sight:
    """What a place is like now.

    Attributes:
        deployment: its desired state.
        state: what the target says.
        drift: how the two differ, sentences; empty when they don't.
    """

    deployment: Deployment
    state: TargetState
    drift: tuple[str, ...] = ()

    @property
    def under_way(self) -> bool:
        """Whether traffic is still moved."""
        return self.state.phase in MOVING


@dataclass
class Placer:
    """Puts models on places.

    Attributes:
        store: with packages, deployments and holds.
        target: gives the deploy target of a `to:`.
        ground: where the target of a deployment stands.
        now: the clock, aware UTC.
    """

    store: Store
    target: Callable[[str], DeployTarget]
    ground: Callable[[Deployment], Ground]
    now: Callable[[], datetime]

    def why_not(self, deployment: Deployment) -> str:
        """Why the model is not put there, one sentence; empty when it may be."""
        for hold in self.store.deployments.holds(deployment.place):
            if hold.stops(deployment.commit, deployment.digest):
                who = "the rollout failed" if hold.who == ROLLOUT else f"held by {hold.who}"
                return f"{who}: {hold.reason}; `fiat unhold` lifts it"
        if (
            deployment.settings.get("approval")
            and not deployment.approver
            and not self._was_agreed(deployment)
        ):
            return "waits for approval: `fiat deploy --approve`, or the comment /fiat deploy on the commit"
        return ""

    def place(self, deployment: Deployment) -> tuple[Sight, bool]:
        """Put a model there and remember it.

        Returns:
            What the place is like afterwards, and whether it had the model already.

        Raises:
            FiatError: the target could not be brought to it; what stood there still does.
        """
        before = self.store.deployments.wanted(deployment.place)
        known = before is not None and before.digest == deployment.digest
        asked_otherwise = self.asked_otherwise(deployment)
        by_hand = before is not None and before.generation == deployment.generation == 0
        if before is not None and known and by_hand and not asked_otherwise and self._has(before):
            return self.look(before), True
        if before is not None and before.state == "deploying" and not known:
            with suppress(FiatError):  # how it ended is what a rollback asks later
                self.look(before)
        deployment = replace(deployment, approver=deployment.approver or self._agreed_before(deployment))
        numbered = replace(deployment, sequence=self.store.deployments.begin(deployment))
        try:
            moved = before is not None and _moved(before, deployment)
            if before is not None and moved and _same_port(before, deployment):
                self.leave(before)
            was_there = self._bring(numbered, mend=asked_otherwise)
            if before is not None and moved:
                self.leave(before)
        except Fenced:
            raise
        except FiatError as error:
            self.store.deployments.end(numbered.sequence, "failed", error.message, self.now())
            raise
        return self.look(numbered), was_there

    def asked_otherwise(self, deployment: Deployment) -> bool:
        """Whether what stands there was asked for with other settings: another port, path, or that it is signed."""
        before = self.store.deployments.wanted(deployment.place)
        told = json.loads(json.dumps(dict(deployment.settings)))
        return before is not None and (before.kind, before.settings) != (deployment.kind, told)

    def leave(self, deployment: Deployment) -> bool:
        """End what runs at a place that is given up or has moved; gives whether anything did."""
        target = self.target(deployment.kind)
        return target.leave(self.request(deployment)) if isinstance(target, Leaves) else False

    def go_back(self, deployment: Deployment) -> tuple[Sight, bool]:
        """Like `place`, for an earlier model: what stands there now is held first, so that no run brings it again."""
        left = self.store.deployments.wanted(deployment.place)
        if left is not None and left.digest != deployment.digest:
            who = deployment.approver or deployment.cause
            hold = Hold(left.place, left.commit, left.digest, who, "rolled back by hand", self.now())
            self.store.deployments.hold(hold)
        return self.place(deployment)

    def look(self, deployment: Deployment) -> Sight:
        """Compare a place with its desired state, and note how a deployment ended."""
        target, request = self.target(deployment.kind), self.request(deployment)
        state = target.state(request)
        settled = self._settle(deployment, state)
        return Sight(settled, state, () if settled.state == "refused" else _drift(settled, state))

    def quick_look(self, deployment: Deployment) -> bool:
        """Whether the place has, as far as can be told in a moment, what it should."""
        return deployment.state == "deployed" and self._has(deployment)

    def mend(self, deployment: Deployment) -> Sight:
        """Bring a place that differs back to its desired state.

        Raises:
            FiatError: it can't be.
        """
        self._bring(deployment, mend=True)
        return self.look(deployment)

    def request(self, deployment: Deployment) -> DeployRequest:
        """What a target is asked with."""
        ground = self.ground(deployment)
        settings = {key: value for key, value in deployment.settings.items() if key != MONITOR}
        monitor = deployment.settings.get(MONITOR)
        return DeployRequest(
            target=deployment.target,
            settings={**settings, **ground.settings},
            package=self.store.root,  # a stand-in: `bring` lays the package out
            digest=deployment.digest,
            root=ground.root,
            generation=deployment.generation,
            confined=ground.confined,
            state=ground.state,
            commit=deployment.commit,
            monitor=monitor if isinstance(monitor, Mapping) else None,
            env=ground.env,
            hosts=ground.hosts,
            allow_private_hosts=ground.allow_private_hosts,
        )

    def _was_agreed(self, deployment: Deployment) -> bool:
        """Whether somebody agreed to the very model that stands there, asked for as it is."""
        return bool(self._agreed_before(deployment)) and not self.asked_otherwise(deployment)

    def _agreed_before(self, deployment: Deployment) -> str:
        """Who agreed to the model that stands there, when it is the same."""
        standing = self.store.deployments.wanted(deployment.place)
        same = standing is not None and standing.digest == deployment.digest
        return standing.approver if standing is not None and same else ""

    def _has(self, deployment: Deployment) -> bool:
        return self.target(deployment.kind).observe(self.request(deployment)) == deployment.digest

    def _bring(self, deployment: Deployment, *, mend: bool = False) -> bool:
        inputs = deployment.settings.get(INPUTS)
        return bring(
            self.store,
            self.target(deployment.kind),
            self.request(deployment),
            deployment.run or _BY_HAND,
            {str(name): str(digest) for name, digest in inputs.items()}
            if isinstance(inputs, Mapping)
            else {},
            mend=mend,
        )

    def _settle(self, deployment: Deployment, state: TargetState) -> Deployment:
        """A deployment that was on its way, as it ended; the commit of a refused one is held."""
        if deployment.state != "deploying" or not deployment.sequence:
            return deployment
        refused = (state.refused, state.refused_generation) == (deployment.digest, deployment.generation)
        if refused and state.digest != deployment.digest:
            now, place = self.now(), deployment.place
            # Held first: killed in between, the next look does the rest.
            hold = Hold(place, deployment.commit, deployment.digest, ROLLOUT, state.reason, now)
            self.store.deployments.hold(hold)
            self.store.registry.take_back(
                deployment.model, deployment.digest, who=ROLLOUT, reason=state.reason
            )
            self.store.deployments.end(deployment.sequence, "refused", state.reason, now)
            return replace(deployment, state="refused", reason=state.reason, ended_at=now)
        if state.phase == "serving" and state.digest == deployment.digest:
            self.store.deployments.end(deployment.sequence, "deployed", state.sentence, self.now())
            return replace(deployment, state="deployed", reason=state.sentence, ended_at=self.now())
        return deployment


def _moved(before: Deployment, now: Deployment) -> bool:
    """Whether a place is of another kind now, or lies elsewhere, so that what runs at the old one is nobody's."""
    return (before.kind, before.settings.get("path")) != (now.kind, now.settings.get("path"))


def _same_port(before: Deployment, now: Deployment) -> bool:
    port = before.settings.get("port")
    return port is not None and port == now.settings.get("port")


def _drift(deployment: Deployment, state: TargetState) -> tuple[str, ...]:
    found = list(state.faults)
    if state.phase == "absent":
        found.append("nothing is there")
    elif state.digest != deployment.digest:
        found.append(f"it has {state.digest or 'no model'}, not {deployment.digest}")
    return tuple(dict.fromkeys(found))
