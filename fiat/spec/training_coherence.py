"""Contradictions in the sections `train` and `tune`, as far as the spec alone can tell."""

from collections.abc import Iterator
from difflib import get_close_matches

from pydantic import JsonValue

from fiat.spec.graph import Contradiction, meant, works_of
from fiat.spec.model import Spec
from fiat.spec.search_space import is_finite, n_combinations, same_value
from fiat.spec.tree import KeyPath
from fiat.spec.work_section import Search, Tune

MOST_COUNTED = 100_000
_SLIP = 0.85
"""From how alike on a name is taken for a slip of the pen."""


def training_contradictions(spec: Spec) -> Iterator[Contradiction]:
    """Every contradiction of these sections."""
    for step, work in works_of(spec).items():
        path: KeyPath = ("train",) if step == "train" else ("steps", step)
        if work.resources.workers > 1 and 0 < work.resources.gpus < 1:
            yield Contradiction(
                (*path, "resources", "gpus"),
                "workers that share their batches can't share a GPU",
                "give each a whole one: `gpus: 1`",
            )
    if spec.train is not None and spec.train.warm_start and spec.baseline is None:
        yield Contradiction(
            ("train", "warm_start"),
            "the spec names no baseline to start from",
            "add `baseline: {from: main}`",
        )
    if spec.tune is not None:
        yield from _searches(spec, spec.tune)


def _searches(spec: Spec, tune: Tune) -> Iterator[Contradiction]:
    names = list(tune.search)
    if spec.train is not None:
        given = spec.train.with_ if "with_" in spec.train.model_fields_set else spec.params
        for name in names:
            # A parameter that only the function knows may be searched too; one that looks like another is a slip.
            others = [str(known) for known in given if known not in names]
            if name not in given and (close := get_close_matches(name, others, n=1, cutoff=_SLIP)):
                hint = f"did you mean `{close[0]}`?"
                yield Contradiction(("tune", "search", name), f"`train` has no parameter `{name}`", hint)
    for name, search in tune.search.items():
        for other, value in (search.when or {}).items():
            path: KeyPath = ("tune", "search", name, "when", other)
            if other not in names or other == name:
                hint = meant(other, [known for known in names if known != name])
                yield Contradiction(path, f"`{other}` is not searched", hint)
                continue
            wanted = value if isinstance(value, list) else [value]
            for item in wanted:
                if (why := _why_never(tune.search[other], item)) is not None:
                    yield Contradiction(path, f"`{other}` is never {item}", why)
    yield from _circles(tune)
    if tune.sampler == "grid":
        yield from _grid(tune)


def _why_never(search: Search, value: JsonValue) -> str | None:
    """Why a searched parameter never has a value; None when it can have it."""
    if search.choice is not None:
        if any(same_value(value, item) for item in search.choice):
            return None
        return f"it is one of: {', '.join(map(str, search.choice))}"
    if search.int is not None:
        low, high = search.int
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return None
        return f"it is a whole number from {low} to {high}"
    return "a range hardly ever meets one value; search it by a list"


def _circles(tune: Tune) -> Iterator[Contradiction]:
    for name in tune.search:
        seen, waiting = set(), list(tune.search[name].when or {})
        while waiting:
            other = waiting.pop()
            if other == name:
                yield Contradiction(("tune", "search", name, "when"), f"`{name}` depends on itself")
                return
            if other not in seen and other in tune.search:
                seen.add(other)
                waiting += list(tune.search[other].when or {})


def _grid(tune: Tune) -> Iterator[Contradiction]:
    space = {name: search.model_dump(mode="json", exclude_none=True) for name, search in tune.search.items()}
    ranges = [name for name in space if not is_finite({name: space[name]})]
    for name in ranges:
        yield Contradiction(
            ("tune", "search", name), "a grid needs lists of values", "write a list, or another `sampler`"
        )
    if ranges or "trials" not in tune.model_fields_set:
        return
    n_all = n_combinations(space, most=MOST_COUNTED)
    if tune.trials < n_all:
        yield Contradiction(
            ("tune", "trials"),
            f"the grid has {n_all:,} combinations, more than {tune.trials} trials",
            "leave `trials` out to try all, search fewer values, or at `random`",
        )
