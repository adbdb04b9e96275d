"""One claimed run from claim to end: what a worker does, and how it ends when it may not go on."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fiat.engine.checkouts import Checkouts
from fiat.engine.footprint import affected
from fiat.engine.policy import short_ref
from fiat.engine.telling import Telling
from fiat.engine.watched import Watched
from fiat.errors import Fenced, FiatError, Interrupted, SpecError, SpecErrors, Stalled, Waiting
from fiat.run.model import Run, Verdict
from fiat.run.queue import Lease, QueuedRun
from fiat.run.report import Addressed
from fiat.store.store import Store
from fiat.wiring.desk import utc_now
from fiat.wiring.errand_claim import WAITING_S, Claim
from fiat.wiring.errand_desk import ErrandDesk, open_errand_desk
from fiat.wiring.errand_reporter import ErrandReporter
from fiat.wiring.errand_spec import ErrandSpec, errand_spec
from fiat.wiring.runner_settings import RunnerSettings
from fiat.wiring.told import told_of

_WITHOUT_COMMIT = frozenset({"schedule", "data", "manual"})
LEAVING = "the runner is stopping"
_PAUSE_S, _LONGEST_PAUSE_S, _LOOK_S = 1.0, 60.0, 0.2


@dataclass(frozen=True)
class Tools:
    """What every errand of a worker is given.

    Attributes:
        store: the worker's own, not bound to a claim.
        settings: of the runner.
        repos: what is watched, by name.
        checkouts: laid out commits.
        telling: words for forges.
        environment: the worker's.
        leaving: whether the runner stops, so that the run is given back.
        log: hears one sentence at a time.
        die: ends this process at once, with every job that it started.
    """

    store: Store
    settings: RunnerSettings
    repos: Mapping[str, Watched]
    checkouts: Checkouts
    telling: Telling
    environment: Mapping[str, str]
    leaving: Callable[[], bool]
    log: Callable[[str], None]
    die: Callable[[], None]


class Errand:
    """One claim on one run."""

    def __init__(self, tools: Tools, queued: QueuedRun) -> None:
        """Nothing happens before `run`."""
        self._tools = tools
        self._queued = queued
        self._claim = Claim(
            queued,
            tools.store,
            tools.settings.limits.lease_s,
            tools.leaving,
            tools.log,
            tools.die,
            lambda: self._reporter.gpu_seconds if self._reporter is not None else 0.0,
        )
        self._reporter: ErrandReporter | None = None

    def run(self) -> None:
        """Do the run, and say in the queue how it ended.

        A claim that was lost ends this process: whatever it still does must not be seen. So does an end that can't be
        written: a worker must not take another run while it still has this one.
        """
        beats = threading.Thread(target=self._claim.beat, name="beat", daemon=True)
        beats.start()
        try:
            self._attempt()
        except FiatError as error:
            self._tools.log(f"run {self._queued.id}: {error}")
            self._tools.die()
        finally:
            self._claim.over()
            beats.join()

    def _attempt(self) -> None:
        queued, tools = self._queued, self._tools
        try:
            watched = tools.repos.get(queued.repo)
            if watched is None:
                raise Stalled(f"{queued.repo} is no longer watched")
            self._say("begins" if queued.attempt <= 1 else f"begins again (claim {queued.attempt})")
            found = errand_spec(queued, watched, tools.checkouts)
            self._walk(watched, found)
        except SpecErrors as errors:
            self._finish_badly("fail", str(errors.errors[0]), errors.errors)
        except SpecError as error:
            self._finish_badly("fail", str(error), [error])
        except Interrupted as stop:
            self._stopped(stop)
        except Fenced:
            raise
        except Stalled as error:
            self._finish_badly("error", str(error))
        except FiatError as error:
            self._try_again(error)

    def _walk(self, watched: Watched, found: ErrandSpec) -> None:
        queued, tools = self._queued, self._tools
        desk = open_errand_desk(
            queued,
            found,
            watched.policy,
            tools.settings,
            lambda: self._begin_deploy(watched),
            tools.environment,
        )
        with desk:
            store = desk.store
            reporter = self._reporter = ErrandReporter(
                queued,
                store,
                tools.telling,
                decisions=lambda: loop.walk.decisions(),
                expected_s=store.runs.step_seconds(found.loaded.spec.name),
                clock=time.monotonic,
                log=tools.log,
            )
            record = desk.record()
            loop = replace(
                desk.loop(record, reporter, compute=tools.settings.compute, dry=desk.judges_only),
                stop=self._look,
                again=True,
            )
            run = loop.run(record, desk.plan)
            self._finish(desk, run, found)

    def _say(self, what: str) -> None:
        queued = self._queued
        where = f"pull request {queued.pull}" if queued.pull else short_ref(queued.ref)
        self._tools.log(
            f"{queued.repo} {queued.spec} at {queued.commit[:10]} ({where}), run {queued.id}: {what}"
        )

    def _finish(self, desk: ErrandDesk, run: Run, found: ErrandSpec) -> None:
        told = told_of(desk.store, self._tools.settings.store, run, found.changed, found.loaded.where)
        verdict: Verdict = run.verdict or "error"
        over = replace(
            self._queued, state="done", verdict=verdict, reason=run.reason, ended_at=run.ended_at, worker=""
        )
        reports = self._tools.telling.ends(over, told)
        self._end(verdict, run.reason, reports)

    def _finish_badly(self, verdict: Verdict, reason: str, errors: list[SpecError] | None = None) -> None:
        over = replace(
            self._queued, state="done", verdict=verdict, reason=reason, ended_at=utc_now(), worker=""
        )
        reports = self._tools.telling.waits(over, errors or ())
        self._end(verdict, reason, reports, close=True)

    def _end(
        self, verdict: Verdict, reason: str, reports: Sequence[Addressed], *, close: bool = False
    ) -> None:
        queued, store = self._queued, self._tools.store

        def write() -> None:
            if close:
                self._close_record(reason)
            self._claim.waits_no_more()
            store.queue.finish(queued.id, queued.fence, verdict, reason, reports, self._tools.telling)

        self._claim.insist(write)
        self._say(f"{verdict}: {reason}")

    def _close_record(self, reason: str) -> None:
        """A record that was begun and is still open ends with the run."""
        store, run_id = self._tools.store, self._queued.id
        begun = store.runs.state_of(run_id)
        if begun == "running":
            store.runs.finish(
                run_id, verdict="error", reason=reason, state="interrupted", ended_at=utc_now(), gates=()
            )

    def _stopped(self, stop: Interrupted) -> None:
        if self._claim.cancel:
            self._finish_badly("error", self._claim.cancel)
        elif self._tools.leaving():
            queue, queued = self._tools.store.queue, self._queued
            self._claim.insist(lambda: queue.give_back(queued.id, queued.fence, LEAVING))
        else:
            self._finish_badly("error", stop.message)

    def _try_again(self, error: FiatError) -> None:
        """The machine is at fault: the run waits for the next claim, unless that was so too often.

        What only needs patience (git or a disk that does not answer) is given back without counting. The claim is held for
        a while first, so that the same fault is not met again at once.
        """
        queued, tools = self._queued, self._tools
        tools.log(f"run {queued.id}: {error}")
        asked_s = error.retry_after_s if isinstance(error, Waiting) else None
        self._pause(min(_LONGEST_PAUSE_S, asked_s or _PAUSE_S * 2.0 ** min(queued.attempt, 6)))
        if self._claim.cancel:
            self._finish_badly("error", self._claim.cancel)
            return
        if isinstance(error, Waiting) and self._claim.waited_s() > WAITING_S:
            self._finish_badly("error", f"given up: {error.message}")
            return
        # Without a word to the store the run would stand still until the lease ends, and we with it.
        self._claim.insist(lambda: self._let_go(error))

    def _let_go(self, error: FiatError) -> None:
        queued, store = self._queued, self._tools.store
        if isinstance(error, Waiting):
            store.queue.give_back(queued.id, queued.fence, error.message)
            return
        for lease in store.queue.leases():
            if (lease.run, lease.fence) == (queued.id, queued.fence):
                self._expire(lease, str(error))

    def _pause(self, seconds: float) -> None:
        give_up_s = time.monotonic() + seconds
        while time.monotonic() < give_up_s and not self._why_stop():
            time.sleep(_LOOK_S)

    def _expire(self, lease: Lease, reason: str) -> None:
        limit = self._tools.settings.limits.attempts
        self._tools.store.queue.expire(lease, reason, limit, self._tools.telling)

    def _look(self) -> str:
        """Asked ten times a second while steps run: why they shall end."""
        if self._reporter is not None:
            self._reporter.catch_up()
        return self._why_stop()

    def _why_stop(self) -> str:
        return self._claim.cancel or (LEAVING if self._tools.leaving() else "")

    def _begin_deploy(self, watched: Watched) -> None:
        """Only what the protected branch says now is deployed; and from here on nothing supersedes the run.

        Raises:
            Stalled: the branch has moved on, the run was cancelled before, or the repository is another one now.
        """
        queued = self._queued
        watched.assure_identity()
        if queued.purpose != "rollback":
            watched.mirror.fetch([queued.ref])
            head = watched.mirror.commit_of(queued.ref)
            if head != queued.commit and not self._still_meant(watched, head):
                raise Stalled(f"{short_ref(queued.ref)} has moved on to {head[:10] or 'nothing'}")
        self._tools.store.queue.begin_deploy(queued.id, queued.fence)

    def _still_meant(self, watched: Watched, head: str) -> bool:
        """Whether a run that no commit started is what the branch would make now: its spec reads nothing that changed."""
        queued = self._queued
        if queued.purpose not in _WITHOUT_COMMIT or not head:
            return False
        if not watched.mirror.is_ancestor(queued.commit, head):
            return False
        cache = self._tools.settings.store / "footprints"
        (judged,) = affected(watched.mirror, head, queued.commit, [queued.spec_path], cache=cache)
        return not judged.touched


def end_process() -> None:
    """End this process and everything that it started: their lifelines close."""
    os._exit(70)
