import hashlib
import os
import time
from pathlib import Path

import pytest

from fiat.builtin.study_reads import Reads

LATER_S = time.time() + 3600


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/a.json").write_text("1")
    (tmp_path / "train.py").write_text("x")
    return tmp_path


def test_code_is_edited_when_its_content_is_another(root: Path) -> None:
    reads = Reads(root, {"train.py": md5("x"), str(root / "conf/a.json"): md5("1")})
    assert reads.edited() == ""
    os.utime(root / "train.py", (1, 1))
    assert reads.edited() == ""
    (root / "train.py").write_text("y")
    assert reads.edited() == "train.py"
    (root / "train.py").unlink()
    assert reads.edited() == "train.py"


SEEN = {"read": ["conf/a.json", "gone.json"], "absent": ["conf/own.json", "train.py"], "listed": ["conf"]}


def test_what_was_read_looked_for_and_listed_is_the_same_until_it_changes(root: Path) -> None:
    seen = Reads(root, {}).seen(SEEN, LATER_S)
    assert set(seen) == {"conf/a.json", "conf/own.json", "conf/"}
    assert Reads(root, {}).same(seen)
    (root / "conf/__pycache__").mkdir()
    assert Reads(root, {}).same(seen)


@pytest.mark.parametrize("change", ["conf/a.json", "conf/own.json", "conf/c.json"])
def test_each_kind_of_change_is_seen(root: Path, change: str) -> None:
    seen = Reads(root, {}).seen(SEEN, LATER_S)
    (root / change).write_text("2")
    assert not Reads(root, {}).same(seen)


def test_a_file_that_changed_while_it_may_have_been_read_is_never_the_same(root: Path) -> None:
    assert not Reads(root, {}).same(Reads(root, {}).seen({"read": ["train.py"]}, time.time() - 3600))


def test_names_that_lead_out_of_the_checkout_are_passed_over(root: Path) -> None:
    seen = {"read": ["/etc/hostname", "../x", 3, "train.py"], "absent": "no list", "listed": None}
    assert set(Reads(root, {}).seen(seen, LATER_S)) == {"train.py"}
