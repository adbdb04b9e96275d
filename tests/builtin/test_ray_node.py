"""What a node keeps of what was sent to it."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from travel_stage import Town, md5

from fiat.builtin.ray_node import BYTES_VARIABLE, FOLDER_VARIABLE, NodeFolder, node_folder
from fiat.builtin.ray_travel_parcel import ROOT, Item, Torn, in_chunks
from fiat.errors import EnvironmentFault


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def test_files_are_sent_once_and_used_again(town: Town) -> None:
    (town.root / "a.py").write_bytes(b"0123456789" * 3)
    (town.root / "b.py").write_bytes(b"0123456789" * 3)
    (town.root / "none.py").touch()
    parcel = town.desk.pack(town.job())
    with town.node.job_folder() as folder:
        assert {item.size_bytes for item in town.fetch(parcel, folder)} == {0, 30}
        town.node.lay(next(item for item in parcel.items if item.path == "b.py"), folder / "b.py", own=True)
        assert (folder / "b.py").read_bytes() == b"0123456789" * 3
        inside = folder
    assert not inside.exists()
    with town.node.job_folder() as folder:
        assert town.fetch(parcel, folder) == []


def test_what_does_not_have_its_digest_is_not_kept(town: Town) -> None:
    item = Item(ROOT, "a.py", md5(b"one"), 3)
    with town.node.job_folder() as folder:
        town.node.claim(folder, [item])
        town.node.write(folder, in_chunks([item])[0], [b"two"])
        with pytest.raises(Torn, match="did not arrive whole"):
            town.node.keep(folder, item)
        assert town.node.claim(folder, [item]) == [item]


def test_an_object_that_somebody_wrote_into_is_fetched_again(town: Town) -> None:
    (town.root / "a.py").write_text("one")
    parcel = town.desk.pack(town.job())
    with town.node.job_folder() as folder:
        (item,) = town.fetch(parcel, folder)
        path = town.node.path(item.digest)
        path.chmod(0o644)
        path.write_text("two")
        assert town.fetch(parcel, folder) == [item]
        assert path.read_text() == "one"


def test_large_inputs_are_links_to_read_only_objects_and_code_is_the_jobs_own(town: Town) -> None:
    town.chunk_bytes = 1 << 20
    content = b"x" * (2 << 20)
    (town.root / "big.bin").write_bytes(content)
    parcel = town.desk.pack(town.job())
    with town.node.job_folder() as folder:
        (item,) = town.fetch(parcel, folder)
        town.node.lay(item, folder / "input", own=False)
        town.node.lay(item, folder / "code", own=True)
        assert (folder / "input").is_symlink()
        assert (folder / "input").stat().st_mode & 0o222 == 0
        assert not (folder / "code").is_symlink()
        assert (folder / "code").read_bytes() == content


def test_folders_of_dead_workers_go_and_those_of_living_ones_stay(town: Town, tmp_path: Path) -> None:
    with town.node.job_folder() as living:
        (living / "file").touch()
        dead = living.with_name("dead")
        dead.mkdir()
        (dead / "shut").mkdir(mode=0o000)
        living.with_name("dead.lock").touch()
        never_locked = living.with_name("unlocked")
        never_locked.mkdir()
        town.node.sweep()
        assert (living / "file").exists()
        assert not dead.exists()
        assert not never_locked.exists()
        assert not living.with_name("dead.lock").exists()


def test_what_was_not_used_for_longest_makes_room_but_nothing_that_a_job_uses(
    town: Town, tmp_path: Path
) -> None:
    node = NodeFolder(tmp_path / "small", cache_bytes=250)
    items = [Item(ROOT, name, md5(name.encode() * 100), 100) for name in "abcd"]
    with node.job_folder() as folder:
        node.claim(folder, items)
        for age, item in enumerate(items):
            node.write(folder, in_chunks([item])[0], [item.path.encode() * 100])
            node.keep(folder, item)
            about = node.path(item.digest).stat()
            os.utime(node.path(item.digest), ns=(10**18 + age, about.st_mtime_ns))
        node.claim(folder, items[:1])
        node.sweep()
        there = [item.path for item in items if node.path(item.digest).exists()]
        assert there == ["a", "d"]


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "node").symlink_to("theirs")
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        node_folder({FOLDER_VARIABLE: str(tmp_path / "node")})


def test_a_size_that_is_no_number_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="FIAT_NODE_BYTES is '50GiB'"):
        node_folder({FOLDER_VARIABLE: str(tmp_path), BYTES_VARIABLE: "50GiB"})
