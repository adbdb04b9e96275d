"""Make keys that sign models."""

from dataclasses import dataclass
from pathlib import Path

from fiat.model.signing_keys import key_id, new_key, read_public_key


@dataclass(frozen=True)
class MadeKey:
    """A new key pair.

    Attributes:
        private: file of the private key.
        public: file of the public key.
        id: of the key, 64 hex digits.
    """

    private: Path
    public: Path
    id: str


def make_key(path: Path) -> MadeKey:
    """Make a key pair at `path` and `path.pub`.

    Raises:
        EnvironmentFault: one of them is there already, the disk refused, or the library is not installed.
    """
    public = new_key(path)
    return MadeKey(path, public, key_id(read_public_key(public)))
