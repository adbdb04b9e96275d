"""What looking at data may cost: the reconciler does it for everybody, one spec after another."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

from fiat.builtin.http_client import BrokenTransfer, HttpAnswer, HttpClient, HttpPolicy
from fiat.errors import EnvironmentFault

PROBE_S = 60.0
# Sources read no more than the beginning of a body; all of them together get this.
PROBE_BYTES = 256 * 1024**2


@dataclass
class Budget:
    """Of one look at all sources of a spec.

    Attributes:
        seconds: from now on.
        size_bytes: of bodies that are read.
    """

    seconds: float = PROBE_S
    size_bytes: int = PROBE_BYTES
    _began_s: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return self._began_s + self.seconds - time.monotonic()

    def client(self, policy: HttpPolicy) -> HttpClient:
        """An HTTP client that ends with the budget."""
        timeout_s = max(0.1, min(policy.timeout_s, self.left_s))
        return _Client(replace(policy, timeout_s=timeout_s), self)

    def spend(self, size_bytes: int) -> None:
        """Count bytes.

        Raises:
            BrokenTransfer: there are no more, or the time is over.
        """
        self.size_bytes -= size_bytes
        if self.size_bytes < 0:
            raise BrokenTransfer("its sources say more than is read to see whether they changed")
        if self.left_s <= 0:
            raise BrokenTransfer(f"it took longer than {self.seconds:g} s")


class _Client(HttpClient):
    def __init__(self, policy: HttpPolicy, budget: Budget) -> None:
        super().__init__(policy)
        self._budget = budget

    def get(self, *arguments: object, **options: object) -> HttpAnswer:
        answer = super().get(*arguments, **options)  # type: ignore[arg-type]
        return cast(HttpAnswer, _Answer(answer, self._budget))


class _Answer:
    """An answer whose bytes are counted."""

    def __init__(self, answer: HttpAnswer, budget: Budget) -> None:
        self._answer, self._budget = answer, budget

    def __getattr__(self, name: str) -> object:
        return getattr(self._answer, name)

    def __enter__(self) -> "_Answer":
        self._answer.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._answer.__exit__(*error)  # type: ignore[arg-type]

    def read(self, size_bytes: int) -> bytes:
        data = self._answer.read(size_bytes)
        self._budget.spend(len(data))
        return data


@dataclass
class Watchdog:
    """Does things in threads of their own and does not wait for them for ever.

    What a plugin hangs in goes on there and is not begun again while it does, so that there is one thread at most for
    each name.
    """

    _running: dict[str, threading.Thread] = field(default_factory=dict)

    def run(self, name: str, work: Callable[[], str], seconds: float) -> str:
        """The result of some work.

        Args:
            name: of the work.
            work: is done in another thread.
            seconds: that it may take.

        Raises:
            EnvironmentFault: it took longer, or still goes on from an earlier time.
            Exception: what the work raised.
        """
        for one in [one for one, thread in self._running.items() if not thread.is_alive()]:
            del self._running[one]
        if name in self._running:
            raise EnvironmentFault(f"{name} is still being looked at", hint="its source does not end")
        results: list[str] = []
        errors: list[Exception] = []

        def do() -> None:
            try:
                results.append(work())
            except Exception as error:
                errors.append(error)

        thread = self._running[name] = threading.Thread(target=do, name=f"probe {name}", daemon=True)
        thread.start()
        thread.join(seconds)
        if errors:
            raise errors[0]
        if not results:
            raise EnvironmentFault(
                f"{name} was looked at for {seconds:.0f} s", hint="its source does not answer"
            )
        return results[0]
