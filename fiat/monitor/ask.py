"""Ask the child that reads the log, and wait for its answer. Loads nothing large."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fiat.errors import EnvironmentFault
from fiat.monitor.log_files import log_files
from fiat.monitor.memory import Memory
from fiat.monitor.tally import Labelled, Tally
from fiat.monitor.watched import Watched

_LONGEST_S = 600.0
_CHARACTERS = 2000


def judge_windows(watched: Watched, memory: Memory) -> list[int]:
    """Judge and remember what is new, in a process of its own.

    Returns:
        Serials of the windows that were found.

    Raises:
        EnvironmentFault: the log can't be read or what was found can't be remembered.
    """
    plans = {
        "drift": asdict(watched.drift) if watched.drift else None,
        "quality": asdict(watched.quality) if watched.quality else None,
    }
    folders = {name: str(getattr(watched, name)) for name in ("predictions", "labels", "releases")}
    answer = _ask(
        {"ask": "windows", "watched": {**folders, **plans}, "memory": str(memory.folder)}, _LONGEST_S
    )
    return [int(serial) for serial in answer]


def ask_quality(predictions: Path, labels: Path, since_s: float, *, timeout_s: float = 60.0) -> Labelled:
    """How good each version is on requests since a moment whose labels have come: `labelled.quality_by_version` in a child.

    Starts none where no label came since.

    Args:
        predictions: folder of the log.
        labels: folder of the labels.
        since_s: seconds since 1970; older requests don't count.
        timeout_s: longest time.

    Raises:
        EnvironmentFault: the child failed or took too long.
    """
    if not any(file.written_at >= since_s for file in log_files(labels)):
        return Labelled({})
    question = {"ask": "quality", "predictions": str(predictions), "labels": str(labels), "since_s": since_s}
    answer = _ask(question, timeout_s)
    versions = {digest: Tally(**sums) for digest, sums in answer["versions"].items()}
    return Labelled(versions, int(answer["n_unmatched"]))


@dataclass(frozen=True)
class LastServed:
    """How far requests were described last.

    Attributes:
        n_requests: that were; 0 for none.
        until_us: time of the newest of them, microseconds since 1970.
    """

    n_requests: int = 0
    until_us: int = 0


def ask_served(services: Sequence[tuple[Path, Path]], before: LastServed, target: Path) -> LastServed:
    """Describe what clients sent of late: `served.describe_served` in a child.

    Args:
        services: folder of the log and folder of packages of each.
        before: how far they were described last.
        target: folder that is made for `profile.json` where there is something new; else it is not there afterwards.

    Raises:
        EnvironmentFault: the child failed or took too long.
    """
    folders = [[str(predictions), str(releases)] for predictions, releases in services]
    question = {"ask": "served", "services": folders, "before": asdict(before), "target": str(target)}
    return LastServed(**_ask(question, _LONGEST_S))


def _ask(question: Mapping[str, Any], timeout_s: float) -> Any:
    command = [sys.executable, "-m", "fiat.monitor.child"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFault(f"the log can't be looked at: {error}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"its reader ended with {done.returncode}"]
        raise EnvironmentFault(f"the log can't be looked at: {said[0][:_CHARACTERS]}")
    return json.loads(done.stdout)
