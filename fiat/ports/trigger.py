"""Port `trigger`: reads the webhooks of one forge. Plugins: `github`, `gitlab`, `gitea`, `forgejo`."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from fiat.run.delivery import Delivery


class Trigger(Protocol):
    """Knows how one forge signs and words its webhooks. Stateless and without I/O.

    Attributes:
        name: the entry point's name, `forge:` in the runner's settings.
        order: lower is asked first; Forgejo and Gitea also send GitHub's headers.
    """

    name: str
    order: int

    def recognises(self, headers: Mapping[str, str]) -> bool:
        """Whether a request looks like this forge's, by its headers (lower-case names)."""
        ...

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        """Whether the raw body carries a signature by one of the secrets, compared in constant time.

        SHA-1 alone, no signature, an empty or malformed one: False.
        """
        ...

    def read(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """What the delivery tells. Events that we don't know give a delivery without happenings.

        Raises:
            SpecError: the body is no JSON object of a sane depth, or lacks what its event always has.
        """
        ...
