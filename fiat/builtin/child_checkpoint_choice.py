"""Several workers take the same checkpoint: the first one chooses, the others ask what it chose."""

import importlib
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from fiat.errors import SpecError

WAIT_S = 600.0


class Choice:
    """What the first worker chose, each time it is asked.

    The first worker waits for nobody, so that it may be the only one that asks. Without torch's process group each
    worker chooses for itself.

    Args:
        rank: number of this worker.
        size: how many there are.
        wait_s: how long the others wait for the first one.
    """

    def __init__(self, rank: int, size: int, wait_s: float = WAIT_S) -> None:
        self._rank = rank
        self._size = size
        self._wait_s = wait_s
        self._asked: dict[str, int] = {}

    def of(self, what: str, choose: Callable[[], str]) -> str:
        """The name that was chosen.

        Args:
            what: which question, such as `restore`.
            choose: gives the name; asked of the first worker only.

        Raises:
            SpecError: the first worker does not ask the same.
        """
        store = _store() if self._size > 1 else None
        if store is None:
            return choose()
        number = self._asked[what] = self._asked.get(what, 0) + 1
        key = f"fiat/{what}/{number}"
        if not self._rank:
            chosen = choose()
            store.set(key, chosen)
            return chosen
        try:
            store.wait([key], timedelta(seconds=self._wait_s))
        except RuntimeError:
            raise SpecError(
                f"worker {self._rank} called run.{what}, but worker 0 did not within {self._wait_s:.0f} s",
                hint=f"let all workers call run.{what}, or worker 0 alone",
            ) from None
        return bytes(store.get(key)).decode()


def _store() -> Any:
    """What torch's workers found each other by; None where they did not."""
    if "torch" not in sys.modules:
        return None
    distributed = importlib.import_module("torch.distributed")
    if not (distributed.is_available() and distributed.is_initialized()):
        return None
    return importlib.import_module("torch.distributed.distributed_c10d")._get_default_store()
