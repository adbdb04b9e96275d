"""What a registry of models knows beside releases: versions, aliases, marks, and where packages stand. Frozen values."""

from dataclasses import dataclass
from datetime import datetime

from fiat.run.deployment import Deployment
from fiat.run.model import Release


@dataclass(frozen=True)
class AliasMove:
    """An alias of a model was given to a package, or taken away.

    Attributes:
        model: the model's name.
        alias: such as `champion`.
        digest: of the package that it means from now on; empty when it was taken away.
        who: who moved it; empty when a release did.
        reason: one sentence.
        moved_at: aware UTC.
    """

    model: str
    alias: str
    digest: str
    who: str
    reason: str
    moved_at: datetime


@dataclass(frozen=True)
class Note:
    """What somebody wrote about a package.

    Attributes:
        text: the note.
        who: who wrote it.
        written_at: aware UTC.
    """

    text: str
    who: str
    written_at: datetime


@dataclass(frozen=True)
class Tag:
    """A named value that somebody gave to a package.

    Attributes:
        name: such as `reviewed`.
        value: such as `yes`.
        who: who set it last.
        set_at: aware UTC.
    """

    name: str
    value: str
    who: str
    set_at: datetime


@dataclass(frozen=True)
class ModelVersion:
    """A package among those that a model was released as.

    Attributes:
        model: the model's name.
        number: 1 for the package that was released first, and so on; it never changes.
        digest: of the package.
        first: its first release.
        last: its newest release.
        n_releases: how often it was released.
        aliases: that mean it now, sorted.
        tags: sorted by name.
        notes: the oldest first.
        standings: desired state of the places that have it or are to have it.
    """

    model: str
    number: int
    digest: str
    first: Release
    last: Release
    n_releases: int = 1
    aliases: tuple[str, ...] = ()
    tags: tuple[Tag, ...] = ()
    notes: tuple[Note, ...] = ()
    standings: tuple[Deployment, ...] = ()


@dataclass(frozen=True)
class ModelSummary:
    """A model in a list of them.

    Attributes:
        model: its name.
        n_versions: distinct packages that it was released as.
        newest: its newest release.
        aliases: alias to the number of the version that it means.
    """

    model: str
    n_versions: int
    newest: Release
    aliases: tuple[tuple[str, int], ...] = ()
