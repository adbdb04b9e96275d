"""GPUs (given by number) for the trials of a study, asked for without a Ray."""

import json
import sys
from pathlib import Path
from threading import Event

import pytest
from ray.tune.search import Searcher

from fiat.builtin.gpu_ledger import GpuLedger
from fiat.builtin.gpu_pool import GpuPool
from fiat.builtin.study_course import Course
from fiat.builtin.study_search import StudyEnd, StudySearch
from fiat.ports.compute import Resources

sys.path.insert(0, str(Path(__file__).parent))
from study_stage import Stage


@pytest.fixture
def pool(tmp_path: Path) -> GpuPool:
    return GpuPool(tmp_path / "gpus", ("0", "1"), ("0", "1"))


@pytest.fixture
def cancelled() -> Event:
    return Event()


@pytest.fixture
def search(tmp_path: Path, pool: GpuPool, cancelled: Event) -> StudySearch:
    space = {"x": {"choice": [1, 2, 3]}}
    job = Stage(tmp_path).job("", space, Resources(cpus=0, gpus=1), sampler="grid", trials=3)
    course = Course(job)
    return StudySearch(job, course, StudyEnd(job, course, cancelled), pool)


def given(search: StudySearch, trial_id: str) -> list[list[str]] | None:
    """GPUs of each worker of the next trial; None when it waits."""
    found = search.suggest(trial_id)
    return None if found is None else json.loads(found["grant"])["workers"]


def test_a_trial_begins_when_it_has_its_gpus_and_they_are_free_when_it_has_ended(
    search: StudySearch, pool: GpuPool
) -> None:
    assert [given(search, name) for name in "abc"] == [[["0"]], [["1"]], None]
    search.on_trial_complete("a", error=True)
    assert given(search, "c") == [["0"]]
    assert [claim.step for claim in GpuLedger(pool.folder).look()[0]] == ["tune.2", "tune.3"]


def test_gpus_of_trials_that_end_with_the_study_are_given_back(
    search: StudySearch, pool: GpuPool, cancelled: Event
) -> None:
    assert [given(search, name) for name in "abc"] == [[["0"]], [["1"]], None]
    having, waiting = GpuLedger(pool.folder).look()
    assert [claim.keys for claim in having] == [("0",), ("1",)]
    assert len(waiting) == 1
    cancelled.set()
    assert search.suggest("d") == Searcher.FINISHED
    search.close()  # Tune tells of no trial that was stopped with the others
    assert GpuLedger(pool.folder).look() == ((), ())
