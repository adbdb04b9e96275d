"""Studies on a real Ray: trials that take no time, and what becomes of them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from study_stage import Stage, best_in

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_grid_tries_all_combinations_and_finds_the_best(ray_head: Path, stage: Stage) -> None:
    job = stage.job(
        "say('score', p['a'] * p['b'])", {"a": {"choice": [1, 2]}, "b": {"choice": [3, 5]}}, sampler="grid"
    )
    result = stage.run(ray_head, job)
    assert (result.state, result.reason) == ("done", "")
    assert sorted((p["a"], p["b"], p["fixed"]) for p in stage.started()) == [
        (1, 3, 1),
        (1, 5, 1),
        (2, 3, 1),
        (2, 5, 1),
    ]
    assert best_in(job) == {"params": {"a": 2, "b": 5}, "value": 10.0, "trial": 4}
