from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.builtin.compute_local import LocalCompute
from fiat.ports.compute import Compute
from fiat.testing.compute_suite import ComputeSuite


class TestLocalCompute(ComputeSuite):
    @pytest.fixture
    def compute(self, canary: None, tmp_path: Path) -> Iterator[Compute]:
        compute = LocalCompute(cpus=4, gpus=2, ledger=tmp_path / "gpus")
        yield compute
        compute.close()
