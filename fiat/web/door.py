"""What the web needs of the engine: `FrontDoor`. Every method is synchronous, thread-safe, and called in a thread."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from fiat.run.delivery import Delivery
from fiat.run.queue import Change, QueuedRun
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
    RunView,
    StepCourse,
    TakenState,
)


class HookReader(Protocol):
    """What the web needs of a trigger plugin; see `fiat/ports/trigger.py`, which doors don't import."""

    name: str
    order: int

    def recognises(self, headers: Mapping[str, str]) -> bool:
        """Whether a request looks like this forge's."""
        ...

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        """Whether the raw body is signed with one of the secrets; in constant time."""
        ...

    def read(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """What the delivery tells.

        Raises:
            SpecError: the body is not what this forge sends.
        """
        ...


class HookDoor(Protocol):
    """What webhooks need."""

    @property
    def triggers(self) -> tuple[HookReader, ...]:
        """One for each forge, in the order in which they are asked."""
        ...

    def secrets_for(self, forge: str) -> tuple[str, ...]:
        """All webhook secrets of that forge's repositories.

        All of them, since a secret chosen by what an unsigned body says would tell which repositories are known.
        """
        ...

    def secrets_of(self, delivery: Delivery) -> tuple[str, ...] | None:
        """The webhook secrets of the repository that a delivery is about; None when it is nobody's."""
        ...

    def take(self, items: Sequence[Delivery]) -> list[TakenState]:
        """Write deliveries and what follows from them durably; returns when that is done.

        Raises:
            EnvironmentFault: the store did not take them (disk full, gone): nothing of them is kept.
            Waiting: the same, for a while.
        """
        ...


class RunDoor(Protocol):
    """What there is to see. `repos` narrows to these repositories; empty means all."""

    @property
    def repositories(self) -> tuple[str, ...]:
        """Names in the runner's settings."""
        ...

    def runs(self, repos: Sequence[str], spec: str, state: str, before: str, limit: int) -> Page[QueuedRun]:
        """Runs, newest first. Empty texts don't narrow.

        Raises:
            SpecError: `before` is no cursor of ours.
        """
        ...

    def run(self, run_id: str) -> RunView | None:
        """One run with its steps, gates and metrics; None when there is none."""
        ...

    def log(self, run_id: str, step: str, offset: int, limit: int) -> LogChunk | None:
        """At most `limit` bytes of a step's log; None when the run or the step does not exist.

        A step without output yet gives no bytes; so does an offset behind the end. A negative offset counts from
        the end of what there is, and stops at the start; the chunk's own offset says where its bytes really begin.
        """
        ...

    def course(self, run_id: str, step: str) -> StepCourse | None:
        """How a step's metrics and its search go; None when it says nothing of either."""
        ...

    def report_html(self, run_id: str) -> str | None:
        """The full report page; None when there is none."""
        ...

    def changes(self, repos: Sequence[str], before: str, limit: int) -> Page[Change]:
        """Changes, newest first.

        Raises:
            SpecError: `before` is no cursor of ours.
        """
        ...

    def change(self, change_id: str) -> ChangeView | None:
        """One change and its runs."""
        ...

    def places(self, repos: Sequence[str]) -> tuple[PlaceView, ...]:
        """Places that a model is wanted on, by repository and name."""
        ...

    def place(self, repo: str, target: str, model: str, limit: int) -> PlaceView | None:
        """One place with at most `limit` of its deployments, newest first; None when it was never heard of."""
        ...

    def letters(self, repos: Sequence[str], state: str, limit: int) -> tuple[Letter, ...]:
        """Reports that wait (`waiting`) or can't be delivered (`dead`); an empty state means both."""
        ...


class WorkDoor(Protocol):
    """What a person or a program may ask for; `who` is the name of their token.

    Each raises SpecError when what is asked for does not exist or can't be done, Waiting and EnvironmentFault when
    the store or a forge can't answer now.
    """

    def cancel(self, run_id: str, who: str) -> CancelState:
        """End a run: `cancelled` (it had not begun), `cancelling` (its worker is told), `over` (it was done)."""
        ...

    def submit(
        self, repo: str, ref: str, specs: Sequence[str], overrides: Sequence[str], who: str, key: str = ""
    ) -> Change:
        """Ask for runs of a branch, tag or commit; no specs means those that it touches.

        The same `key` of the same person gives the change that it gave before, also after a restart.
        """
        ...

    def approve(self, repo: str, pull: int, commit: str, who: str) -> int:
        """Let the held runs of that very commit go; how many they were, 0 when it has not become runs yet.

        Raises:
            Stalled: nothing of that commit waits for approval.
        """
        ...

    def rollback(self, repo: str, spec: str, who: str) -> Change:
        """Bring back the model that was deployed before, at all targets of the spec."""
        ...


class FrontDoor(HookDoor, RunDoor, WorkDoor, Protocol):
    """All of it, with tokens and how the runner is."""

    def token(self, text: str) -> Access | None:
        """Whose token that is, compared in constant time; None for nobody's.

        Answers from memory: this one is also called outside of threads.
        """
        ...

    def health(self) -> Health:
        """Whether the process lives; cheap, touches no forge."""
        ...

    def ready(self) -> Health:
        """Whether it can take deliveries: the store answers and its parts run."""
        ...

    def numbers(self) -> Numbers:
        """Gauges and counts."""
        ...
