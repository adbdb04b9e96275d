"""What was put on targets, and what is held back from them: tables `deployments` and `holds`."""

import json
from datetime import datetime
from typing import Any

from fiat.run.deployment import Deployment, DeploymentState, Hold
from fiat.store.database import Database, Row
from fiat.store.rows import write_time

_COLUMNS = (
    "sequence, place, kind, target, spec, model, digest, commit_id, run, generation, cause, approver, settings, state, "
    "reason, began_at, ended_at"
)
_OPEN = "state IN ('deploying', 'deployed', 'stopped')"
# Two runs may begin in one order and be numbered in the other: the target goes by the number, so what is wanted does too.
# What is done by hand has none, and stands in stores of its own.
_NEWEST_FIRST = "generation DESC, sequence DESC"
NEWEST = (
    "SELECT sequence FROM (SELECT sequence, ROW_NUMBER() OVER "
    f"(PARTITION BY place ORDER BY {_NEWEST_FIRST}) AS nth FROM deployments WHERE {_OPEN}) AS placed WHERE nth = 1"
)
"""Sequences of the desired states of all places; those that somebody ended are among them."""


class Deployments:
    """Remembers deployments in the order they were begun. Safe to use from several processes at once.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, deployment: Deployment) -> int:
        """Remember that a place is being brought to a model; gives its number.

        The same deploy begun again (its run was killed in between) keeps its row.
        """
        with self._database.write() as transaction:
            if deployment.run:
                rows = transaction.execute(
                    "SELECT sequence FROM deployments WHERE place = ? AND run = ? AND digest = ?",
                    (deployment.place, deployment.run, deployment.digest),
                )
                if rows:
                    transaction.execute(
                        "UPDATE deployments SET state = 'deploying', reason = '', ended_at = NULL WHERE sequence = ?",
                        (rows[0][0],),
                    )
                    return int(str(rows[0][0]))
            rows = transaction.execute(
                f"INSERT INTO deployments ({_COLUMNS}) VALUES "
                "((SELECT COALESCE(MAX(sequence), 0) + 1 FROM deployments AS others), "
                "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING sequence",
                _values(deployment),
            )
        return int(str(rows[0][0]))

    def end(self, sequence: int, state: DeploymentState, reason: str, at: datetime) -> None:
        """Say how one that was on its way went; what somebody ended meanwhile stays ended."""
        with self._database.write() as transaction:
            transaction.execute(
                "UPDATE deployments SET state = ?, reason = ?, ended_at = ? "
                "WHERE sequence = ? AND state = 'deploying'",
                (state, reason, write_time(at), sequence),
            )

    def stop(self, sequence: int, who: str, at: datetime) -> None:
        """Nothing is wanted at the place of this deployment any more, until the next one."""
        with self._database.write() as transaction:
            transaction.execute(
                "UPDATE deployments SET state = 'stopped', reason = ?, ended_at = ? WHERE sequence = ?",
                (f"stopped by {who}", write_time(at), sequence),
            )

    def wanted(self, place: str) -> Deployment | None:
        """Desired state of a place: the newest that was neither refused nor failed; None when somebody ended that."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM deployments WHERE place = ? AND {_OPEN} ORDER BY {_NEWEST_FIRST} LIMIT 1",
            (place,),
        )
        found = _read(rows[0]) if rows else None
        return found if found is not None and found.state != "stopped" else None

    def standing(self, prefix: str = "") -> list[Deployment]:
        """Desired state of every place whose name starts with a prefix, by place."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM deployments WHERE sequence IN ({NEWEST}) "
            "AND state <> 'stopped' AND place >= ? AND place < ? ORDER BY place",
            (prefix, prefix + "\U0010ffff"),
        )
        return [_read(row) for row in rows]

    def stopped(self) -> list[Deployment]:
        """The newest of every place that somebody ended, by place."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM deployments WHERE sequence IN ({NEWEST}) AND state = 'stopped' ORDER BY place",
            (),
        )
        return [_read(row) for row in rows]

    def newest(
        self, place: str | None = None, *, digest: str | None = None, limit: int = 100
    ) -> list[Deployment]:
        """Deployments of a place or package, or all, from the newest on."""
        where, values = "WHERE 1 = 1", []
        for column, value in (("place", place), ("digest", digest)):
            if value is not None:
                where += f" AND {column} = ?"
                values.append(value)
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM deployments {where} ORDER BY sequence DESC LIMIT ?", (*values, limit)
        )
        return [_read(row) for row in rows]

    def hold(self, hold: Hold) -> None:
        """Keep something away from a place; said again, the newer reason counts."""
        with self._database.write() as transaction:
            transaction.execute(
                "INSERT INTO holds (place, commit_id, digest, who, reason, held_at) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (place, commit_id, digest) DO UPDATE SET who = excluded.who, "
                "reason = excluded.reason, held_at = excluded.held_at",
                (hold.place, hold.commit, hold.digest, hold.who, hold.reason, write_time(hold.held_at)),
            )

    def unhold(self, place: str) -> int:
        """Lift every hold of a place; gives how many there were."""
        with self._database.write() as transaction:
            rows = transaction.execute("DELETE FROM holds WHERE place = ? RETURNING place", (place,))
        return len(rows)

    def holds(self, place: str | None = None) -> list[Hold]:
        """Holds of a place or of all, the oldest first."""
        where, values = ("WHERE place = ?", (place,)) if place is not None else ("", ())
        rows = self._database.read(
            f"SELECT place, commit_id, digest, who, reason, held_at FROM holds {where} ORDER BY held_at, place",
            values,
        )
        return [_read_hold(row) for row in rows]


def _values(deployment: Deployment) -> tuple[str | int | None, ...]:
    return (
        deployment.place,
        deployment.kind,
        deployment.target,
        deployment.spec,
        deployment.model,
        deployment.digest,
        deployment.commit,
        deployment.run,
        deployment.generation,
        deployment.cause,
        deployment.approver,
        json.dumps(deployment.settings),
        deployment.state,
        deployment.reason,
        write_time(deployment.began_at),
        write_time(deployment.ended_at) if deployment.ended_at else None,
    )


def _read(row: Row) -> Deployment:
    fields: tuple[Any, ...] = row
    sequence, place, kind, target, spec, model, digest, commit, run, generation, cause, approver = fields[:12]
    settings, state, reason, began_at, ended_at = fields[12:]
    return Deployment(
        place=place,
        kind=kind,
        target=target,
        spec=spec,
        model=model,
        digest=digest,
        commit=commit,
        run=run,
        generation=int(generation),
        cause=cause,
        approver=approver,
        settings=json.loads(settings),
        state=state,
        reason=reason,
        began_at=datetime.fromisoformat(began_at),
        ended_at=datetime.fromisoformat(ended_at) if ended_at else None,
        sequence=int(sequence),
    )


def _read_hold(row: Row) -> Hold:
    fields: tuple[Any, ...] = row
    place, commit, digest, who, reason, held_at = fields
    return Hold(place, commit, digest, who, reason, datetime.fromisoformat(held_at))
