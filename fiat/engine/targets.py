"""Reconcile what stands on targets: follow rollouts, find what differs from git, mend it, and say so on the commit."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fiat.engine.placing import Placer, Sight
from fiat.engine.sight_marks import SightMarks
from fiat.engine.watched import Watched
from fiat.errors import Fenced, FiatError
from fiat.ports.deploy import TargetState
from fiat.run.deployment import Deployment, Seen
from fiat.run.report import Report, addressed
from fiat.store.store import Store

DEEP_S = 600.0
"""Between two looks at every byte of a place that seems to be as it should."""

Words = Callable[[str, Deployment, TargetState, Sequence[str]], Sequence[Report]]
Watch = Callable[[Watched, Deployment], None]


@dataclass
class Targets:
    """Looks at the places of a repository's models.

    Attributes:
        store: with deployments and the outbox.
        placer: puts models on a repository's places.
        words: reports of a repository about a place.
        watch: looks at how a served model does; called for each place that has its model.
        clock: monotonic seconds.
        log: hears one sentence about each thing that failed.
    """

    store: Store
    placer: Callable[[Watched], Placer]
    words: Words
    watch: Watch
    clock: Callable[[], float]
    log: Callable[[str], None]
    _looked: dict[str, tuple[int, float]] = field(default_factory=dict)

    def look(self, watched: Watched) -> None:
        """Look at each place once; what fails at one keeps no other waiting."""
        placer = self.placer(watched)
        for deployment in self.store.deployments.standing(f"{watched.policy.name}:"):
            if self._is_being_deployed(deployment):
                continue
            if deployment.target not in watched.policy.targets:
                self._left_alone(deployment)
                continue
            try:
                self._place(watched, placer, deployment)
            except Fenced:
                raise
            except FiatError as error:
                if not self._is_wanted(deployment):
                    continue  # a run brought something newer meanwhile: what was refused was the older one
                broken = Sight(deployment, TargetState("broken"), (error.message,))
                self._note(placer, broken)
                self._say(watched, broken)
                self.log(f"{deployment.place}: {error}")

    def _left_alone(self, deployment: Deployment) -> None:
        """Say once that a place is no longer looked after; whatever stands there stays."""
        key, said = f"left alone {deployment.place}", str(deployment.sequence)
        if self.store.marks.get(key) != said:
            self.log(
                f"{deployment.place}: its target is no longer granted, so what stands there is left alone; end it by hand"
            )
            self.store.marks.set(key, said)

    def _place(self, watched: Watched, placer: Placer, deployment: Deployment) -> None:
        if not self._is_time(deployment) and placer.quick_look(deployment):
            self.watch(watched, deployment)
            return
        sight = placer.look(deployment)
        if sight.drift and not self._is_wanted(deployment):
            return
        if sight.drift and deployment.settings.get("heal", True) and not self._held(deployment):
            self.log(f"{deployment.place} differs from git: {'; '.join(sight.drift)}; mending it")
            sight = self._mended(placer, sight)
        self._note(placer, sight)
        self._say(watched, sight)
        if not sight.drift and not sight.under_way:
            self._looked[deployment.place] = (sight.deployment.sequence, self.clock())
            if sight.deployment.state == "deployed":
                self.watch(watched, sight.deployment)

    def _mended(self, placer: Placer, sight: Sight) -> Sight:
        """Brought back, unless traffic is being moved and the target only has not got there yet."""
        settled = sight.deployment.state == "deployed" or sight.state.phase in ("absent", "broken")
        return placer.mend(sight.deployment) if settled else sight

    def _is_time(self, deployment: Deployment) -> bool:
        """Whether to look in earnest: another model was put there, or the last such look is long ago."""
        sequence, last_s = self._looked.get(deployment.place, (0, 0.0))
        return sequence != deployment.sequence or self.clock() - last_s >= DEEP_S

    def _held(self, deployment: Deployment) -> bool:
        """Whether a person said that nothing shall change here."""
        return any(not hold.digest for hold in self.store.deployments.holds(deployment.place))

    def _is_wanted(self, deployment: Deployment) -> bool:
        """Whether it still is the desired state of its place, which a run may have changed since this round began."""
        wanted = self.store.deployments.wanted(deployment.place)
        return wanted is not None and wanted.sequence == deployment.sequence

    def _is_being_deployed(self, deployment: Deployment) -> bool:
        """Whether the run that brings the model there is still at it, or was killed and will be claimed again."""
        if deployment.state != "deploying" or not deployment.run:
            return False
        queued = self.store.queue.find(deployment.run)
        waits = queued is not None and queued.state != "done"
        return waits or self.store.runs.state_of(deployment.run) == "running"

    def _note(self, placer: Placer, sight: Sight) -> None:
        """Keep what was seen, for people who ask how the place is."""
        state, wanted = sight.state, sight.deployment
        now = placer.now()
        seen = Seen(wanted.sequence, state.phase, state.sentence, state.url, tuple(sight.drift), now)
        SightMarks(self.store).note(wanted.place, seen)

    def _say(self, watched: Watched, sight: Sight) -> None:
        """Report what is new; a place that is as it was when it was looked at last says nothing."""
        deployment, state, drift = sight.deployment, sight.state, sight.drift
        repo, key = watched.policy.name, f"told {deployment.place}"
        reports = self.words(repo, deployment, state, drift)
        before = json.loads(self.store.marks.get(key) or "[0, []]")
        now = [deployment.sequence, [repr(report) for report in reports]]
        if before == now:
            return
        # A deploy that went well at once was told by its run.
        is_plain = deployment.state == "deployed" and state.phase == "serving" and not drift
        if deployment.commit and not (is_plain and before[0] != deployment.sequence):
            self.store.outbox.add([addressed(repo, report) for report in reports])
        self.store.marks.set(key, json.dumps(now))
