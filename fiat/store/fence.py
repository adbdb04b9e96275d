"""What keeps a worker that was taken over from writing: its fence is asked for at the start of each transaction."""

from dataclasses import dataclass

from fiat.errors import Fenced
from fiat.store.database import Transaction


@dataclass(frozen=True)
class Fence:
    """A claim on a queued run, as a guard for `open_store`.

    Attributes:
        run: id of the queued run.
        number: `QueuedRun.fence` of the claim.
    """

    run: str
    number: int

    def __call__(self, transaction: Transaction) -> None:
        """Refuse a transaction when the claim is no longer the run's newest, or the run is over.

        Raises:
            Fenced: somebody else has the run, or it ended.
        """
        held = transaction.execute(
            "SELECT 1 FROM queue WHERE id = ? AND fence = ? AND state = 'running'", (self.run, self.number)
        )
        if not held:
            raise fenced(self.run)


def fenced(run: str) -> Fenced:
    """The fault of a worker whose claim is over."""
    return Fenced(
        f"run {run} was taken over by another worker, or it ended", hint="stop; nothing of this was kept"
    )
