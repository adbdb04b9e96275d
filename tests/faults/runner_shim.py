"""Another clock and another host name for a whole runner: a library that is loaded before all others."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

HOUR_S = 3600
# Only the wall clock: waiting and timeouts go by the others. Its offset is read from a file, so that it can jump.
_SOURCE = """\
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int file = -2;
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (failed || clock != CLOCK_REALTIME) return failed;
    if (file == -2) file = getenv("CLOCK_FILE") ? open(getenv("CLOCK_FILE"), O_RDONLY | O_CLOEXEC) : -1;
    char text[32] = {0};
    if (file >= 0 && pread(file, text, sizeof text - 1, 0) > 0) now->tv_sec += atol(text);
    return 0;
}

int gethostname(char *name, size_t length) {
    const char *other = getenv("HOST_NAME");
    strncpy(name, other ? other : "here", length);
    return 0;
}
"""


class Shim:
    """The compiled library.

    Args:
        folder: of the test.
    """

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            reason = "there is no C compiler to make a clock with"
            if os.environ.get("CI"):
                pytest.fail(f"{reason}; CI must test other clocks")
            pytest.skip(reason)
        source, self._library = folder / "shim.c", folder / "shim.so"
        source.write_text(_SOURCE)
        subprocess.run([compiler, "-shared", "-fPIC", "-o", str(self._library), str(source)], check=True)
        self._folder = folder
        probe = "import socket, time; print(time.time(), socket.gethostname())"
        told = subprocess.run(
            [sys.executable, "-c", probe],
            env=self.environment("probe", HOUR_S, "elsewhere"),
            capture_output=True,
            text=True,
            check=True,
        )
        moment, name = told.stdout.split()
        assert abs(float(moment) - HOUR_S - time.time()) < 60
        assert name == "elsewhere"

    def environment(self, clock: str, off_s: int = 0, host: str = "here") -> dict[str, str]:
        """Variables for a process whose clock is set by `set`.

        Args:
            clock: name of the clock.
            off_s: seconds that it is ahead at first.
            host: name of its host.
        """
        self.set(clock, off_s)
        return {
            "LD_PRELOAD": str(self._library),
            "CLOCK_FILE": str(self._file(clock)),
            "HOST_NAME": host,
        }

    def set(self, clock: str, off_s: int) -> None:
        """Let a clock jump to so many seconds ahead of ours."""
        with self._file(clock).open("r+" if self._file(clock).exists() else "w") as file:
            file.write(f"{off_s:<20}")  # always as long: whoever reads never sees half of it gone

    def _file(self, clock: str) -> Path:
        return self._folder / f"clock-{clock}"
