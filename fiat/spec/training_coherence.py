"""Contradictions in the sections `train` and `tune`, as far as the spec alone can tell."""

import math
from collections.abc import Iterator
from difflib import get_close_matches

from fiat.spec.graph import Contradiction, meant, works_of
from fiat.spec.model import Spec
from fiat.spec.tree import KeyPath
from fiat.spec.work_section import Tune

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
            choices = tune.search[other].choice
            wanted = value if isinstance(value, list) else [value]
            for item in wanted:
                if choices is not None and item not in choices:
                    listed = ", ".join(map(str, choices))
                    yield Contradiction(path, f"`{other}` is never {item}", f"it is one of: {listed}")
    yield from _circles(tune)
    if tune.sampler == "grid":
        yield from _grid(tune)


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
    ranges = [name for name, search in tune.search.items() if search.choice is None]
    for name in ranges:
        yield Contradiction(
            ("tune", "search", name), "a grid needs lists of values", "write a list, or another `sampler`"
        )
    if ranges or any(search.when for search in tune.search.values()):
        return
    n_all = math.prod(len(search.choice or ()) for search in tune.search.values())
    if "trials" in tune.model_fields_set and tune.trials < n_all:
        yield Contradiction(
            ("tune", "trials"), f"the grid has {n_all} combinations, more than {tune.trials} trials"
        )
