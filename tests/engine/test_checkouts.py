"""Laid out commits go when nobody has used them for long, but not from under a run."""

import os
from pathlib import Path

from fiat.engine.checkouts import Checkouts

DAY_S = 86400.0


def test_the_folder_of_a_run_that_goes_on_for_long_stays(tmp_path: Path) -> None:
    checkouts = Checkouts(tmp_path)
    for commit, age_days in (("a" * 40, 10), ("b" * 40, 10), ("c" * 40, 1)):
        folder = tmp_path / "acme__models" / commit
        folder.mkdir(parents=True)
        os.utime(folder, (1e9 - age_days * DAY_S, 1e9 - age_days * DAY_S))
    assert checkouts.sweep(7 * DAY_S, 1e9, keep={"a" * 40}) == 1
    assert {path.name[0] for path in (tmp_path / "acme__models").iterdir()} == {"a", "c"}
