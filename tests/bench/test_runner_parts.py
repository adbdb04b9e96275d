"""The parts about the runner still measure something, with the smallest sizes: what they find is no matter here."""

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

SIZES = {
    "webhook": {"count": 8, "repeats": 1},
    "affected": {"count": 20, "repeats": 1},
    "claims": {"count": 100, "claims": 2, "repeats": 1},
    "pages": {"count": 100, "takes": 2},
}


@pytest.mark.parametrize("part", SIZES)
def test_each_line_stands_beside_a_bare_limit(part: str, tmp_path: Path) -> None:
    lines = importlib.import_module(part).measure(tmp_path, **SIZES[part])
    assert lines
    for line in lines:
        assert line.ours > 0, line.what
        assert line.peer is not None, line.what
        assert line.peer > 0, line.what
        assert line.peer_name
        assert line.ratio == line.ours / line.peer
    assert len({line.what for line in lines}) == len(lines)
