"""The model card: a text for people, filled in from what is known of a model. The usual one is `card.md`."""

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat.errors import SpecError, Where
from fiat.model.card_fill import fill

MOST_TEMPLATE_BYTES = 256 << 10
TIMEOUT_S = 5
MEMORY_BYTES = 1 << 30


@dataclass(frozen=True)
class CardSource:
    """A template of the user's.

    Attributes:
        name: its path as the spec says it.
        text: the template.
    """

    name: str
    text: str


def write_card(source: CardSource | None, facts: Mapping[str, Any]) -> str:
    """Fill in a card.

    Args:
        source: Jinja template, filled in by a process that has little memory and time; None for the usual card.
        facts: the manifest, `signature`, and `metrics` as the list of the evaluation. A template sees all of them;
            there `metrics` is a mapping from name to value of all rows, `slices` from slice to such a mapping,
            `all_metrics` is the list, and `worst_slices` has for each metric the slice farthest from the whole.

    Raises:
        SpecError: the template is no template, names what there is not, or makes or takes too much.
    """
    names = _names(facts)
    if source is None:
        return fill(Path(__file__).with_name("card.md").read_text("utf-8"), names)
    if len(source.text.encode()) > MOST_TEMPLATE_BYTES:
        raise SpecError(
            f"the card's template is larger than {MOST_TEMPLATE_BYTES >> 10} KiB", where=Where(source.name)
        )
    answer = _fill_apart({"text": source.text, "names": names})
    if "error" in answer:
        raise SpecError(
            f"the card's template can't be filled in: {answer['error']}",
            hint="it can use " + ", ".join(sorted(names)),
            where=Where(source.name, int(answer.get("line", 0))),
        )
    return str(answer["card"])


def _fill_apart(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Three characters of a template can ask for gigabytes or hours, so it is a process of its own that asks."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (TIMEOUT_S, TIMEOUT_S))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "fiat.model.card_fill"],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=2 * TIMEOUT_S,
            check=False,
            env={"LANG": "C.UTF-8"},
            preexec_fn=limit,
        )
        answer: Mapping[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return {"error": f"it takes more than {TIMEOUT_S} s or {MEMORY_BYTES >> 30} GiB"}
    return answer


def _names(facts: Mapping[str, Any]) -> dict[str, Any]:
    every = facts["metrics"]
    slices: dict[str, dict[str, Any]] = {}
    for item in every:
        if item["slice"]:
            slices.setdefault(item["slice"], {})[item["name"]] = item["value"]
    whole = {item["name"]: item["value"] for item in every if not item["slice"]}
    return {
        **facts,
        "metrics": whole,
        "slices": slices,
        "all_metrics": every,
        "worst_slices": _farthest(every, whole),
    }


def _farthest(every: list[dict[str, Any]], whole: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """For each metric the slice whose value is farthest from that of all rows."""
    found: dict[str, tuple[float, dict[str, Any]]] = {}
    for item in every:
        value, middle = item["value"], whole.get(item["name"])
        if not item["slice"] or value is None or middle is None:
            continue
        gap = abs(value - middle)
        if item["name"] not in found or gap > found[item["name"]][0]:
            found[item["name"]] = (gap, item)
    return {name: item for name, (_, item) in found.items()}
