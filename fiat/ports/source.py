"""Port `source`: where data comes from. Plugins: `path`, `glob`, `url`, `dvc`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fiat.ports.confinement import Confinement


@dataclass(frozen=True)
class SourceRequest:
    """What to fetch.

    Attributes:
        settings: the spec's `source:` mapping (`{"url": ..., "sha256": ...}`), JSON values.
        root: the checkout; paths are relative to it.
        folder: an empty folder to download to; sources that are local need not use it.
        allow_private_hosts: the operator lets URLs reach private addresses.
        max_bytes: most bytes a download may have, all files together.
        env: proxy settings and declared secrets that the source may use.
        confinement: what the operator grants; a source refuses everything else when it is confined.
    """

    settings: Mapping[str, object]
    root: Path
    folder: Path
    allow_private_hosts: bool
    max_bytes: int
    env: Mapping[str, str]
    confinement: Confinement = field(default_factory=Confinement)


@dataclass(frozen=True)
class Fetched:
    """What a source found.

    Attributes:
        files: files to read, in a stable order.
        digest: digest of the content, for provenance.
    """

    files: tuple[Path, ...]
    digest: str


class Source(Protocol):
    """Knows one kind of place that data lies in. Stateless.

    Attributes:
        name: the entry point's name and the key in the spec (`url`).
        version: part of the fingerprint of data steps that use it.
    """

    name: str
    version: str

    def fetch(self, request: SourceRequest) -> Fetched:
        """Make the files available locally.

        Raises:
            SpecError: what the spec names is not there, is not what its digest says, or is not granted.
            EnvironmentFault: network, credential or disk.
        """
        ...

    def probe(self, request: SourceRequest) -> str:
        """A text that is another one when what `fetch` gives may have changed, at little cost; nothing is kept.

        It is asked every few minutes where no checkout is: only what changes without a commit needs an answer, all
        else (and what never changes) is the empty text.

        Raises:
            SpecError: what the spec names is not granted, or not there.
            EnvironmentFault: network, credential or disk.
        """
        ...
