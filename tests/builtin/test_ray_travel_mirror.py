"""Checkpoints as user code and frameworks write them, on their way from a node to the desk: without Ray, by hand."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from fiat.builtin.ray_desk import Desk
from fiat.builtin.ray_travel_mirror import Mirror
from fiat.builtin.ray_travel_parcel import Item, Torn, in_chunks
from fiat.builtin.ray_travel_send import Source, part_of

LARGE = b"x" * (5 << 20)


class Road:
    """A node's folder of checkpoints, that of home, and a desk between them."""

    def __init__(self, folder: Path) -> None:
        self.here, self.home, self.base = folder / "here", folder / "home", folder / "base"
        for path in (self.here, self.home, self.base):
            path.mkdir()
        self.desk = Desk("/usr/bin/python3")
        self.sent: list[str] = []
        self.notes: list[str] = []
        self.torn: set[str] = set()

    def mirror(self, most_bytes: int | None = None) -> Mirror:
        return Mirror(self.here, self.send, self.notes.append, most_bytes)

    def send(self, items: Sequence[Item], sources: Mapping[str, Source], gone: Sequence[str]) -> None:
        draft, missing = self.desk.offer(str(self.base), items, str(self.home))
        for chunk in in_chunks([item for item in items if item.digest in missing]):
            self.desk.write(draft, chunk, [part_of(sources[piece.digest], piece) for piece in chunk])
        if self.torn.intersection(item.path for item in items):
            raise Torn("it changed")
        self.desk.settle(draft, str(self.home), items, gone, kept=True)
        self.sent += [item.path for item in items]

    def at_home(self) -> dict[str, int]:
        found = (path for path in self.home.rglob("*") if path.is_file())
        return {path.relative_to(self.home).as_posix(): path.stat().st_size for path in found}


@pytest.fixture
def road(tmp_path: Path) -> Road:
    return Road(tmp_path)


def test_what_is_new_or_changed_goes_home_and_what_a_framework_removes_goes_there_too(road: Road) -> None:
    mirror = road.mirror()
    (road.here / "checkpoint-1").mkdir()
    (road.here / "checkpoint-1" / "model.bin").write_bytes(LARGE)
    (road.here / "state.json").write_text("1")
    mirror.send()
    assert road.at_home() == {"state.json": 1}  # the model may not be whole yet
    mirror.send()
    assert road.at_home() == {"checkpoint-1/model.bin": len(LARGE), "state.json": 1}
    mirror.send()
    (road.here / "state.json").write_text("22")
    (road.here / "checkpoint-2").mkdir()
    (road.here / "checkpoint-2" / "model.bin").write_bytes(b"2")
    (road.here / "checkpoint-1" / "model.bin").unlink()
    (road.here / "checkpoint-1").rmdir()
    mirror.send()
    assert road.at_home() == {"checkpoint-2/model.bin": 1, "state.json": 2}
    assert not (road.home / "checkpoint-1").exists()
    assert road.sent == ["state.json", "checkpoint-1/model.bin", "checkpoint-2/model.bin", "state.json"]


def test_what_another_node_brought_home_meanwhile_stays_there(road: Road) -> None:
    (road.here / "mine").mkdir()
    (road.here / "index.json").write_text("old")
    mirror = road.mirror()
    (road.home / "index.json").write_text("newer, by another")
    (road.home / "theirs").mkdir()
    (road.home / "theirs" / "x").write_text("x")
    (road.here / "mine" / "x").write_text("x")
    mirror.send()
    assert road.at_home() == {"index.json": 17, "theirs/x": 1, "mine/x": 1}


def test_an_index_comes_after_what_it_names(road: Road) -> None:
    mirror = road.mirror()
    name = f"00000001-{'a' * 64}.pt"
    (road.here / "index.json").write_text(name)
    (road.here / "a.bin").write_bytes(LARGE)
    (road.here / name).write_text("state")
    mirror.send(all_of_it=True)
    assert road.sent == [name, "a.bin", "index.json"]


def test_a_file_that_changes_while_it_is_sent_holds_up_no_other_and_comes_later(road: Road) -> None:
    mirror = road.mirror()
    (road.here / "a.bin").write_bytes(LARGE)
    (road.here / "index.json").write_text("i")
    road.torn = {"a.bin"}
    mirror.send(all_of_it=True)
    assert road.at_home() == {"index.json": 1}
    assert not list(road.base.glob(".arriving-*/index.json"))
    road.torn = set()
    mirror.send()
    assert road.at_home() == {"index.json": 1, "a.bin": len(LARGE)}
    assert road.sent == ["index.json", "a.bin"]


def test_no_link_is_followed_and_what_is_hidden_stays(road: Road, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret of the node")
    mirror = road.mirror()
    (road.here / "link").symlink_to(tmp_path / "secret")
    (road.here / "folder").symlink_to(tmp_path)
    (road.here / ".draft").mkdir()
    (road.here / ".draft" / "half").write_text("half")
    mirror.send()
    assert road.at_home() == {}


def test_a_link_that_code_left_at_home_is_not_written_through(road: Road, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (road.home / "sub").symlink_to(tmp_path / "outside")
    mirror = road.mirror()
    (road.here / "sub").mkdir()
    (road.here / "sub" / "x").write_text("x")
    with pytest.raises(OSError, match=r"."):
        mirror.send()
    assert list((tmp_path / "outside").iterdir()) == []


def test_files_with_holes_do_not_fill_the_disk_at_home(road: Road) -> None:
    mirror = road.mirror(most_bytes=1 << 20)
    (road.here / "hole").touch()
    os.truncate(road.here / "hole", 1 << 30)
    mirror.send()
    mirror.send()
    assert road.at_home() == {}
    assert road.notes == ["its checkpoints stay here: they are 1 GiB, more than its limit of 1 MiB"]
