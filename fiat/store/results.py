"""What the work of a step made once, found again by its fingerprint: tables `results` and `documents`."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from fiat.run.model import Result
from fiat.store.database import Database, Row, Transaction, Value, storable
from fiat.store.documents import Documents, Parts
from fiat.store.faults import damaged_rows
from fiat.store.rows import (
    pack,
    pack_metrics,
    pack_outputs,
    read_time,
    unpack,
    unpack_metrics,
    unpack_outputs,
    write_time,
)

_COLUMNS = "fingerprint, spec, step, run, made_at, body, seal"
_JOINED = "results.fingerprint, results.spec, results.step, results.run, results.made_at, results.body, results.seal"
# How many runs of a spec are searched for the last one that had a step.
_RUNS_TO_SEARCH = 200
_AT_ONCE = 500


class Results:
    """Remembers results. Safe to use from several processes at once.

    Args:
        database: where they are.
        documents: where their large parts are.
        prefix: of the scope that they belong to, see `scopes`; results of other scopes don't exist here.
    """

    def __init__(self, database: Database, documents: Documents, prefix: str = "") -> None:
        self._database = database
        self._documents = documents
        self._prefix = prefix

    def find(self, fingerprint: str) -> Result | None:
        """The result of this work, or None when it was never done.

        Whether its artifacts are still there is another question: ask `Artifacts.check`. `Result.parts` of
        what is found reads its large values when they are asked for.
        """
        return self.find_many((fingerprint,)).get(fingerprint)

    def find_many(self, fingerprints: Iterable[str]) -> dict[str, Result]:
        """The results of these works by fingerprint; those never done are left out."""
        wanted = list(dict.fromkeys(fingerprints))
        found: dict[str, Result] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            some = [self._prefix + one for one in wanted[start : start + _AT_ONCE]]
            marks = ", ".join("?" * len(some))
            rows = self._database.read(
                f"SELECT {_COLUMNS} FROM results WHERE fingerprint IN ({marks}) AND retired_at IS NULL", some
            )
            for result in map(self._result, rows):
                found[result.fingerprint] = result
        return found

    def add(self, result: Result, *, replace: bool = False) -> Result:
        """Remember a result, durably.

        When two processes did the same work at once, the first to come here wins, and both go on with its
        result: what follows is then made from one input, not from two.

        Args:
            result: with `made_at` set.
            replace: take this one even when there is one already (work that is never reused, or was done
                again on purpose).

        Returns:
            The result that is remembered: this one, or the one that was there first.
        """
        with self._database.write() as transaction:
            return self.add_within(transaction, result, replace=replace)

    def add_within(self, transaction: Transaction, result: Result, *, replace: bool = False) -> Result:
        """`add` as a part of a larger transaction."""
        if not replace:
            rows = transaction.execute(
                f"SELECT {_COLUMNS} FROM results WHERE fingerprint = ? AND retired_at IS NULL",
                (self._prefix + result.fingerprint,),
            )
            if rows:
                return self._result(rows[0])
        row = storable(
            (
                self._prefix + result.fingerprint,
                self._prefix + result.spec,
                result.step,
                result.run,
                write_time(result.made_at) or "",
                self._body(transaction, result),
            )
        )
        transaction.execute(
            f"INSERT INTO results ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (fingerprint) DO UPDATE "
            "SET spec = excluded.spec, step = excluded.step, run = excluded.run, "
            "made_at = excluded.made_at, body = excluded.body, seal = excluded.seal, retired_at = NULL",
            (*row, _seal(row)),
        )
        return result

    def last(self, spec: str, step: str) -> Result | None:
        """The result that the newest run of this spec used or made for this step, to explain by.

        Without such a run (they were collected, or the step is older than the last 200): the result made
        last.
        """
        rows = self._database.read(
            f"SELECT {_JOINED} FROM (SELECT id, started_at FROM runs WHERE spec = ? "
            "ORDER BY started_at DESC, id DESC LIMIT ?) AS recent JOIN steps ON steps.run = recent.id "
            "JOIN results ON results.fingerprint = ? || steps.fingerprint "
            "WHERE steps.name = ? AND steps.state IN ('ran', 'reused') "
            "ORDER BY recent.started_at DESC, recent.id DESC LIMIT 1",
            (spec, _RUNS_TO_SEARCH, self._prefix, step),
        )
        if rows:
            return self._result(rows[0])
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM results WHERE spec = ? AND step = ? "
            "ORDER BY made_at DESC, fingerprint DESC LIMIT 1",
            (self._prefix + spec, step),
        )
        return self._result(rows[0]) if rows else None

    def history(self, spec: str, step: str) -> list[Result]:
        """The results that the newest runs of this spec used or made for this step, in the order of their first use."""
        rows = self._database.read(
            "SELECT steps.fingerprint FROM (SELECT id, started_at FROM runs WHERE spec = ? "
            "ORDER BY started_at DESC, id DESC LIMIT ?) AS recent JOIN steps ON steps.run = recent.id "
            "WHERE steps.name = ? AND steps.state IN ('ran', 'reused') "
            "ORDER BY recent.started_at, recent.id",
            (spec, _RUNS_TO_SEARCH, step),
        )
        order = list(dict.fromkeys(str(row[0]) for row in rows))
        found = self.find_many(order)
        return [found[fingerprint] for fingerprint in order if fingerprint in found]

    def drop(self, fingerprint: str) -> None:
        """Forget a result, because an artifact of it is damaged or gone: its work is then done again."""
        with self._database.write() as transaction:
            transaction.execute("DELETE FROM results WHERE fingerprint = ?", (self._prefix + fingerprint,))

    def _body(self, transaction: Transaction, result: Result) -> str:
        small, large = self._documents.split(transaction, {**result.parts, _OBSERVED: dict(result.observed)})
        return pack(
            {
                "outputs": pack_outputs(result.outputs),
                "parts": small,
                "large": large,
                "metrics": pack_metrics(result.metrics),
                "facts": dict(result.facts),
                "warnings": list(result.warnings),
                "seconds": result.seconds,
            }
        )

    def _result(self, row: Row) -> Result:
        *sealed, seal = row
        if seal != _seal(sealed):
            raise damaged_rows(self._database.place, f"the result of step {row[2]} of {row[1]}")
        fingerprint, spec, step, run, made_at, text = sealed
        body: dict[str, Any] = unpack(str(text))
        small, large = body["parts"], body["large"]
        observed = small.pop(_OBSERVED, None)
        if observed is None:
            observed = self._documents.read(large.pop(_OBSERVED))
        return Result(
            fingerprint=str(fingerprint).removeprefix(self._prefix),
            step=str(step),
            spec=str(spec).removeprefix(self._prefix),
            run=str(run),
            outputs=unpack_outputs(body["outputs"]),
            parts=Parts(small, large, self._documents) if large else small,
            observed=observed,
            metrics=unpack_metrics(body["metrics"]),
            facts=body["facts"],
            warnings=tuple(body["warnings"]),
            seconds=body["seconds"],
            made_at=read_time(made_at or None),
        )


def _seal(values: Sequence[Value]) -> str:
    return hashlib.blake2b("\0".join(map(str, values)).encode(), digest_size=16).hexdigest()


# Not a name that a part of a fingerprint can have.
_OBSERVED = "#observed"
