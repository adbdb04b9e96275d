"""What was seen of each place last, for people who ask a runner: the loop that looks at targets notes it."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from fiat.run.deployment import Seen
from fiat.store.store import Store


@dataclass(frozen=True)
class SightMarks:
    """Remembers sights by place.

    Attributes:
        store: with marks.
    """

    store: Store

    def of(self, place: str) -> Seen | None:
        """What was seen there last; None when nobody has looked yet."""
        text = self.store.marks.get(_key(place))
        if text is None:
            return None
        told = json.loads(text)
        return Seen(**{**told, "drift": tuple(told["drift"]), "at": datetime.fromisoformat(told["at"])})

    def note(self, place: str, seen: Seen) -> None:
        """This was seen; what looks as it did before keeps its time, and nothing is written."""
        before = self.of(place)
        if before is None or replace(before, at=seen.at) != seen:
            told = {**asdict(seen), "at": seen.at.isoformat()}
            self.store.marks.set(_key(place), json.dumps(told))


def _key(place: str) -> str:
    return f"sight {place}"
