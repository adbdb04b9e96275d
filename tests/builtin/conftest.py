"""What takes seconds to make, once for all tests of this folder."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from gang_stage import Alone, learn_alone


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """What one worker learns, for tests that several of them learn the same."""
    pytest.importorskip("fiat_torch")
    return learn_alone(tmp_path_factory.mktemp("alone"))
