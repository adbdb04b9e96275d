"""Numbers of runs and their steps, curves of many points among them: table `metrics`."""

from collections.abc import Sequence

from fiat.run.model import Metric
from fiat.store.database import Database, Transaction
from fiat.store.rows import metric_row, read_metric

METRIC_COLUMNS = "name, value, x, slice, low, high, n_rows"


class Metrics:
    """Remembers the metrics of steps. Safe to use from several processes at once.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, run_id: str, step: str, metrics: Sequence[Metric]) -> None:
        """Add to the metrics of a step, in order. One call for many is much cheaper than one each."""
        with self._database.write() as transaction:
            add_metrics_within(transaction, run_id, step, metrics)

    def drop(self, run_id: str, step: str) -> None:
        """Forget the metrics of a step, before another attempt at it writes its own."""
        with self._database.write() as transaction:
            transaction.execute("DELETE FROM metrics WHERE run = ? AND step = ?", (run_id, step))

    def curve(self, run_id: str) -> list[tuple[str, Metric]]:
        """All metrics of steps that have a place on an x axis.

        Returns:
            (step's name, metric), by step and then in the order they were made. A reused step has none here: they
            are with the run that made its result (`Result.run`).
        """
        return self._select(run_id, "AND x IS NOT NULL AND step <> ''")

    def of_steps(self, run_id: str) -> list[tuple[str, Metric]]:
        """All metrics of steps, final ones and curves, as `curve` gives them."""
        return self._select(run_id, "AND step <> ''")

    def _select(self, run_id: str, condition: str) -> list[tuple[str, Metric]]:
        rows = self._database.read(
            f"SELECT step, {METRIC_COLUMNS} FROM metrics WHERE run = ? {condition} ORDER BY step, position",
            (run_id,),
        )
        return [(str(row[0]), read_metric(*row[1:])) for row in rows]


def add_metrics_within(transaction: Transaction, run_id: str, step: str, metrics: Sequence[Metric]) -> None:
    """`Metrics.add` as a part of a larger transaction; the step's name is empty for metrics of the whole run."""
    if not metrics:
        return
    rows = transaction.execute(
        "SELECT COALESCE(MAX(position), -1) + 1 FROM metrics WHERE run = ? AND step = ?", (run_id, step)
    )
    first = int(rows[0][0] or 0)
    transaction.execute_many(
        f"INSERT INTO metrics (run, step, position, {METRIC_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [metric_row(run_id, step, first + place, metric) for place, metric in enumerate(metrics)],
    )
