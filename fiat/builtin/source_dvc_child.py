"""Run DVC as a child process that keeps to itself: nothing of ours in its environment, caches that are private and new.

Its settings for the user and the machine are not read, its caches (which hold pickles, and by default lie where all may
write) are in a folder of the run, and it tells nobody that it is used.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.source import SourceRequest

_TIMEOUT_S = 6 * 3600


def run_dvc(words: Sequence[str], folder: Path, request: SourceRequest, tracked: str) -> None:
    """Run a command of DVC to its end.

    Args:
        words: without `dvc`.
        folder: that it runs in.
        request: of the source.
        tracked: what it is about, for people.

    Raises:
        SpecError: there is no such thing.
        EnvironmentFault: DVC is missing, or fails.
    """
    private = request.folder / ".dvc-private"
    private.mkdir(exist_ok=True)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "dvc", *words],
            cwd=folder,
            env=_environment(request.env, private),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFault(f"DVC could not be run: {error}") from error
    if done.returncode != 0:
        raise refusal(tracked, done.stderr.decode("utf-8", "replace"))


def refusal(tracked: str, output: str) -> SpecError | EnvironmentFault:
    """What DVC's complaint means.

    Args:
        tracked: what it is about.
        output: what DVC said.
    """
    lines = [line.removeprefix("ERROR: ") for line in output.splitlines() if line.startswith("ERROR: ")]
    said = lines[0] if lines else (output.strip().splitlines() or ["no reason given"])[-1]
    if "No module named dvc" in output:
        return EnvironmentFault("DVC is not installed", hint="pip install dvc")
    if re.search(
        rf"unexpected error - \['{re.escape(tracked)}|does not exist|not found|unknown Git revision", said
    ):
        return SpecError(
            f"source.dvc: {tracked}: {said}", hint="is the path right, and pushed to the remote?"
        )
    return EnvironmentFault(f"DVC can't pull {tracked}: {said}", hint="check the remote with `dvc pull`")


def _environment(declared: Mapping[str, str], private: Path) -> dict[str, str]:
    """The child's whole environment: what was declared, and above it what keeps DVC and git to themselves."""
    return {
        "PATH": os.defpath,
        "HOME": str(private),
        "LANG": "C.UTF-8",
        **declared,
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(private / "site"),
        "DVC_GLOBAL_CONFIG_DIR": str(private / "global"),
        "DVC_SYSTEM_CONFIG_DIR": str(private / "system"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:ssh:file",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": os.devnull,
        "GIT_CONFIG_KEY_1": "core.fsmonitor",
        "GIT_CONFIG_VALUE_1": "false",
    }
