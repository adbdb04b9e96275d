"""A teller's reports with their addresses: what the store writes together with what they are about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fiat.errors import SpecError
from fiat.plan.model import Decision, Plan
from fiat.ports.report import Teller, Told
from fiat.run.model import Run
from fiat.run.queue import Change, QueuedRun
from fiat.run.report import Addressed, Report, addressed


@dataclass(frozen=True)
class Telling:
    """Puts what happens into addressed reports. Implements the store's `Tell`.

    Attributes:
        teller: the words.
    """

    teller: Teller

    def change(self, change: Change, runs: Sequence[QueuedRun] = ()) -> list[Addressed]:
        """The check of a commit as a whole."""
        return _addressed(change.repo, self.teller.change(change, runs))

    def waits(self, run: QueuedRun, errors: Sequence[SpecError] = ()) -> list[Addressed]:
        """A run as the queue has it."""
        return _addressed(run.repo, self.teller.waits(run, errors))

    def runs(
        self,
        run: QueuedRun,
        record: Run,
        plan: Plan,
        decisions: Sequence[Decision],
        expected_s: Mapping[str, Sequence[float]],
    ) -> list[Addressed]:
        """A run on its way."""
        return _addressed(run.repo, self.teller.runs(run, record, plan, decisions, expected_s))

    def ends(self, run: QueuedRun, told: Told) -> list[Addressed]:
        """A run that has its verdict."""
        return _addressed(run.repo, self.teller.ends(run, told))

    def run_ended(self, run: QueuedRun) -> list[Addressed]:
        """A run that ended without its worker: cancelled, superseded, parked."""
        return self.waits(run)

    def change_ended(self, change: Change, runs: Sequence[QueuedRun]) -> list[Addressed]:
        """A change whose runs are all over."""
        return self.change(change, runs)


def _addressed(repo: str, reports: Iterable[Report]) -> list[Addressed]:
    return [addressed(repo, report) for report in reports]
