"""Run git so that nothing it reads can make it do more than it was asked: the one place that starts it.

Nothing of our environment reaches it, no configuration but ours counts, no hook, monitor, helper or prompt is started, and
what it prints is capped. What is secret goes in by its environment, never by its arguments.
"""

import os
import resource
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fiat.errors import EnvironmentFault, Waiting
from fiat.git.words import in_one_line

DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
LOCAL_TIMEOUT_S = 120.0
OUTPUT_LIMIT_BYTES = 256 << 20
FILE_LIMIT_BYTES = 64 << 30
_SAID_LIMIT_BYTES = 64 << 10
_CHUNK_BYTES = 1 << 16

# Source: git-config(1); git(1), "Environment Variables".
_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.askPass": "",
    "core.gitProxy": "none",
    "core.alternateRefsCommand": "",
    "core.fsync": "committed,reference",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "credential.helper": "",
    "diff.external": "",
    "fetch.fsckObjects": "true",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "gc.cruftPacks": "true",
    "http.cookieFile": "",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "http.sslVerify": "true",
    "maintenance.auto": "false",
    "protocol.version": "2",
    "safe.bareRepository": "explicit",
    "submodule.recurse": "false",
    "transfer.fsckObjects": "true",
}


@dataclass(frozen=True)
class Said:
    """How a git command ended.

    Attributes:
        code: its exit code; negative when a signal ended it.
        out: standard output.
        error: standard error as one line that is safe to show: printable, without secrets, cut.
    """

    code: int
    out: bytes
    error: str


@dataclass(frozen=True)
class Surroundings:
    """What one git command is given beside its arguments.

    Attributes:
        home: an empty folder.
        git_dir: the repository; None when none is needed.
        path: where programs are found (git itself, ssh).
        protocols: what may be spoken to other machines; none by default.
        config: further settings of git, in place of files.
        variables: further environment variables.
        secrets: texts that must not appear in any message.
    """

    home: Path
    git_dir: Path | None = None
    path: str = DEFAULT_PATH
    protocols: frozenset[str] = frozenset()
    config: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def environment(self) -> dict[str, str]:
        """The whole environment of the command."""
        settings = {**_CONFIG, **self.config}
        environment = {
            "PATH": self.path,
            "HOME": str(self.home),
            "LANG": "C",
            "GIT_ALLOW_PROTOCOL": ":".join(sorted(self.protocols)) or "none",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_CEILING_DIRECTORIES": "/",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_SYSTEM": "/dev/null",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        for index, (key, value) in enumerate(settings.items()):
            environment[f"GIT_CONFIG_KEY_{index}"] = key
            environment[f"GIT_CONFIG_VALUE_{index}"] = value
        if self.git_dir is not None:
            environment["GIT_DIR"] = str(self.git_dir)
        return {**environment, **self.variables}


def start_git(arguments: Sequence[str], around: Surroundings) -> "subprocess.Popen[bytes]":
    """Start a git command that is talked to over its standard input; the caller ends it.

    Raises:
        EnvironmentFault: git is not installed.
    """
    return _start(arguments, around, given=subprocess.PIPE, keep=())


def run_git(
    arguments: Sequence[str],
    around: Surroundings,
    *,
    given: bytes = b"",
    timeout_s: float = LOCAL_TIMEOUT_S,
    limit_bytes: int = OUTPUT_LIMIT_BYTES,
    keep: Sequence[int] = (),
) -> Said:
    """Run a git command to its end.

    Args:
        arguments: without `git`.
        around: what it is given.
        given: its standard input.
        timeout_s: after this it is killed, with every process that it started.
        limit_bytes: most bytes of standard output; more ends it too.
        keep: open files (a lock) that it and its children hold until they end.

    Raises:
        EnvironmentFault: git is not installed, or printed more than it may.
        Waiting: it took too long.
    """
    with tempfile.TemporaryFile() as file:
        file.write(given)
        file.seek(0)
        process = _start(arguments, around, given=file, keep=keep)
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - both are pipes
    deadline = time.monotonic() + timeout_s
    try:
        out, error = _read_both(process, deadline, limit_bytes, arguments[0])
        code = process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise Waiting(f"git {arguments[0]} took longer than {timeout_s:.0f} s") from None
    finally:
        end_git(process)
    return Said(code, out, in_one_line(error.decode("utf-8", "replace"), around.secrets))


def end_git(process: "subprocess.Popen[bytes]") -> None:
    """Kill a command with everything that it started, if it is still there, and close its pipes."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def _start(
    arguments: Sequence[str], around: Surroundings, *, given: "IO[bytes] | int", keep: Sequence[int]
) -> "subprocess.Popen[bytes]":
    try:
        process = subprocess.Popen(
            ["git", *arguments],
            env=around.environment(),
            cwd=around.home,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=tuple(keep),
        )
    except FileNotFoundError:
        raise EnvironmentFault("git is not installed", hint="install git and try again") from None
    with suppress(ProcessLookupError, PermissionError, ValueError):  # ended already, or under a lower limit
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (FILE_LIMIT_BYTES, FILE_LIMIT_BYTES))
    return process


def _read_both(
    process: "subprocess.Popen[bytes]", deadline: float, limit_bytes: int, name: str
) -> tuple[bytes, bytes]:
    out, error = bytearray(), bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ, out)  # type: ignore[arg-type]
        ready.register(process.stderr, selectors.EVENT_READ, error)  # type: ignore[arg-type]
        while ready.get_map():
            left_s = deadline - time.monotonic()
            events = ready.select(left_s) if left_s > 0 else []
            if not events:
                raise subprocess.TimeoutExpired(name, 0)
            for key, _ in events:
                chunk = os.read(key.fd, _CHUNK_BYTES)
                if not chunk:
                    ready.unregister(key.fileobj)
                elif key.data is out:
                    out += chunk
                    if len(out) > limit_bytes:
                        raise EnvironmentFault(f"git {name} printed more than {limit_bytes:,} bytes")
                elif len(error) < _SAID_LIMIT_BYTES:
                    error += chunk
    return bytes(out), bytes(error)
