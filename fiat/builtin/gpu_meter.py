"""What a job uses of its GPUs: looked at from outside, again and again while it runs."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from fiat.builtin.gpu_device import Driver, keys_of
from fiat.builtin.usage_line import usage_text
from fiat.errors import EnvironmentFault

LOOK_S = 1.0
TELL_S = 10.0
_LAST_LOOK_S = 1.0

Tell = Callable[[int, float | None], None]


class GpuMeter:
    """Looks at GPUs from the beginning of a `with` block to its end; starts nothing when there are none.

    A GPU that is shared is seen as a whole: drivers do not say, through the walls of containers, whose memory is whose.

    Args:
        driver: is asked; one that does not answer is no fault, then nothing was seen.
        ids: as CUDA_VISIBLE_DEVICES takes them.
        look_s: time between two looks.
        tell: is given memory in bytes and load of what was seen, at the first look and then now and then.
        tell_s: shortest time between two of these.
    """

    def __init__(
        self,
        driver: Driver,
        ids: Sequence[str],
        *,
        look_s: float = LOOK_S,
        tell: Tell | None = None,
        tell_s: float = TELL_S,
    ) -> None:
        self._driver = driver
        self._ids = ids
        self._look_s = look_s
        self._tell = tell
        self._tell_s = tell_s
        self._told_at: float | None = None
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._peak_bytes = 0
        self._loads: list[float] = []

    def __enter__(self) -> "GpuMeter":
        if self._ids:
            self._thread = threading.Thread(target=self._follow, name="gpu-meter", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join(_LAST_LOOK_S)  # a driver that hangs must not keep the job from its end

    def usage(self) -> dict[str, float]:
        """`gpu_memory_bytes`: most at one moment, of all together; `gpu_load_ratio`: mean. What was not seen is left out."""
        seen: dict[str, float] = {}
        if self._peak_bytes:
            seen["gpu_memory_bytes"] = float(self._peak_bytes)
        if self._loads:
            seen["gpu_load_ratio"] = sum(self._loads) / len(self._loads)
        return seen

    def _follow(self) -> None:
        try:
            keys = set(keys_of(self._ids, self._driver))
            while not self._done.wait(self._look_s):
                devices = [device for device in self._driver.devices() if device.key in keys]
                if not devices:
                    return
                used_bytes = sum(device.memory_used_bytes for device in devices)
                self._peak_bytes = max(self._peak_bytes, used_bytes)
                loads = [device.load_ratio for device in devices if device.load_ratio is not None]
                if loads:
                    self._loads.append(sum(loads) / len(loads))
                self._say(used_bytes, self._loads[-1] if loads else None)
        except EnvironmentFault:
            return

    def _say(self, memory_bytes: int, load_ratio: float | None) -> None:
        now = time.monotonic()
        if self._tell is not None and (self._told_at is None or now - self._told_at >= self._tell_s):
            self._told_at = now
            self._tell(memory_bytes, load_ratio)


def log_teller(path: Path) -> Tell:
    """Tells by a line in a job's log, for whoever follows it; a log that can't be written is left alone."""

    def tell(memory_bytes: int, load_ratio: float | None) -> None:
        with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as log:
            log.write(f"{usage_text(memory_bytes, load_ratio)}\n")

    return tell
