"""What happened in each run: tables `runs` (with the verdict), `steps`, `gates` and `metrics`."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from fiat.errors import EnvironmentFault, SpecError
from fiat.run.model import GateResult, Metric, Run, RunState, StepResult, Verdict
from fiat.store.database import Database, Row, Transaction
from fiat.store.documents import Documents
from fiat.store.faults import damaged_rows
from fiat.store.metrics import METRIC_COLUMNS, add_metrics_within
from fiat.store.rows import pack, read_metric, write_time
from fiat.store.run_rows import (
    GATE_COLUMNS,
    RUN_COLUMNS,
    SAVE_STEP,
    STEP_COLUMNS,
    gate_row,
    read_gate,
    read_run,
    read_step,
    run_row,
    step_row,
)

_NEAR = 200


class Runs:
    """Remembers runs. Safe to use from several processes at once.

    Args:
        database: where they are.
        documents: where their configs are.
        now: the clock, aware.
    """

    def __init__(self, database: Database, documents: Documents, now: Callable[[], datetime]) -> None:
        self._database = database
        self._documents = documents
        self._now = now

    def add(self, run: Run, *, again: bool = False) -> None:
        """Remember a run with its steps, metrics and gates, in one transaction.

        For a run that starts, and as well for one that is over already because everything was reused.

        Args:
            run: the run.
            again: it may be there already, begun by a worker that is gone: this one takes its place. A step that
                ran then and is reused now stays as it ran.

        Raises:
            EnvironmentFault: there is a run of that id, and it is not to be replaced.
        """
        with self._database.write() as transaction:
            there = bool(transaction.execute("SELECT 1 FROM runs WHERE id = ?", (run.id,)))
            if there and not again:
                raise EnvironmentFault(
                    f"there is a run {run.id} already", hint="start it again, with another id"
                )
            config = self._documents.write(transaction, pack(run.config))
            if there:
                _make_way(transaction, run)
            transaction.execute(
                f"INSERT INTO runs ({RUN_COLUMNS}) VALUES ({', '.join('?' * 18)})", run_row(run, config)
            )
            if there:
                for step in run.steps:
                    save_step_within(transaction, run.id, step)
            else:
                transaction.execute_many(
                    f"INSERT INTO steps ({STEP_COLUMNS}) VALUES ({', '.join('?' * 13)})",
                    [(run.id, step.name, place, *step_row(step)) for place, step in enumerate(run.steps)],
                )
            _write_outcome(transaction, run.id, run.metrics, run.gates)

    def save_step(self, run_id: str, step: StepResult) -> None:
        """Remember how a step stands; a new one is placed after those that the run has."""
        with self._database.write() as transaction:
            save_step_within(transaction, run_id, step)

    def finish(
        self,
        run_id: str,
        *,
        verdict: Verdict | None,
        reason: str,
        state: RunState,
        ended_at: datetime,
        metrics: Iterable[Metric] = (),
        gates: Iterable[GateResult] = (),
        model_digest: str = "",
    ) -> None:
        """Write a run's end: how it was judged, and the metrics and gates of the whole run.

        Raises:
            EnvironmentFault: the store has no such run.
        """
        with self._database.write() as transaction:
            found = transaction.execute(
                "UPDATE runs SET verdict = ?, reason = ?, state = ?, ended_at = ?, model_digest = ? "
                "WHERE id = ? RETURNING id",
                (verdict, reason, state, write_time(ended_at), model_digest, run_id),
            )
            if not found:
                raise EnvironmentFault(f"run {run_id} is gone from the store", hint="run it again")
            _forget_outcome(transaction, run_id)
            _write_outcome(transaction, run_id, metrics, gates)

    def find(self, name: str) -> Run:
        """A whole run by its id, by the start of its id when only one run has it, or `last` for the newest.

        `Run.metrics` are the metrics of the whole run; those of single steps are given by `Metrics.curve`
        and `Metrics.of_steps`.

        Raises:
            SpecError: no run, or several, are meant; the hint names the nearest ids.
        """
        with self._readable(name):
            return self._whole(self._row(name))

    def _whole(self, row: Row) -> Run:
        run_id = str(row[0])
        steps = self._database.read(
            f"SELECT {STEP_COLUMNS} FROM steps WHERE run = ? ORDER BY position", (run_id,)
        )
        metrics = self._database.read(
            f"SELECT {METRIC_COLUMNS} FROM metrics WHERE run = ? AND step = '' ORDER BY position", (run_id,)
        )
        gates = self._database.read(
            f"SELECT {GATE_COLUMNS} FROM gates WHERE run = ? ORDER BY position",
            (run_id,),
        )
        return read_run(
            row,
            config=self._documents.read(str(row[9])),
            steps=tuple(read_step(step) for step in steps),
            metrics=tuple(read_metric(*metric) for metric in metrics),
            gates=tuple(read_gate(gate) for gate in gates),
        )

    def newest(
        self,
        *,
        spec: str | None = None,
        branch: str | None = None,
        state: RunState | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> list[Run]:
        """Runs from the newest on, without their config, steps, metrics and gates."""
        wanted = {"spec": spec, "branch": branch, "state": state}
        chosen = {column: value for column, value in wanted.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in chosen)
        rows = self._database.read(
            f"SELECT {RUN_COLUMNS} FROM runs {'WHERE ' + where if where else ''} "
            "ORDER BY started_at DESC, id DESC LIMIT ? OFFSET ?",
            (*chosen.values(), limit, offset),
        )
        with self._readable("of the list"):
            return [read_run(row, config={}) for row in rows]

    def state_of(self, run_id: str) -> RunState | None:
        """How the record of a run stands; None when there is none."""
        rows = self._database.read("SELECT state FROM runs WHERE id = ?", (run_id,))
        found: tuple[Any, ...] = rows[0] if rows else (None,)
        state: RunState | None = found[0]
        return state

    def steps_of(self, run_ids: Iterable[str], name: str) -> dict[str, StepResult]:
        """The step of that name in each of these runs, by the run's id; runs without it are left out."""
        wanted = list(dict.fromkeys(run_ids))
        if not wanted:
            return {}
        marks = ", ".join("?" * len(wanted))
        rows = self._database.read(
            f"SELECT {STEP_COLUMNS} FROM steps WHERE name = ? AND run IN ({marks})", (name, *wanted)
        )
        with self._readable(f"of step {name}"):
            return {str(row[0]): read_step(row) for row in rows}

    def step_seconds(self, spec: str, last: int = 10) -> Mapping[str, list[float]]:
        """How long the steps of a spec took when they ran, step to seconds, the newest first.

        Args:
            spec: its name.
            last: runs that are looked at.
        """
        rows = self._database.read(
            "SELECT steps.name, steps.seconds FROM steps JOIN (SELECT id, started_at FROM runs WHERE spec = ? "
            "ORDER BY started_at DESC, id DESC LIMIT ?) AS recent ON recent.id = steps.run "
            "WHERE steps.state = 'ran' ORDER BY recent.started_at DESC",
            (spec, last),
        )
        found: dict[str, list[float]] = {}
        for name, seconds in rows:
            found.setdefault(str(name), []).append(float(seconds or 0.0))
        return found

    def mark_crashed(self, alive: Callable[[int, str], bool]) -> list[str]:
        """End the runs whose process is gone as `interrupted`.

        Runs of the queue that are not over stay as they are: another worker goes on with them.

        Args:
            alive: (process id, host name) to whether that process may still live; for another host that can't
                be asked, say True.

        Returns:
            Ids of the runs that were ended.
        """
        rows = self._database.read(
            "SELECT id, pid, host FROM runs WHERE state = 'running' "
            "AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.id = runs.id AND queue.state <> 'done')"
        )
        gone = [str(run_id) for run_id, pid, host in rows if not alive(int(pid or 0), str(host))]
        if not gone:
            return []
        ended_at = write_time(self._now())
        with self._database.write() as transaction:
            for run_id in gone:
                transaction.execute(
                    "UPDATE runs SET state = 'interrupted', verdict = 'error', ended_at = ?, "
                    "reason = 'its process ended without a word' WHERE id = ? AND state = 'running'",
                    (ended_at, run_id),
                )
                transaction.execute(
                    "UPDATE steps SET state = 'cancelled', ended_at = ? WHERE run = ? AND state = 'running'",
                    (ended_at, run_id),
                )
        return gone

    @contextmanager
    def _readable(self, name: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, LookupError) as error:
            raise damaged_rows(self._database.place, f"run {name} can't be read: {error}") from error

    def _row(self, name: str) -> Row:
        if name == "last":
            rows = self._database.read(
                f"SELECT {RUN_COLUMNS} FROM runs ORDER BY started_at DESC, id DESC LIMIT 1"
            )
            if not rows:
                raise SpecError("there is no run yet", hint="start one with: fiat run SPEC")
            return rows[0]
        exact = self._database.read(f"SELECT {RUN_COLUMNS} FROM runs WHERE id = ?", (name,))
        if exact:
            return exact[0]
        alike = self._database.read(
            f"SELECT {RUN_COLUMNS} FROM runs WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 6",
            (name, name + "\U0010ffff"),
        )
        if len(alike) == 1 and name:
            return alike[0]
        if alike and name:
            ids = ", ".join(str(row[0]) for row in alike[:5])
            raise SpecError(f"several runs start with {name!r}", hint=f"write more of the id: {ids}")
        recent = self._database.read(
            "SELECT id FROM runs ORDER BY started_at DESC, id DESC LIMIT ?", (_NEAR,)
        )
        near = difflib.get_close_matches(name, [str(row[0]) for row in recent], n=3)
        hint = f"did you mean {' or '.join(near)}" if near else "`fiat runs` lists them"
        raise SpecError(f"there is no run {name!r}", hint=hint)


