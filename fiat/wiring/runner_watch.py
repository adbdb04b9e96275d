"""Watch the services of a runner's repositories: tell commits of alarms, and let models that drifted be trained again."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from fiat.builtin.deploy_service_place import service_place
from fiat.builtin.http_client import HttpClient, HttpPolicy
from fiat.builtin.report_check import Manner, run_url
from fiat.builtin.report_check_words import line
from fiat.engine.asks import Asks, own_serial
from fiat.engine.placing import MONITOR, Placer
from fiat.engine.policy import HEADS
from fiat.engine.targets import Targets
from fiat.engine.watched import Watched
from fiat.errors import EnvironmentFault
from fiat.monitor.alarms import Action
from fiat.run.deployment import Deployment
from fiat.run.queue import Change
from fiat.run.report import Check, addressed
from fiat.serving.place import Place
from fiat.store.store import Store
from fiat.wiring.desk import utc_now
from fiat.wiring.grounds import runner_placer
from fiat.wiring.monitor import settle, watch_service
from fiat.wiring.runner_parts import Parts
from fiat.wiring.runner_teller import make_manners, target_words

_WEBHOOK_S = 10.0


@dataclass
class ServiceWatch:
    """Looks at the log of each service that has its model.

    Attributes:
        store: with the outbox and releases.
        asks: asks for retrainings.
        placer: knows where services stand.
        manners: how repositories are spoken about.
        now: the clock, aware UTC.
    """

    store: Store
    asks: Asks
    placer: Callable[[Watched], Placer]
    manners: Mapping[str, Manner]
    now: Callable[[], datetime]

    def look(self, watched: Watched, deployment: Deployment) -> None:
        """Judge what is new in the log of a place; places without `monitor`, and those that don't serve, have none.

        Raises:
            EnvironmentFault: what was found can't be written down.
        """
        monitor = deployment.settings.get(MONITOR)
        if deployment.kind != "service" or not isinstance(monitor, Mapping):
            return
        request = self.placer(watched).request(deployment)
        place, now_s = service_place(request), self.now().timestamp()
        policy = HttpPolicy(
            allow_private_hosts=request.allow_private_hosts,
            hosts=request.hosts,
            timeout_s=_WEBHOOK_S,
            proxies=request.env,
        )
        try:
            outcome = watch_service(place, monitor, now_s, client=HttpClient(policy))
            for action in outcome.actions:
                self._do(watched, deployment, place, action)
        except OSError as error:
            raise EnvironmentFault(
                f"{deployment.place}: what was watched can't be kept: {error.strerror or error}",
                hint="free space on the disk",
            ) from error

    def _do(self, watched: Watched, deployment: Deployment, place: Place, action: Action) -> None:
        """Do it, and only then say that it is done: a kill in between does the same again, which changes nothing."""
        if action.kind == "status":
            repo = watched.policy.name
            self.store.outbox.add([addressed(repo, self._check(repo, deployment, action))])
        elif action.kind == "retrain":
            self._retrain(watched, deployment, action)
        settle(place, action, self.now().timestamp())

    def _check(self, repo: str, deployment: Deployment, action: Action) -> Check:
        manner = self.manners.get(repo, Manner())
        return Check(
            deployment.commit,
            f"{manner.context}/monitor/{deployment.spec}/{deployment.target}",
            "failure" if action.event == "alarm" else "success",
            line(action.sentence, sandboxed=manner.sandboxed),
            run_url(manner, deployment.run),
        )

    def _retrain(self, watched: Watched, deployment: Deployment, action: Action) -> None:
        """A run of the branch's head: sources are looked at anew, so it trains on whatever data there are by now."""
        release = self.store.releases.last(deployment.model, commit=deployment.commit)
        ref = f"{HEADS}{release.branch}" if release is not None else ""
        if not ref or not watched.policy.protects(ref):
            return
        watched.mirror.fetch([ref])
        head = watched.mirror.commit_of(ref)
        if not head:
            return
        change = Change(
            id=self.asks.new_id(),
            repo=watched.policy.name,
            commit=head,
            purpose="data",
            ref=ref,
            specs=(deployment.spec,),
            cause=f"{deployment.target}: {action.sentence}"[:300],
            made_at=self.now(),
        )
        self.asks.add(change, own_serial("retrain", deployment.place, action.key))


def make_targets(parts: Parts, store: Store, asks: Asks) -> Targets:
    """What looks after the places of a runner's models.

    Args:
        parts: of the runner.
        store: of the thread that looks.
        asks: asks for runs.
    """
    placer = partial(runner_placer, parts.settings, store, utc_now)
    watch = ServiceWatch(store, asks, placer, make_manners(parts.settings), utc_now)
    return Targets(store, placer, target_words(parts.settings), watch.look, time.monotonic, parts.log)
