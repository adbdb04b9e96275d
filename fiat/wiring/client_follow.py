"""Follow a run on a runner as if it ran here: the same reporter hears the same things, whatever the network does."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from fiat.builtin.http_client import BrokenTransfer
from fiat.plan.model import Plan, Step
from fiat.ports.report import Line, Reporter
from fiat.run.model import Run, StepResult
from fiat.wiring.client_events import Event, EventReader
from fiat.wiring.client_link import Link
from fiat.wiring.client_values import run_of

_OVER = frozenset({"ran", "failed", "cancelled"})
# A connection that ends sooner was cut by something on the way.
SHORTEST_CONNECTION_S = 10.0


@dataclass
class Following:
    """Follows one run.

    Attributes:
        link: to the runner.
        run_id: the run.
        reporter: hears it.
        say: hears what a reporter has no word for: that it waits, that it is cancelled.
        clock: monotonic seconds.
    """

    link: Link
    run_id: str
    reporter: Reporter
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _run: Run = field(default_factory=lambda: run_of({}))
    _last_id: str = ""
    _stands: str = ""
    _planned: bool = False
    _steps: dict[str, StepResult] = field(default_factory=dict)
    _rests: dict[str, str] = field(default_factory=dict)
    _ended: dict[str, StepResult] = field(default_factory=dict)

    def to_end(self) -> Run:
        """Follow until the run is over.

        Raises:
            SpecError: there is no such run.
            EnvironmentFault: the runner refuses us, or was away for too long.
        """
        while not self.link.patiently(self._connection):
            pass
        run = self._look()
        self._take_steps(run)
        for step in list(self._ended):
            self._tell_end(step)
        self.reporter.ended(run)
        return run

    def _connection(self) -> bool:
        """Follow for as long as one connection lasts; whether the run is over.

        Raises:
            BrokenTransfer: it did not last, so that there is a pause before the next one.
        """
        reader, began_s = EventReader(), self.clock()
        with self.link.stream(f"/runs/{self.run_id}/events", self._last_id) as pieces:
            for piece in pieces:
                ended, events = list(self._ended), reader.feed(piece)
                for event in events:
                    if self._hear(event):
                        return True
                if not events and reader.is_idle:  # a heartbeat: there is no more to tell
                    logs = None
                else:
                    logs = {str(event.data.get("step")) for event in events if event.name == "log"}
                for step in ended:
                    if logs is None or self._is_told(step, logs):
                        self._tell_end(step)
        if self.clock() - began_s < SHORTEST_CONNECTION_S:
            raise BrokenTransfer("the connection was closed")
        return False

    def _hear(self, event: Event) -> bool:
        if event.name == "log":
            self._log(event)
        elif event.name == "state":
            self._state(event.data)
        # Only now: what was not heard to its end is asked for again.
        self._last_id = event.id or self._last_id
        return event.name == "end"

    def _log(self, event: Event) -> None:
        step, text = event.data.get("step"), event.data.get("text")
        if not isinstance(step, str) or not isinstance(text, str):
            return
        if step not in self._steps:
            self._take_steps(self._look())
        *lines, rest = (self._rests.get(step, "") + text).split("\n")
        self._rests[step] = rest
        for line in lines:
            self.reporter.printed(self._run, Line(step, line))

    def _state(self, data: Mapping[str, object]) -> None:
        stands = f"{data.get('state')} {data.get('phase')} {data.get('cancel')}"
        if stands != self._stands:
            self._stands = stands
            self._tell_stand(data)
        steps = data.get("steps")
        known = {name: step.state for name, step in self._steps.items()}
        if isinstance(steps, dict) and steps and steps != known:
            self._take_steps(self._look())

    def _tell_stand(self, data: Mapping[str, object]) -> None:
        if data.get("cancel"):
            self.say(f"run {self.run_id} is asked to end: {data['cancel']}")
        elif data.get("state") == "held":
            self.say(f"run {self.run_id} waits for approval")
        elif data.get("state") == "waiting":
            self.say(f"run {self.run_id} waits for a worker")

    def _take_steps(self, run: Run) -> None:
        """Tell each step that stands otherwise than it was told last."""
        if run.steps and not self._planned:
            self._planned = True
            steps = tuple(Step(step.name, step.kind) for step in run.steps)
            self.reporter.planned(run, Plan(run.spec, ".", "", steps))
        for step in run.steps:
            before = self._steps.get(step.name)
            if before is not None and (before.state, before.attempt) == (step.state, step.attempt):
                continue
            self._steps[step.name] = step
            if step.state not in _OVER or not step.attempt:
                self.reporter.stepped(run, step)
                continue
            if before is None:  # its beginning was between two looks
                self.reporter.stepped(run, replace(step, state="running"))
            self._ended[step.name] = step

    def _is_told(self, name: str, logs: set[str]) -> bool:
        """Whether nothing of a step's log can follow, since a runner tells logs in the order of the steps."""
        order = list(self._steps)
        return any(order.index(other) > order.index(name) for other in logs & self._steps.keys())

    def _tell_end(self, name: str) -> None:
        """Tell that a step is over, once everything that it printed is told."""
        if rest := self._rests.pop(name, ""):
            self.reporter.printed(self._run, Line(name, rest))
        self.reporter.stepped(self._run, self._ended.pop(name))

    def _look(self) -> Run:
        self._run = run_of(self.link.get(f"/runs/{self.run_id}"))
        return self._run