def save_step_within(transaction: Transaction, run_id: str, step: StepResult) -> None:
    """`Runs.save_step` as a part of a larger transaction."""
    transaction.execute(SAVE_STEP, (run_id, step.name, run_id, *step_row(step)))


def _make_way(transaction: Transaction, run: Run) -> None:
    transaction.execute("DELETE FROM runs WHERE id = ?", (run.id,))
    _forget_outcome(transaction, run.id)
    planned = {step.name for step in run.steps}
    steps = transaction.execute("SELECT run, name FROM steps WHERE run = ?", (run.id,))
    others = [row for row in steps if row[1] not in planned]
    for table, column in (("steps", "name"), ("metrics", "step")):
        transaction.execute_many(f"DELETE FROM {table} WHERE run = ? AND {column} = ?", others)


def _forget_outcome(transaction: Transaction, run_id: str) -> None:
    transaction.execute("DELETE FROM metrics WHERE run = ? AND step = ''", (run_id,))
    transaction.execute("DELETE FROM gates WHERE run = ?", (run_id,))


def _write_outcome(
    transaction: Transaction, run_id: str, metrics: Iterable[Metric], gates: Iterable[GateResult]
) -> None:
    add_metrics_within(transaction, run_id, "", tuple(metrics))
    transaction.execute_many(
        f"INSERT INTO gates ({GATE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [gate_row(run_id, place, gate) for place, gate in enumerate(gates)],
    )
