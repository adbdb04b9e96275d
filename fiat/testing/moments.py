"""Let a piece of work be killed, or stood still, at its n-th step towards the outside, in a process of its own."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fiat.errors import FiatError, Stalled

Ending = Literal["done", "stalled", "refused", "broken", "killed"]
_STEPS = ("open", "os.", "shutil.", "socket.", "fcntl.", "subprocess.")
_CODES: tuple[Ending, ...] = ("done", "stalled", "refused", "broken")


def killed_at(work: Callable[[], object], moment: int) -> Ending:
    """Run work in a child process that is killed right before its n-th step (opening, renaming, sending, ...).

    Args:
        work: raises FiatError when it is refused.
        moment: n, counted from 1.

    Returns:
        `killed`, or how it ended when it had fewer steps.
    """
    pid = _fork(work, moment, signal.SIGKILL)
    return _ending(os.waitpid(pid, 0)[1])


@dataclass
class StoodStill:
    """A child process that stands still in the middle of its work.

    Attributes:
        pid: of the process; 0 once it has ended.
        ending: how it ended, None while it stands.
    """

    pid: int
    ending: Ending | None = None

    def go_on(self) -> Ending:
        """Let it go on, and wait for its end."""
        if self.ending is None:
            os.kill(self.pid, signal.SIGCONT)
            self.ending = _ending(os.waitpid(self.pid, 0)[1])
            self.pid = 0
        return self.ending


def stood_still_at(work: Callable[[], object], moment: int) -> StoodStill:
    """Run work in a child process that stands still right before its n-th step.

    Args:
        work: raises FiatError when it is refused.
        moment: n, counted from 1.

    Returns:
        The process, standing; with its ending when it had fewer steps.
    """
    pid = _fork(work, moment, signal.SIGSTOP)
    status = os.waitpid(pid, os.WUNTRACED)[1]
    return StoodStill(pid) if os.WIFSTOPPED(status) else StoodStill(0, _ending(status))


def _fork(work: Callable[[], object], moment: int, signal_number: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = _CODES.index("broken")
    left = moment

    def count(event: str, _: object) -> None:
        nonlocal left
        if event.startswith(_STEPS):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal_number)

    try:
        sys.addaudithook(count)
        work()
        code = _CODES.index("done")
    except Stalled:
        code = _CODES.index("stalled")
    except FiatError:
        code = _CODES.index("refused")
    finally:
        os._exit(code)


def _ending(status: int) -> Ending:
    if os.WIFSIGNALED(status):
        return "killed"
    return _CODES[os.WEXITSTATUS(status)]
