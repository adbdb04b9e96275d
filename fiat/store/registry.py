"""What people say of released models: tables `alias_moves` and `model_marks`; and the versions that releases make."""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from fiat.run.deployment import Deployment
from fiat.run.model import Release
from fiat.run.registry import AliasMove, ModelSummary, ModelVersion, Note, Tag
from fiat.store.database import Database, Transaction
from fiat.store.deployments import Deployments
from fiat.store.releases import RELEASE_COLUMNS, move_alias_within, read_release
from fiat.store.rows import write_time

_ALL_MOVES = 100_000


class Registry:
    """Versions, aliases, tags and notes of models. Nothing is ever changed or removed: the newest word counts.

    Safe to use from several processes at once.

    Args:
        database: where they are.
        now: the clock, aware.
    """

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._deployments = Deployments(database)
        self._now = now

    def versions(self, model: str) -> list[ModelVersion]:
        """The distinct packages that a model was released as, by their first release; none when there is no such model."""
        rows = self._database.read(
            f"SELECT {RELEASE_COLUMNS} FROM releases WHERE model = ? ORDER BY sequence", (model,)
        )
        released: dict[str, list[Release]] = {}
        for row in rows:
            release = read_release(row)
            released.setdefault(release.digest, []).append(release)
        aliases, tags, notes = self._aliases(model), self._tags(model), self._notes(model)
        standings: defaultdict[str, list[Deployment]] = defaultdict(list)
        for standing in self._deployments.standing():
            if standing.model == model:
                standings[standing.digest].append(standing)
        return [
            ModelVersion(
                model=model,
                number=number,
                digest=digest,
                first=releases[0],
                last=releases[-1],
                n_releases=len(releases),
                aliases=tuple(sorted(alias for alias, means in aliases.items() if means == digest)),
                tags=tuple(tags[digest][name] for name in sorted(tags[digest])),
                notes=tuple(notes[digest]),
                standings=tuple(standings[digest]),
            )
            for number, (digest, releases) in enumerate(released.items(), 1)
        ]

    def number(self, model: str, digest: str) -> int:
        """Number of a package among a model's versions; 0 when it was never released."""
        rows = self._database.read(
            "SELECT digest FROM releases WHERE model = ? GROUP BY digest ORDER BY MIN(sequence)", (model,)
        )
        known = [str(row[0]) for row in rows]
        return known.index(digest) + 1 if digest in known else 0

    def models(self) -> list[ModelSummary]:
        """Every released model, by name."""
        rows = self._database.read(
            f"SELECT {RELEASE_COLUMNS} FROM releases WHERE sequence IN "
            "(SELECT MAX(sequence) FROM releases GROUP BY model) ORDER BY model"
        )
        return [self._summary(read_release(row)) for row in rows]

    def names(self) -> list[str]:
        """Names of the released models, sorted."""
        return [
            str(row[0]) for row in self._database.read("SELECT DISTINCT model FROM releases ORDER BY model")
        ]

    def owners(self, digest_start: str) -> list[tuple[str, str]]:
        """Models and package digests that begin so, each once, the newest release first."""
        rows = self._database.read(
            "SELECT model, digest, MAX(sequence) AS newest FROM releases WHERE digest >= ? AND digest < ? "
            "GROUP BY model, digest ORDER BY newest DESC",
            (digest_start, digest_start + "\U0010ffff"),
        )
        return [(str(model), str(digest)) for model, digest, _ in rows]

    def move_alias(self, model: str, alias: str, digest: str, *, who: str, reason: str = "") -> bool:
        """Let an alias mean a package of the model.

        Args:
            model: the model's name.
            alias: the alias.
            digest: of a package that the model was released as; empty takes the alias away.
            who: who wants it.
            reason: one sentence.

        Returns:
            Whether that changed anything; what is so already is not written down again.
        """
        with self._database.write() as transaction:
            found = _newest_move(transaction, model, alias)
            if found == digest:
                return False
            released = 0
            if digest:
                rows = transaction.execute(
                    "SELECT MAX(sequence) FROM releases WHERE model = ? AND digest = ?", (model, digest)
                )
                released = int(rows[0][0] or 0)
            move = AliasMove(model, alias, digest, who, reason, self._now())
            move_alias_within(transaction, move, released)
        return True

    def take_back(self, model: str, digest: str, *, who: str, reason: str) -> tuple[str, ...]:
        """Give the aliases that a release gave to a package back to what they meant before.

        An alias that a person moved stays where it is.

        Args:
            model: the model's name.
            digest: of the package.
            who: who takes them back.
            reason: one sentence.

        Returns:
            The aliases that were given back.
        """
        moves = self.alias_moves(model, limit=_ALL_MOVES)
        given = []
        for alias in sorted({move.alias for move in moves}):
            newest, *before = [move for move in moves if move.alias == alias]
            if newest.digest == digest and not newest.who:
                earlier = next((move.digest for move in before if move.digest != digest), "")
                self.move_alias(model, alias, earlier, who=who, reason=reason)
                given.append(alias)
        return tuple(given)

    def alias_moves(self, model: str, *, limit: int = 100) -> list[AliasMove]:
        """Who gave aliases of the model to what, the newest first."""
        rows = self._database.read(
            "SELECT model, alias, digest, who, reason, moved_at FROM alias_moves WHERE model = ? "
            "ORDER BY sequence DESC LIMIT ?",
            (model, limit),
        )
        found: list[tuple[Any, ...]] = list(rows)
        return [
            AliasMove(model, alias, digest, who, reason, datetime.fromisoformat(moved_at))
            for model, alias, digest, who, reason, moved_at in found
        ]

    def tag(self, model: str, digest: str, name: str, value: str, *, who: str) -> None:
        """Give a package a named value; an empty one takes the tag away."""
        self._mark(model, digest, "tag", name, value, who)

    def note(self, model: str, digest: str, text: str, *, who: str) -> None:
        """Write something about a package."""
        self._mark(model, digest, "note", "", text, who)

    def _summary(self, newest: Release) -> ModelSummary:
        rows = self._database.read(
            "SELECT digest FROM releases WHERE model = ? GROUP BY digest ORDER BY MIN(sequence)",
            (newest.model,),
        )
        numbers = {str(row[0]): number for number, row in enumerate(rows, 1)}
        aliases = self._aliases(newest.model)
        meant = tuple((alias, numbers[aliases[alias]]) for alias in sorted(aliases))
        return ModelSummary(newest.model, len(numbers), newest, meant)

    def _aliases(self, model: str) -> dict[str, str]:
        """Alias to the digest that it means."""
        rows = self._database.read(
            "SELECT alias, digest FROM alias_moves WHERE model = ? ORDER BY sequence", (model,)
        )
        newest = {str(alias): str(digest) for alias, digest in rows}
        return {alias: digest for alias, digest in newest.items() if digest}

    def _tags(self, model: str) -> defaultdict[str, dict[str, Tag]]:
        found: defaultdict[str, dict[str, Tag]] = defaultdict(dict)
        for digest, name, value, who, marked_at in self._marks(model, "tag"):
            found[digest].pop(name, None)
            if value:
                found[digest][name] = Tag(name, value, who, datetime.fromisoformat(marked_at))
        return found

    def _notes(self, model: str) -> defaultdict[str, list[Note]]:
        found: defaultdict[str, list[Note]] = defaultdict(list)
        for digest, _, text, who, marked_at in self._marks(model, "note"):
            found[digest].append(Note(text, who, datetime.fromisoformat(marked_at)))
        return found

    def _marks(self, model: str, kind: Literal["tag", "note"]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = list(
            self._database.read(
                "SELECT digest, name, value, who, marked_at FROM model_marks WHERE model = ? AND kind = ? "
                "ORDER BY sequence",
                (model, kind),
            )
        )
        return rows

    def _mark(
        self, model: str, digest: str, kind: Literal["tag", "note"], name: str, value: str, who: str
    ) -> None:
        with self._database.write() as transaction:
            transaction.execute(
                "INSERT INTO model_marks (sequence, model, digest, kind, name, value, who, marked_at) VALUES "
                "((SELECT COALESCE(MAX(sequence), 0) + 1 FROM model_marks AS others), ?, ?, ?, ?, ?, ?, ?)",
                (model, digest, kind, name, value, who, write_time(self._now())),
            )


def _newest_move(transaction: Transaction, model: str, alias: str) -> str:
    rows = transaction.execute(
        "SELECT digest FROM alias_moves WHERE model = ? AND alias = ? ORDER BY sequence DESC LIMIT 1",
        (model, alias),
    )
    return str(rows[0][0]) if rows else ""
