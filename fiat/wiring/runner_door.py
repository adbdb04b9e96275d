"""What a running runner shows and does for its doors: the front's verbs, pages, numbers, and whose token that is."""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

from fiat.engine.front import Front
from fiat.engine.intake import find_repo
from fiat.errors import FiatError, SpecError
from fiat.ports.forge import Forge
from fiat.ports.trigger import Trigger
from fiat.run.delivery import Delivery
from fiat.run.model import Run, StepResult
from fiat.run.queue import Change, QueuedRun, QueueState
from fiat.run.report import Letter
from fiat.run.view import (
    Access,
    CancelState,
    ChangeView,
    Health,
    LogChunk,
    Numbers,
    Page,
    PlaceView,
    RateLimit,
    RunView,
    StepCourse,
    TakenState,
)
from fiat.store.changes import cursor_of_change
from fiat.store.queue_pages import cursor_of_run
from fiat.store.store import Store, open_store
from fiat.wiring.desk import utc_now
from fiat.wiring.errand_desk import scope_of
from fiat.wiring.pages import gather_page
from fiat.wiring.place_views import view_place, view_places
from fiat.wiring.runner_settings import RunnerSettings, WatchedRepo
from fiat.wiring.step_course import COURSE_BYTES, step_course
from fiat.wiring.step_log import read_log
from fiat.wiring.web_address import commit_address, pull_address

_STATES = ("held", "waiting", "running", "done")
_CURSOR_CHARACTERS = 200


