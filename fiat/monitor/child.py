"""The heavy part of watching as a program of its own: Arrow and Polars stay out of runners and keepers, which live long.

    python -m fiat.monitor.child < question.json

A question is a JSON object: `{"ask": "windows", ...}` judges and remembers what is new (see `judge_windows`), `{"ask":
"quality", ...}` prints how good each version is (see `ask_quality`), `{"ask": "served", ...}` describes what clients sent
(see `ask_served`).
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fiat.errors import FiatError
from fiat.monitor.labelled import quality_by_version
from fiat.monitor.memory import Memory
from fiat.monitor.model import DriftPlan, QualityPlan
from fiat.monitor.served import Described, describe_served
from fiat.monitor.watch import new_windows
from fiat.monitor.watched import Watched
from fiat.profile.document import write_profile

_NICE = 10


def main() -> int:
    """Answer the question on standard input.

    Returns:
        0; 1 with a sentence on standard error.
    """
    with suppress(OSError):
        os.nice(_NICE)
    try:
        question = json.load(sys.stdin)
        asked = question.pop("ask")
        answer = _ANSWERS[asked](**question)
    except (FiatError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    json.dump(answer, sys.stdout)
    return 0


def _windows(watched: Mapping[str, Any], memory: str) -> list[int]:
    """Serials of the windows that were found; none while another one judges."""
    plans = {name: watched[name] for name in ("drift", "quality")}
    found = Watched(
        Path(watched["predictions"]),
        Path(watched["labels"]),
        Path(watched["releases"]),
        DriftPlan(**plans["drift"]) if plans["drift"] else None,
        QualityPlan(**plans["quality"]) if plans["quality"] else None,
    )
    place = Memory(Path(memory))
    with place.held("judging") as alone:
        return [window.serial for window in new_windows(found, place)] if alone else []


def _quality(predictions: str, labels: str, since_s: float) -> dict[str, Any]:
    found = quality_by_version(Path(predictions), Path(labels), since_s)
    versions = {digest: asdict(tally) for digest, tally in found.versions.items()}
    return {"versions": versions, "n_unmatched": found.n_unmatched}


def _served(services: Sequence[Sequence[str]], before: Mapping[str, Any], target: str) -> dict[str, Any]:
    """Write the profile where there is a new one."""
    folders = [(Path(predictions), Path(releases)) for predictions, releases in services]
    found = describe_served(folders, Described(**before))
    if found.profile is not None:
        Path(target).mkdir()
        write_profile(Path(target), found.profile)
    return {"n_requests": found.n_requests, "until_us": found.until_us}


_ANSWERS: Mapping[str, Callable[..., object]] = {"windows": _windows, "quality": _quality, "served": _served}


if __name__ == "__main__":
    sys.exit(main())
