"""What a step's sources are digested as."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.engine.checkout import Checkout
from fiat.engine.decide import Decider
from fiat.errors import SpecError
from fiat.plan.build import Outside, build_plan
from fiat.spec.model import Spec
from fiat.store.store import open_store


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("data/a.csv", "data/sub/b.csv", "data/.hidden.csv", "elsewhere/c.csv"):
        (tmp_path / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "checkout" / name).write_text(name)
    return tmp_path / "checkout"


def sources(root: Path, source: Mapping[str, object]) -> object:
    spec = Spec.model_validate({"fiat": 1, "name": "t", "data": {"d": {"source": source}}})
    plan, state = build_plan(spec, Outside()), root.parent / "store"
    with open_store(state, now=lambda: datetime.now(UTC), checkout=root) as store:
        decider = Decider(store, Checkout(root), plan, spec_files=(), data=(), state_dir=state)
        decider.look_ahead()
        return decider.decide(plan.step("data.d"), {}, {}).parts["sources"]


@pytest.mark.parametrize(
    ("pattern", "counts", "does_not"),
    [
        ("data/**/*.csv", "data/sub/b.csv", "elsewhere/c.csv"),
        ("data/**", "data/a.csv", "data/.hidden.csv"),
        ("*/c.csv", "elsewhere/c.csv", "data/a.csv"),
        ("data/../elsewhere/*", "elsewhere/c.csv", "data/a.csv"),
        ("{root}/data/*.csv", "data/a.csv", "data/sub/b.csv"),
    ],
)
def test_a_pattern_is_digested_over_the_files_that_the_source_reads(
    root: Path, pattern: str, counts: str, does_not: str
) -> None:
    source = {"glob": pattern.replace("{root}", str(root))}
    before = sources(root, source)
    (root / does_not).write_text("other")
    assert sources(root, source) == before
    (root / counts).write_text("other")
    assert sources(root, source) != before


def test_a_name_with_signs_of_a_pattern_is_that_file_when_it_is_there(root: Path) -> None:
    (root / "data" / "[a].csv").write_text("signs")
    before = sources(root, {"path": "data/[a].csv"})
    (root / "data" / "a.csv").write_text("other")
    assert sources(root, {"path": "data/[a].csv"}) == before


def test_what_is_not_there_is_said_before_anything_runs(root: Path) -> None:
    for source in ({"path": "data/gone.csv"}, {"glob": "data/*.parquet"}, {"dvc": "data/gone.csv.dvc"}):
        with pytest.raises(SpecError, match=r"of step data\.d is not there"):
            sources(root, source)


def test_what_dvc_tracks_by_its_path_need_not_be_here(root: Path) -> None:
    assert sources(root, {"dvc": "data/tracked.csv"}) == sources(root, {"dvc": "data/tracked.csv"})
