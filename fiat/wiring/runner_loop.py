"""A thread that does something again and again; faults and bugs are said, and stop neither it nor the others."""

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from fiat.errors import FiatError

_RESTART_S = 1.0
_BUG_S = 10.0


@dataclass
class Loop:
    """A thread that does something again and again, and how it is."""

    name: str
    work: Callable[[], float]
    log: Callable[[str], None]
    wake: threading.Event = field(default_factory=threading.Event)
    state: str = "ok"

    def run(self, over: threading.Event) -> None:
        """Until `over`; a fault is said once and tried again."""
        while not over.is_set():
            self.wake.clear()
            try:
                pause_s = self.work()
                self.state = "ok"
            except FiatError as error:
                pause_s = _RESTART_S
                if self.state != str(error):
                    self.state = str(error)
                    self.log(f"{self.name}: {error}")
            except Exception as error:
                # A bug must not end the thread and leave a runner that looks alive.
                pause_s, self.state = _BUG_S, f"a bug of Fiat: {type(error).__name__}"
                self.log(f"{self.name}: a bug of Fiat; please report it\n{traceback.format_exc()}")
            self.wake.wait(pause_s)
