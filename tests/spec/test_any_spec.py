"""Whatever a spec says, loading it gives a spec or SpecErrors with places, nothing else."""

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiat.errors import SpecError, SpecErrors
from fiat.spec.load import LoadedSpec, load_spec
from fiat.spec.overrides import parse_overrides

BASE: dict[str, Any] = {
    "fiat": 1,
    "name": "x",
    "params": {"lr": 0.1},
    "env": {"vars": {"A": "b"}, "secrets": ["T"]},
    "data": {"d": {"source": {"path": "x"}, "split": {"train": 8, "test": 2}, "checks": [{"sql": "x"}]}},
    "steps": {"s": {"run": "x {data.d} {out.o}", "out": {"o": "file"}, "secrets": ["T"]}},
    "transform": [{"columns": ["a"], "apply": ["log1p", {"impute": "mean"}]}],
    "train": {"call": "m:f", "with": {"lr": "${params.lr}"}, "resources": {"cpus": 1}, "timeout": "2h"},
    "tune": {"search": {"lr": {"log": [0.1, 1]}, "b": [1, 2]}, "objective": {"maximize": "accuracy"}},
    "evaluate": {"metrics": ["accuracy", {"call": "m:c"}], "slices": ["a", ["a", "b"]]},
    "baseline": {"from": "main"},
    "gates": [{"metric": "accuracy", "min": 0.5}, {"parity": {"max_abs": 0.1}}],
    "deploy": {"p": {"to": "service", "rollout": {"steps": [10, 100]}}},
    "triggers": {"push": {"branches": ["main"]}},
}
WORDS = st.sampled_from(
    ["call", "run", "path", "metric", "none", "${params.lr}", "${x}", "{a.b}", "{", "2h", ""]
)
SCALARS = st.one_of(
    WORDS, st.integers(-3, 10**30), st.booleans(), st.none(), st.floats(), st.text(max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path of a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, child in inner for found in places(child, (*path, key)))]


def attempt(folder: Path) -> tuple[LoadedSpec | None, SpecErrors | None]:
    """The spec of a folder, or why it has none."""
    try:
        return load_spec(folder / "spec.yaml", root=folder, builtins={}), None
    except SpecErrors as error:
        return None, error


PLACES = [path for path in places(BASE) if path]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PLACES), VALUES, st.booleans()), min_size=1, max_size=3))
def test_any_change_of_a_spec_loads_or_is_told_with_its_place(tmp_path: Path, changes: list[Any]) -> None:
    spec = copy.deepcopy(BASE)
    for path, value, rename in changes:
        holder: Any = spec
        for part in path[:-1]:
            fits = isinstance(holder, dict) and part in holder
            fits = fits or (isinstance(holder, list) and isinstance(part, int) and part < len(holder))
            holder = holder[part] if fits else None
        if isinstance(holder, dict):
            holder[f"{path[-1]}x" if rename else path[-1]] = value
        elif isinstance(holder, list) and isinstance(path[-1], int) and path[-1] < len(holder):
            holder[path[-1]] = value
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec, allow_unicode=True), encoding="utf-8")
    loaded, error = attempt(tmp_path)
    if error is None:
        assert loaded is not None
        assert len(loaded.digest) == 64
    else:
        assert error.errors
        assert {each.where.file for each in error.errors if each.where is not None} == {"spec.yaml"}


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab.=[]{}(),'\"\\$:~+@/ 01\n\t-", max_size=40))
def test_any_text_is_an_override_or_is_told(text: str) -> None:
    changes, errors = parse_overrides([text])
    assert len(changes) + len(errors) == 1
    assert all(isinstance(error, SpecError) and "<override>" in str(error) for error in errors)