@dataclass
class RunnerDoor:
    """Implements `fiat.web.door.FrontDoor`.

    Attributes:
        front: takes and does.
        store: for what only shows; apart from the front's, so that reading does not wait behind its writes.
        settings: of the runner.
        triggers: webhook readers in the order in which they are asked.
        forges: by repository, for their quota.
        parts: part of the runner to how it is: `ok`, or a sentence.
        workers: how many worker processes live.
    """

    front: Front
    store: Store
    settings: RunnerSettings
    triggers: tuple[Trigger, ...]
    forges: Mapping[str, Forge]
    parts: Callable[[], Mapping[str, str]]
    workers: Callable[[], int]

    # Webhooks.

    def secrets_for(self, forge: str) -> tuple[str, ...]:
        """All webhook secrets of that forge's repositories."""
        return tuple(
            secret
            for repository in self.settings.repositories
            if repository.policy.forge == forge and repository.webhooks
            for secret in repository.webhook_secrets
        )

    def secrets_of(self, delivery: Delivery) -> tuple[str, ...] | None:
        """The webhook secrets of the repository that a delivery is about; None when nobody watches it."""
        found = find_repo(delivery, [repository.policy for repository in self.settings.repositories])
        repository = self._repo(found.name) if found is not None else None
        if repository is None:
            return None
        return repository.webhook_secrets if repository.webhooks else ()

    def take(self, items: Sequence[Delivery]) -> list[TakenState]:
        """Write deliveries durably; see Front."""
        return self.front.take(items)

    # What there is to see.

    @property
    def repositories(self) -> tuple[str, ...]:
        """Names in the settings."""
        return tuple(repository.policy.name for repository in self.settings.repositories)

    def runs(self, repos: Sequence[str], spec: str, state: str, before: str, limit: int) -> Page[QueuedRun]:
        """Runs, newest first."""
        if state not in ("", *_STATES):
            raise SpecError(f"{state[:40]!r} is no state", hint=f"one of: {', '.join(_STATES)}")
        _check_cursor(before)
        asked = cast(QueueState | None, state or None)
        found = [
            run
            for repo in (repos or ("",))
            for run in self.store.queue.newest(
                repo=repo, spec=spec, state=asked, before=before, limit=limit + 1
            )
        ]
        found.sort(key=cursor_of_run, reverse=True)
        more = len(found) > limit
        return Page(tuple(found[:limit]), cursor_of_run(found[limit - 1]) if more else "")

    def run(self, run_id: str) -> RunView | None:
        """One run, as the queue and its record know it."""
        queued = self.store.queue.find(run_id)
        if queued is None:
            return None
        record = self._record(run_id)
        repository = self._repo(queued.repo)
        return RunView(
            queued=queued,
            run=record,
            sandbox=self.settings.sandbox.kind,
            commit_url=commit_address(repository, queued.commit),
            pull_url=pull_address(repository, queued.pull),
            has_report=record is not None and record.state == "done",
        )

    def log(self, run_id: str, step: str, offset: int, limit: int) -> LogChunk | None:
        """A piece of a step's log; a negative offset counts from its end."""
        record, found = self._step(run_id, step)
        if record is None or found is None:
            return None
        return read_log(self.store, self.settings.store, record, found, offset, limit)

    def course(self, run_id: str, step: str) -> StepCourse | None:
        """How a step's metrics and its search go."""
        _, found = self._step(run_id, step)
        chunk = self.log(run_id, step, -COURSE_BYTES, COURSE_BYTES)
        if found is None or chunk is None:
            return None
        return step_course(found, chunk.data.decode("utf-8", "replace"), is_whole=chunk.offset == 0)

    def report_html(self, run_id: str) -> str | None:
        """The full report page of a run that is over."""
        queued, record = self.store.queue.find(run_id), self._record(run_id)
        if queued is None or record is None or record.state == "running":
            return None
        if not queued.fork:
            return gather_page(self.store, self.settings.store, record)
        with self._scoped(queued) as store:
            return gather_page(store, self.settings.store, record)

    def changes(self, repos: Sequence[str], before: str, limit: int) -> Page[Change]:
        """Changes, newest first."""
        _check_cursor(before)
        found = [
            change
            for repo in (repos or ("",))
            for change in self.store.changes.newest(repo=repo, before=before, limit=limit + 1)
        ]
        found.sort(key=cursor_of_change, reverse=True)
        more = len(found) > limit
        return Page(tuple(found[:limit]), cursor_of_change(found[limit - 1]) if more else "")

    def change(self, change_id: str) -> ChangeView | None:
        """One change and its runs."""
        change = self.store.changes.find(change_id)
        return None if change is None else ChangeView(change, tuple(self.store.queue.of_change(change_id)))

    def places(self, repos: Sequence[str]) -> tuple[PlaceView, ...]:
        """Places that a model is wanted on, by repository and name."""
        asked = [self._by_name[name] for name in sorted(self._by_name) if not repos or name in repos]
        return tuple(view for repository in asked for view in view_places(self.store, repository))

    def place(self, repo: str, target: str, model: str, limit: int) -> PlaceView | None:
        """One place with its newest deployments."""
        repository = self._repo(repo)
        return view_place(self.store, repository, target, model, limit) if repository else None

    def letters(self, repos: Sequence[str], state: str, limit: int) -> tuple[Letter, ...]:
        """Reports that wait or can't be delivered."""
        states: tuple[Literal["waiting", "dead"], ...] = ("dead", "waiting")
        if state in states:
            states = (state,)
        found = [letter for one in states for letter in self.store.outbox.letters(one, limit)]
        return tuple(letter for letter in found if not repos or letter.repo in repos)[:limit]

    # What people want.

    def cancel(self, run_id: str, who: str) -> CancelState:
        """End a run."""
        return self.front.cancel(run_id, who)

    def submit(
        self, repo: str, ref: str, specs: Sequence[str], overrides: Sequence[str], who: str, key: str = ""
    ) -> Change:
        """Ask for runs."""
        return self.front.submit(repo, ref, specs, overrides, who, key)

    def approve(self, repo: str, pull: int, commit: str, who: str) -> int:
        """Let held runs go."""
        return self.front.approve(repo, pull, commit, who)

    def rollback(self, repo: str, spec: str, who: str) -> Change:
        """Bring back the model before."""
        return self.front.rollback(repo, spec, who)

    # How the runner is.

    def token(self, text: str) -> Access | None:
        """Whose token that is; every one is compared, so that time tells nothing."""
        given = text.encode("utf-8", "surrogateescape")
        found: Access | None = None
        for token in self.settings.tokens:
            if hmac.compare_digest(token.secret.encode(), given) and token.secret:
                found = Access(token.name, token.scopes, frozenset(token.repositories))
        return found

    def health(self) -> Health:
        """The process lives when it can say so."""
        return Health(ok=True, parts={"process": "ok"})

    def ready(self) -> Health:
        """Whether the store answers and every part runs."""
        parts = dict(self.parts())
        try:
            self.store.marks.get("ready")
            parts["store"] = "ok"
        except FiatError as error:
            parts["store"] = str(error)
        return Health(all(said == "ok" for said in parts.values()), parts)

    def numbers(self) -> Numbers:
        """Gauges and counts for `/metrics`."""
        return Numbers(
            deliveries=self.store.deliveries.counts(),
            depths=tuple(self.store.queue.depths()),
            outbox=self.store.outbox.counts(),
            verdicts=self.store.queue.verdicts(),
            leases=len(self.store.queue.leases()),
            workers=self.workers(),
            rate_limits=tuple(self._quotas()),
        )

    def _quotas(self) -> list[RateLimit]:
        return [
            RateLimit(repo, forge.limit, forge.remaining)
            for repo, forge in self.forges.items()
            if forge.limit is not None and forge.remaining is not None
        ]

    def _record(self, run_id: str) -> Run | None:
        try:
            return self.store.runs.find(run_id)
        except SpecError:
            return None

    def _step(self, run_id: str, step: str) -> tuple[Run | None, StepResult | None]:
        record = self._record(run_id)
        found = (item for item in record.steps if item.name == step) if record else iter(())
        return record, next(found, None)

    def _scoped(self, queued: QueuedRun) -> Store:
        return open_store(
            self.settings.store, url=self.settings.database_url, now=utc_now, scope=scope_of(queued)
        )

    @cached_property
    def _by_name(self) -> Mapping[str, WatchedRepo]:
        return {repository.policy.name: repository for repository in self.settings.repositories}

    def _repo(self, name: str) -> WatchedRepo | None:
        return self._by_name.get(name)


def _check_cursor(before: str) -> None:
    if before and ("~" not in before or len(before) > _CURSOR_CHARACTERS):
        raise SpecError("`before` is no cursor of this list", hint="take the `next` of the page before")
