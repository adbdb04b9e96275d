"""One Ray for all tests: starting it takes seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.builtin import ray_up


@pytest.fixture(scope="session")
def ray_head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """State folder of a warm Ray with 4 CPUs and 2 logical GPUs, for `RayCompute(ray_head)`."""
    state_dir = tmp_path_factory.mktemp("ray-state")
    ray_up.up(state_dir, cpus=4, gpus=2, ledger=state_dir / "gpus")
    yield state_dir
    ray_up.down(state_dir)
