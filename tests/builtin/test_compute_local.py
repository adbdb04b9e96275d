from collections.abc import Iterator

import pytest

from fiat.builtin.compute_local import LocalCompute
from fiat.ports.compute import Compute
from fiat.testing.compute_suite import ComputeSuite


class TestLocalCompute(ComputeSuite):
    @pytest.fixture
    def compute(self, canary: None) -> Iterator[Compute]:
        compute = LocalCompute(cpus=4, gpus=2)
        yield compute
        compute.close()
