"""Listens to a claimed run: tells the forge now and then, remembers progress, and adds up GPU time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fiat.engine.telling import Telling
from fiat.errors import Fenced, FiatError
from fiat.plan.model import Decision, Plan
from fiat.ports.report import Line
from fiat.run.model import Run, StepResult
from fiat.run.queue import QueuedRun
from fiat.store.store import Store

# A context of a commit takes a thousand statuses at most: a day of training must stay well below.
PACE_S = 20.0


@dataclass
class ErrandReporter:
    """Implements the report port for one claim.

    Attributes:
        queued: the claim.
        store: the claim's own, guarded by its fence.
        telling: words for forges.
        decisions: what was decided for each step so far.
        expected_s: step to the seconds of its last runs.
        clock: monotonic seconds.
        log: hears what could not be told.
    """

    queued: QueuedRun
    store: Store
    telling: Telling
    decisions: Callable[[], Sequence[Decision]]
    expected_s: Mapping[str, Sequence[float]]
    clock: Callable[[], float]
    log: Callable[[str], None]
    _plan: Plan | None = None
    _steps: dict[str, StepResult] = field(default_factory=dict)
    _began_s: dict[str, float] = field(default_factory=dict)
    _told_s: float | None = None
    _owed: Run | None = None
    _used_s: float = 0.0

    def planned(self, run: Run, plan: Plan) -> None:
        """The plan is known: the first thing that is told."""
        self._plan = plan

    def stepped(self, run: Run, result: StepResult) -> None:
        """A step changed: count, and tell; a moment later, when something was told just now."""
        self._steps[result.name] = result
        if result.state == "running":
            self._began_s[result.name] = self.clock()
        elif result.name in self._began_s:
            self._used_s += self._gpus(result.name) * (self.clock() - self._began_s.pop(result.name))
        if result.state == "ran" and result.kind != "deploy":
            self.store.queue.progressed(self.queued.id, self.queued.fence)
        self._owed = run
        self.catch_up()

    def catch_up(self) -> None:
        """Tell what changed last, if that is still to be told and it is time. Called now and then while steps run."""
        now_s = self.clock()
        if self._owed is not None and (self._told_s is None or now_s - self._told_s >= PACE_S):
            owed, self._owed, self._told_s = self._owed, None, now_s
            self._tell(owed)

    def printed(self, run: Run, line: Line) -> None:
        """Lines are in the log file; nobody waits for them here."""

    def ended(self, run: Run) -> None:
        """The end is told together with the queue's row, by whoever holds the claim."""

    @property
    def gpu_seconds(self) -> float:
        """GPU time of this claim so far."""
        running = sum(
            self._gpus(name) * (self.clock() - since_s) for name, since_s in list(self._began_s.items())
        )
        return self._used_s + running

    def _gpus(self, step: str) -> float:
        if self._plan is None:
            return 0.0
        return next((item.limits.gpus for item in self._plan.steps if item.name == step), 0.0)

    def _tell(self, run: Run) -> None:
        if self._plan is None:
            return
        known = {step.name: step for step in run.steps} | self._steps
        steps = tuple(
            known.get(step.name, StepResult(step.name, step.kind, "waiting")) for step in self._plan.steps
        )
        record = Run(**{**run.__dict__, "steps": steps})
        try:
            self.store.outbox.add(
                self.telling.runs(self.queued, record, self._plan, self.decisions(), self.expected_s)
            )
        except Fenced:
            raise
        except FiatError as error:
            self.log(f"run {self.queued.id}: its progress could not be told: {error}")
