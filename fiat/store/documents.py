"""Large JSON values that many rows share, each kept once under the SHA-256 of its text."""

from collections.abc import Iterator, Mapping
from typing import Any

from fiat.store.database import Database, Transaction
from fiat.store.faults import damaged_rows
from fiat.store.rows import digest_text, pack, unpack

# A text below this is shorter than what the indirection costs.
INLINE_CHARACTERS = 512
_REMEMBERED = 64


class Documents:
    """Reads and writes the table `documents`.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[str, Any] = {}

    def write(self, transaction: Transaction, text: str) -> str:
        """Keep a text made by `rows.pack`; gives its digest."""
        digest = digest_text(text)
        transaction.execute(
            "INSERT INTO documents (digest, body) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
            (digest, text),
        )
        return digest

    def read(self, digest: str) -> Any:
        """The JSON value under this digest; don't change it, the next reader gets the same object.

        Raises:
            EnvironmentFault: it is gone or damaged.
        """
        if digest not in self._seen:
            rows = self._database.read("SELECT body FROM documents WHERE digest = ?", (digest,))
            if not rows or digest_text(str(rows[0][0])) != digest:
                raise damaged_rows(
                    self._database.place, f"document {digest[:12]} is not what it was, or gone"
                )
            while len(self._seen) >= _REMEMBERED:
                self._seen.pop(next(iter(self._seen)), None)
            self._seen[digest] = unpack(str(rows[0][0]))
        return self._seen[digest]

    def split(
        self, transaction: Transaction, parts: Mapping[str, object]
    ) -> tuple[dict[str, object], dict[str, str]]:
        """Keep the large values of a mapping apart.

        Returns:
            (small values by key, digests of the large ones by key).
        """
        small: dict[str, object] = {}
        large: dict[str, str] = {}
        for key, value in parts.items():
            text = pack(value)
            if len(text) < INLINE_CHARACTERS:
                small[key] = value
            else:
                large[key] = self.write(transaction, text)
        return small, large


class Parts(Mapping[str, object]):
    """What `Documents.split` took apart, whole again; a large value is read when it is asked for.

    Args:
        small: values that are here already.
        large: digests of the others.
        documents: where those are.
    """

    def __init__(self, small: Mapping[str, object], large: Mapping[str, str], documents: Documents) -> None:
        self._small = small
        self._large = large
        self._documents = documents

    def __getitem__(self, key: str) -> object:
        if key in self._large:
            return self._documents.read(self._large[key])
        return self._small[key]

    def __iter__(self) -> Iterator[str]:
        yield from self._small
        yield from self._large

    def __len__(self) -> int:
        return len(self._small) + len(self._large)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[object, ...]:
        return dict, (dict(self),)
