"""Models that passed their gates: table `releases`. What a baseline and a deploy refer to."""

from datetime import datetime
from typing import Any

from fiat.run.model import Release
from fiat.store.database import Database, Row
from fiat.store.rows import write_time

_COLUMNS = "model, alias, branch, commit_id, run, digest, fingerprint, released_at"


class Releases:
    """Remembers releases, in the order they were made. Safe to use from several processes at once.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, release: Release) -> None:
        """Remember a release as the newest one."""
        with self._database.write() as transaction:
            transaction.execute(
                f"INSERT INTO releases (sequence, {_COLUMNS}) "
                "VALUES ((SELECT COALESCE(MAX(sequence), 0) + 1 FROM releases AS others), "
                "?, ?, ?, ?, ?, ?, ?, ?)",
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

    def last(
        self,
        model: str,
        *,
        branch: str | None = None,
        alias: str | None = None,
        commit: str | None = None,
        not_fingerprint: str | None = None,
    ) -> Release | None:
        """The newest release of a model among those that match.

        Args:
            model: the model's name.
            branch: only those released from this branch.
            alias: only those with this alias.
            commit: only those of this commit, 40 hex digits or the start of them.
            not_fingerprint: the fingerprint of the package that is about to be judged. A model is never its
                own baseline, and the answer must not change because it was released meanwhile: when it was
                released before (among those that match), only what came before its first release counts.

        Returns:
            The release, or None when none matches.
        """
        where, values = _conditions(model, branch, alias, commit)
        if not_fingerprint is not None:
            where += (
                " AND sequence < COALESCE((SELECT MIN(sequence) FROM releases AS own "
                f"WHERE {where} AND fingerprint = ?), (SELECT MAX(sequence) + 1 FROM releases AS newest))"
            )
            values = [*values, *values, not_fingerprint]
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM releases WHERE {where} ORDER BY sequence DESC LIMIT 1", values
        )
        return _read_release(rows[0]) if rows else None

    def newest(self, model: str | None = None, *, limit: int = 100) -> list[Release]:
        """Releases of a model, or of all, from the newest on."""
        where = "WHERE model = ? " if model is not None else ""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM releases {where}ORDER BY sequence DESC LIMIT ?",
            (limit,) if model is None else (model, limit),
        )
        return [_read_release(row) for row in rows]


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


def _read_release(row: Row) -> Release:
    fields: tuple[Any, ...] = row
    model, alias, branch, commit, run, digest, fingerprint, released_at = fields
    return Release(
        model, alias, branch, commit, run, digest, fingerprint, datetime.fromisoformat(released_at)
    )
