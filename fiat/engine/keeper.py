"""Watch runs from outside their workers: silent workers, poison, limits of time and GPU hours."""

from collections.abc import Callable
from dataclasses import dataclass, field

from fiat.engine.policy import RunPolicy
from fiat.engine.run_time import RunTime
from fiat.engine.telling import Telling
from fiat.run.queue import Lease, QueuedRun
from fiat.store.store import Store

OBEY_S = 60.0
# A deploy is left to finish, but one that hangs must not keep its lane for ever.
SHORTEST_DEPLOY_S = 3600.0
_HOUR_S = 3600.0


@dataclass
class _Seen:
    """A lease as it was seen, and since when by our own clock."""

    lease: Lease
    since_s: float
    counted_s: float
    asked_s: float | None = None
    deploys_s: float | None = None
    said: str = ""
    silent: str = ""


@dataclass
class Keeper:
    """Tells a silent worker by our own monotonic clock: no wall clock of any machine can shorten or lengthen a lease.

    Attributes:
        store: with the queue.
        policy: limits and the length of a lease.
        telling: words for forges.
        clock: monotonic seconds.
        alive: whether the worker `host:pid:start` lives; None when it is on another host.
        kill: ends that worker, frozen or not, with all its jobs, if it is on this host.
        log: hears what was done.
    """

    store: Store
    policy: RunPolicy
    telling: Telling
    clock: Callable[[], float]
    alive: Callable[[str], bool | None]
    kill: Callable[[str], None]
    log: Callable[[str], None]
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing is seen yet."""
        self._time = RunTime(self.store)

    def tick(self) -> None:
        """Look at every running run once."""
        leases = {lease.run: lease for lease in self.store.queue.leases()}
        for run_id in [run_id for run_id in self._seen if run_id not in leases]:
            del self._seen[run_id]
        for lease in leases.values():
            seen = self._look(lease)
            if not self._expired(seen):
                self._limit(seen)
        self._time.save(self.clock())

    def _look(self, lease: Lease) -> _Seen:
        now_s = self.clock()
        seen = self._seen.get(lease.run)
        if seen is None or seen.lease.fence != lease.fence:
            seen = self._seen[lease.run] = _Seen(lease, now_s, now_s)
        elif seen.lease.beat != lease.beat:
            seen.lease, seen.since_s, seen.silent = lease, now_s, ""
        return seen

    def _expired(self, seen: _Seen) -> bool:
        """Take a run from a worker that is dead, or silent for a whole lease."""
        lease = seen.lease
        silent_s = self.clock() - seen.since_s
        alive = self.alive(lease.worker)
        if alive is not False and silent_s < self.policy.lease_s:
            return False
        if alive is not False:
            seen.silent = f"its worker was silent for {silent_s:.0f} s"
        # What is killed here may lock the database, so that only the next look gets further: it finds a dead worker.
        reason = seen.silent or "its worker died"
        if alive:
            # Frozen, or out of memory: it must not wake up in the middle of a deploy.
            self.kill(lease.worker)
        # A deploy that was ended for its time is not begun again by the next worker.
        attempts = 0 if seen.said and seen.deploys_s is not None else self.policy.attempts
        ended = self.store.queue.expire(lease, seen.said or reason, attempts, self.telling)
        self.log(f"run {lease.run}: {reason}; it is {ended}")
        self._seen.pop(lease.run, None)
        return True

    def _limit(self, seen: _Seen) -> None:
        run = self.store.queue.find(seen.lease.run)
        if run is None or (run.state, run.fence) != ("running", seen.lease.fence):
            return
        now_s = self.clock()
        ran_s = self._time.add(run.id, now_s - seen.counted_s)
        seen.counted_s = now_s
        if run.phase == "deploy":
            self._limit_deploy(seen, run)
        elif run.cancel:
            self._insist(seen)
        elif reason := self._over(run, ran_s):
            self.log(f"run {run.id}: {reason}")
            self.store.queue.cancel(run.id, reason, self.telling)

    def _insist(self, seen: _Seen) -> None:
        """A worker that was told to end and does not is ended."""
        now_s = self.clock()
        if seen.asked_s is None:
            seen.asked_s = now_s
        elif now_s - seen.asked_s > OBEY_S:
            self.log(f"run {seen.lease.run}: its worker did not end it in {OBEY_S:.0f} s and is ended")
            self.kill(seen.lease.worker)

    def _limit_deploy(self, seen: _Seen, run: QueuedRun) -> None:
        """A deploy has a time of its own; its worker is ended after it, and the run with it: its lane comes free."""
        now_s = self.clock()
        if seen.deploys_s is None:
            seen.deploys_s = now_s
        limit_s = max(self.policy.time_s, SHORTEST_DEPLOY_S)
        if now_s - seen.deploys_s <= limit_s:
            return
        if not seen.said:
            seen.said = f"deployed for longer than {limit_s / _HOUR_S:g} h"
            self.log(f"run {run.id}: {seen.said}; its worker is ended")
        self.kill(seen.lease.worker)
        if self.alive(seen.lease.worker) is None:
            # On another host: without its claim it ends itself.
            self.store.queue.expire(seen.lease, seen.said, 0, self.telling)

    def _over(self, run: QueuedRun, ran_s: float) -> str:
        """Which limit a run is over, empty for none."""
        policy = self.policy
        if ran_s > policy.time_s:
            return f"ran longer than its limit of {policy.time_s / _HOUR_S:g} h"
        if policy.gpu_s is not None and run.gpu_seconds > policy.gpu_s:
            return f"used more than its limit of {policy.gpu_s / _HOUR_S:g} GPU hours"
        if policy.pull_gpu_s is not None and run.pull:
            used_s = self.store.queue.gpu_seconds_of_pull(run.repo, run.pull)
            if used_s > policy.pull_gpu_s:
                return (
                    f"its pull request used more than its limit of {policy.pull_gpu_s / _HOUR_S:g} GPU hours"
                )
        return ""
