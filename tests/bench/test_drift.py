"""The part about drift still measures something: what it finds is no matter here."""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))


def test_the_check_and_its_halves_stand_beside_scipy(tmp_path: Path) -> None:
    lines = importlib.import_module("drift").measure(tmp_path, rows=500, repeats=1)
    assert len({line.what for line in lines}) == 3
    for line in lines:
        assert line.ours > 0
        assert line.peer is not None
        assert line.peer > 0
        assert line.good is None, "a limit of 100,000 rows says nothing of 500"
    whole, describing, comparing = (line.ours for line in lines)
    assert comparing < whole
    assert describing > 0
