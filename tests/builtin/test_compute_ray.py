from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.builtin.compute_ray import RayCompute
from fiat.ports.compute import Compute
from fiat.testing.compute_suite import ComputeSuite


class TestRayCompute(ComputeSuite):
    @pytest.fixture
    def compute(self, canary: None, ray_head: Path) -> Iterator[Compute]:
        compute = RayCompute(ray_head)
        yield compute
        compute.close()
