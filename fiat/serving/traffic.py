"""Which version answers a request, and which ones get a copy of it: a hash of the request's key says so, and nothing else.

The same key goes to the same version as long as the weights stay (sticky), at every worker and after every restart. Each
version draws a number for each key, and the lowest one after division by the weight wins; so raising a version's weight
moves keys to it and none between others.

Source: weighted rendezvous hashing (Mosharaf and others; J. Resch, "New Hashing Algorithms for Data Storage", SNIA 2015).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

_SPAN = float(1 << 64)


@dataclass(frozen=True)
class Weight:
    """How much of the traffic something gets.

    Attributes:
        digest: of the package: what its draws are made from.
        percent: of the requests, 0..100.
    """

    digest: str
    percent: float


def choose(key: str, weights: Sequence[Weight]) -> int:
    """Place of the version that answers a key.

    Args:
        key: sticky key or request id.
        weights: of the versions; at least one is above 0.
    """
    if len(weights) == 1:
        return 0
    best, best_score = 0, math.inf
    for place, weight in enumerate(weights):
        if weight.percent <= 0:
            continue
        score = -math.log(draw(key, weight.digest)) / weight.percent
        if score < best_score:
            best, best_score = place, score
    return best


def is_copied(key: str, weight: Weight) -> bool:
    """Whether a key belongs to the share of the requests that a shadow gets."""
    return weight.percent >= 100 or draw(key, f"shadow {weight.digest}") * 100 <= weight.percent


def draw(key: str, salt: str) -> float:
    """A number of a key above 0 and up to 1, spread evenly over keys."""
    # Clients choose keys: lone surrogates must not be able to raise.
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, person=_person(salt))
    return (int.from_bytes(digest.digest(), "big") + 1) / _SPAN


def _person(salt: str) -> bytes:
    return blake2b(salt.encode(), digest_size=16).digest()
