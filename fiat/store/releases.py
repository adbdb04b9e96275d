"""Models that passed their gates: table `releases`. What a baseline and a deploy refer to.

A release that takes an alias moves it; people move aliases too (`registry.py`), and a baseline follows them.
"""

from datetime import datetime
from typing import Any

from fiat.run.model import Release
from fiat.run.registry import AliasMove
from fiat.store.database import Database, Row, Transaction
from fiat.store.rows import write_time

RELEASE_COLUMNS = "model, alias, branch, commit_id, run, digest, fingerprint, released_at"

_REFUSED = (
    "SELECT digest FROM deployments AS back WHERE model = ? AND state = 'refused' AND NOT EXISTS "
    "(SELECT 1 FROM deployments AS good WHERE good.model = back.model AND good.digest = back.digest "
    "AND good.state = 'deployed' AND good.sequence > back.sequence)"
)


class Releases:
    """Remembers releases, in the order they were made. Safe to use from several processes at once.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, release: Release) -> None:
        """Remember a release as the newest one; its alias means its package from now on."""
        with self._database.write() as transaction:
            rows = transaction.execute(
                f"INSERT INTO releases (sequence, {RELEASE_COLUMNS}) "
                "VALUES ((SELECT COALESCE(MAX(sequence), 0) + 1 FROM releases AS others), "
                "?, ?, ?, ?, ?, ?, ?, ?) RETURNING sequence",
                (
                    release.model,
                    release.alias,
                    release.branch,
                    release.commit,
                    release.run,
                    release.digest,
                    release.fingerprint,
                    write_time(release.released_at),
                ),
            )
            if release.alias:
                move = AliasMove(
                    release.model,
                    release.alias,
                    release.digest,
                    "",
                    f"released by run {release.run}",
                    release.released_at,
                )
                move_alias_within(transaction, move, int(rows[0][0] or 0))

    def last(
        self,
        model: str,
        *,
        branch: str | None = None,
        alias: str | None = None,
        commit: str | None = None,
        not_fingerprint: str | None = None,
        not_refused: bool = False,
    ) -> Release | None:
        """The newest release of a model among those that match.

        Args:
            model: the model's name.
            branch: only those released from this branch.
            alias: the one that this alias means, whoever moved it there; empty for those that took none.
            commit: only those of this commit, 40 hex digits or the start of them.
            not_fingerprint: the fingerprint of the package that is about to be judged. A model is never its
                own baseline, and the answer must not change because it was released meanwhile: when it was
                released before (among those that match), only what came before its first release counts; for an
                alias: what it meant before it first meant this one.

            not_refused: leave out packages that a target went back from and that stood nowhere since.

        Returns:
            The release, or None when none matches.
        """
        if alias:
            return self._last_alias(model, alias, not_fingerprint, _conditions(model, branch, None, commit))
        where, values = _conditions(model, branch, alias, commit)
        if not_refused:
            where += f" AND digest NOT IN ({_REFUSED})"
            values = [*values, model]
        if not_fingerprint is not None:
            where += (
                " AND sequence < COALESCE((SELECT MIN(sequence) FROM releases AS own "
                f"WHERE {where} AND fingerprint = ?), (SELECT MAX(sequence) + 1 FROM releases AS newest))"
            )
            values = [*values, *values, not_fingerprint]
        rows = self._database.read(
            f"SELECT {RELEASE_COLUMNS} FROM releases WHERE {where} ORDER BY sequence DESC LIMIT 1", values
        )
        return read_release(rows[0]) if rows else None

    def _last_alias(
        self, model: str, alias: str, not_fingerprint: str | None, only: tuple[str, list[str]]
    ) -> Release | None:
        of_alias = "FROM alias_moves AS moves JOIN releases ON releases.sequence = moves.released "
        where, values = "moves.model = ? AND moves.alias = ?", [model, alias]
        if not_fingerprint is not None:
            own = f"SELECT MIN(moves.sequence) {of_alias} WHERE {where} AND fingerprint = ?"
            where += f" AND moves.sequence < COALESCE(({own}), (SELECT MAX(sequence) + 1 FROM alias_moves AS newest))"
            values = [*values, *values, not_fingerprint]
        rows = self._database.read(
            f"SELECT released FROM alias_moves AS moves WHERE {where} ORDER BY sequence DESC LIMIT 1", values
        )
        if not rows:
            return None
        found = self._database.read(
            f"SELECT {RELEASE_COLUMNS} FROM releases WHERE sequence = ? AND {only[0]}", (rows[0][0], *only[1])
        )
        return read_release(found[0]) if found else None

    def newest(self, model: str | None = None, *, limit: int = 100) -> list[Release]:
        """Releases of a model, or of all, from the newest on."""
        where = "WHERE model = ? " if model is not None else ""
        rows = self._database.read(
            f"SELECT {RELEASE_COLUMNS} FROM releases {where}ORDER BY sequence DESC LIMIT ?",
            (limit,) if model is None else (model, limit),
        )
        return [read_release(row) for row in rows]


def move_alias_within(transaction: Transaction, move: AliasMove, released: int) -> None:
    """Write down a move as a part of a larger transaction.

    Args:
        transaction: to write in.
        move: what is meant from now on.
        released: sequence of the release that is meant, 0 when the alias is taken away.
    """
    transaction.execute(
        "INSERT INTO alias_moves (sequence, model, alias, digest, released, who, reason, moved_at) VALUES "
        "((SELECT COALESCE(MAX(sequence), 0) + 1 FROM alias_moves AS others), ?, ?, ?, ?, ?, ?, ?)",
        (
            move.model,
            move.alias,
            move.digest,
            released,
            move.who,
            move.reason,
            write_time(move.moved_at),
        ),
    )


def _conditions(
    model: str, branch: str | None, alias: str | None, commit: str | None
) -> tuple[str, list[str]]:
    where = "model = ?"
    values = [model]
    for column, value in (("branch", branch), ("alias", alias)):
        if value is not None:
            where += f" AND {column} = ?"
            values.append(value)
    if commit is not None:
        where += " AND commit_id >= ? AND commit_id < ?"
        values += [commit, commit + "\U0010ffff"]
    return where, values


def read_release(row: Row) -> Release:
    """The release of a row of `RELEASE_COLUMNS`."""
    fields: tuple[Any, ...] = row
    model, alias, branch, commit, run, digest, fingerprint, released_at = fields
    return Release(
        model, alias, branch, commit, run, digest, fingerprint, datetime.fromisoformat(released_at)
    )
