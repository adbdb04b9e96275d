"""What a search goes through: which parameters are there together, and all combinations of a grid."""

import json
import math
from collections.abc import Iterator, Mapping
from itertools import product

Space = Mapping[str, Mapping[str, object]]
"""Parameter to where its values come from, as `tune.search` has it: `choice`, `uniform`, `log` or `int`, and `when`."""


def in_order(space: Space) -> list[str]:
    """Names of the parameters, each behind those that its `when` asks for.

    Those that wait for each other in a circle come last, as they are; the spec refuses them.
    """
    ordered: list[str] = []
    waiting = list(space)
    while waiting:
        ready = [name for name in waiting if not (set(_when(space, name)) & set(waiting)) - {name}]
        ordered += ready or waiting
        waiting = [name for name in waiting if name not in ordered]
    return ordered


def applies(space: Space, name: str, chosen: Mapping[str, object]) -> bool:
    """Whether a parameter is searched beside the values that are chosen already.

    Args:
        space: the whole space.
        name: the parameter.
        chosen: those before it in `in_order` that apply.
    """
    for other, wanted in _when(space, name).items():
        allowed = wanted if isinstance(wanted, list | tuple) else (wanted,)
        if other not in chosen or not any(same_value(chosen[other], value) for value in allowed):
            return False
    return True


def values_of(search: Mapping[str, object]) -> tuple[object, ...]:
    """All values of a list, or of a range of whole numbers; none when there are endless ones."""
    choice, whole = search.get("choice"), search.get("int")
    if isinstance(choice, list | tuple):
        return tuple(choice)
    if isinstance(whole, list | tuple):
        low, high = (int(str(value)) for value in whole)
        return tuple(range(low, high + 1))
    return ()


def is_finite(space: Space) -> bool:
    """Whether there is an end to the combinations."""
    return all("choice" in search or "int" in search for search in space.values())


def n_combinations(space: Space, most: int) -> int:
    """How many combinations there are, counted up to `most`."""
    if not any(search.get("when") for search in space.values()):
        return min(most, math.prod(len(values_of(search)) for search in space.values()))
    n_found = 0
    for _ in grid(space):
        n_found += 1
        if n_found >= most:
            break
    return n_found


def grid(space: Space) -> Iterator[dict[str, object]]:
    """All combinations of a finite space, each once; the last parameter changes fastest."""
    names = in_order(space)
    if not any(search.get("when") for search in space.values()):
        for values in product(*(values_of(space[name]) for name in names)):
            yield dict(zip(names, values, strict=True))
        return
    yield from _conditional(space, names, {})


def _conditional(space: Space, names: list[str], chosen: dict[str, object]) -> Iterator[dict[str, object]]:
    if not names:
        yield dict(chosen)
        return
    name, *rest = names
    if not applies(space, name, chosen):
        yield from _conditional(space, rest, chosen)
        return
    for value in values_of(space[name]):
        yield from _conditional(space, rest, {**chosen, name: value})


def same_value(a: object, b: object) -> bool:
    """Whether two values are the same JSON: True is not 1, but 1.0 is."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a == b
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def _when(space: Space, name: str) -> Mapping[str, object]:
    found = space[name].get("when")
    return found if isinstance(found, Mapping) else {}
