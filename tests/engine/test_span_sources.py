"""Spans: only those that are used make a data step another one, and new ones are news."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.builtin.source_path import PathSource
from fiat.builtin.step_data_span import SpanSource
from fiat.engine.checkout import Checkout
from fiat.engine.decide import Decider
from fiat.engine.schedule import Probing, probe_data
from fiat.plan.build import Outside, build_plan
from fiat.ports.confinement import Confinement
from fiat.ports.source import Source
from fiat.spec.model import Spec
from fiat.store.store import open_store


def write(root: Path, *names: str, text: str = "x\n1\n") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def spec_of(data: Mapping[str, object]) -> Spec:
    return Spec.model_validate(
        {"fiat": 1, "name": "t", "data": {"d": data}, "triggers": {"data": {"every": "10m"}}}
    )


def digested(root: Path, data: Mapping[str, object]) -> object:
    plan, state = build_plan(spec_of(data), Outside()), root.parent / "store"
    with open_store(state, now=lambda: datetime.now(UTC), checkout=root) as store:
        decider = Decider(store, Checkout(root), plan, spec_files=(), data=(), state_dir=state)
        decider.look_ahead()
        return decider.decide(plan.step("data.d"), {}, {}).parts["sources"]


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (
            {"span": {"pattern": "in/{YYYY}-{MM}-{DD}.csv", "use": {"last": 2}}},
            ("in/2024-05-01.csv", "in/2024-05-02.csv", "in/2024-05-04.csv", "in/2024-05-05.csv"),
        ),
        (
            {"source": {"path": "in"}, "span": {"pattern": "{SPAN}.csv", "use": {"last": 2}}},
            ("in/7.csv", "in/8.csv", "in/9.csv", "in/10.csv"),
        ),
        (
            {"span": {"pattern": "in/span-{SPAN}", "use": {"last": 2}}},
            ("in/span-1/a.csv", "in/span-2/a.csv", "in/span-3/b.csv", "in/span-4/a.csv"),
        ),
    ],
)
def test_only_the_spans_that_are_used_count(
    tmp_path: Path, data: Mapping[str, object], names: tuple[str, ...]
) -> None:
    root = tmp_path / "checkout"
    old, second, third, new = names
    write(root, old, second, third)
    first = digested(root, data)
    write(root, old, text="x\n2\n")
    write(root, "in/notes.txt")
    assert digested(root, data) == first
    write(root, second, text="x\n2\n")
    other = digested(root, data)
    assert other != first
    write(root, new)
    assert digested(root, data) != other
    last = digested(root, data)
    write(root, second, text="x\n3\n")
    assert digested(root, data) == last  # it is no longer among the last two


def test_a_span_that_nothing_fits_is_left_to_the_step_to_say(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    write(root, "in/a.csv")
    assert digested(root, {"span": {"pattern": "in/{YYYY}.csv", "use": "latest"}}) is not None


SOURCES: Mapping[str, Source] = {"span": SpanSource(), "path": PathSource()}


def probed(scratch: Path, data: Mapping[str, object], files: Mapping[str, str], granted: Path) -> str:
    scratch.mkdir(exist_ok=True)
    policy = Confinement(confined=True, data_folders=(str(granted),))
    return probe_data(spec_of(data), files, SOURCES.__getitem__, Probing(scratch, policy, False, 1 << 30, {}))


def test_a_new_span_of_a_granted_folder_is_new_data(tmp_path: Path) -> None:
    granted = tmp_path / "granted"
    data = {"span": {"pattern": f"{granted}/{{YYYY}}-{{MM}}.csv", "use": "latest"}}
    write(granted, "2024-05.csv", "2024-06.csv")
    first = probed(tmp_path / "scratch", data, {}, granted)
    assert first == probed(tmp_path / "scratch", data, {}, granted) != ""
    write(granted, "2024-05.csv", text="x\n2\n3\n")
    assert probed(tmp_path / "scratch", data, {}, granted) == first
    write(granted, "2024-07.csv")
    assert probed(tmp_path / "scratch", data, {}, granted) != first


def test_a_new_span_of_the_commit_is_new_data_where_no_push_sees_to_it(tmp_path: Path) -> None:
    data = {"span": {"pattern": "in/{SPAN}.csv", "use": "latest"}}
    files = {"in/1.csv": "a", "other/1.csv": "a"}
    first = probed(tmp_path / "scratch", data, files, tmp_path)
    assert first
    assert probed(tmp_path / "scratch", data, {**files, "other/2.csv": "b"}, tmp_path) == first
    assert probed(tmp_path / "scratch", data, {**files, "in/2.csv": "b"}, tmp_path) != first


def test_data_that_a_function_makes_are_never_news_by_themselves(tmp_path: Path) -> None:
    assert probed(tmp_path / "scratch", {"source": {"call": "m:f"}}, {"m.py": "a"}, tmp_path) == ""
