"""What comes home to the desk, and what the desk tells: without Ray, by hand."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from travel_stage import Town, md5

from fiat.builtin.ray_travel_outputs import Inputs, output_items
from fiat.builtin.ray_travel_parcel import CHECKPOINTS, WORK, Item, Torn, in_chunks


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def deliver(town: Town, here: Path, given: frozenset[str] = frozenset()) -> frozenset[str]:
    items, fault = output_items(here, Inputs(town.node.objects, given))
    assert not fault
    draft, missing = town.desk.offer(str(town.work), items)
    for chunk in in_chunks([item for item in items if item.digest in missing]):
        contents = []
        for piece in chunk:
            source = here / next(item.path for item in items if item.digest == piece.digest)
            contents.append(source.read_bytes()[piece.offset : piece.offset + piece.size_bytes])
        town.desk.write(draft, chunk, contents)
    town.desk.settle(draft, str(town.work), items)
    return missing


def test_outputs_come_home_whole_with_folders_twins_and_empty_files(town: Town, tmp_path: Path) -> None:
    out = tmp_path / "here" / "out"
    (out / "rows" / "deep" / "none").mkdir(parents=True)
    (out / "rows" / "a").write_text("same")
    (out / "rows" / "deep" / "b").write_text("same")
    (out / "rows" / "link").symlink_to("a")
    (out / "model").touch()
    (out / "model").chmod(0o755)
    deliver(town, tmp_path / "here")
    home = town.work / "out"
    assert (home / "rows" / "a").read_text() == (home / "rows" / "deep" / "b").read_text() == "same"
    assert (home / "rows" / "link").read_text() == "same"
    assert (home / "rows" / "deep" / "none").is_dir()
    assert (home / "model").read_bytes() == b""
    assert (home / "model").stat().st_mode & 0o100
    assert not list(town.work.glob(".arriving-*"))


def test_an_input_that_is_handed_on_does_not_travel_back(town: Town, tmp_path: Path) -> None:
    town.chunk_bytes = 1 << 20
    content = b"x" * (2 << 20)
    large = town.object(content)
    (town.work / "in" / "data").symlink_to(large)
    parcel = town.desk.pack(town.job())
    with town.node.job_folder() as folder:
        town.fetch(parcel, folder)
        out = tmp_path / "here" / "out"
        out.mkdir(parents=True)
        (out / "same").symlink_to(town.node.path(md5(content)))
        given = frozenset(item.digest for item in parcel.items)
        assert deliver(town, tmp_path / "here", given) == frozenset()
    assert (town.work / "out" / "same").readlink() == large


def test_an_input_of_another_job_is_not_handed_on(town: Town, tmp_path: Path) -> None:
    town.chunk_bytes = 1 << 20
    content = b"x" * (2 << 20)
    (town.work / "in" / "data").symlink_to(town.object(content))
    with town.node.job_folder() as folder:
        town.fetch(town.desk.pack(town.job()), folder)
    out = tmp_path / "here" / "out"
    out.mkdir(parents=True)
    (out / "same").symlink_to(town.node.path(md5(content)))
    items, fault = output_items(tmp_path / "here", Inputs(town.node.objects, {md5(b"another")}))
    assert (items, fault) == ([], "output same has a link that leads out of it")


def test_outputs_with_holes_do_not_fill_the_disk_at_home(town: Town, tmp_path: Path) -> None:
    out = tmp_path / "here" / "out"
    out.mkdir(parents=True)
    (out / "model").touch()
    os.truncate(out / "model", 1 << 20)
    inputs = Inputs(town.node.objects, ())
    assert output_items(tmp_path / "here", inputs, 1 << 20)[1] == ""
    items, fault = output_items(tmp_path / "here", inputs, (1 << 20) - 1)
    assert items == []
    assert fault.startswith("made outputs of 1 MiB, more than its limit of")


def test_outputs_are_not_written_through_a_link_that_another_worker_left_at_home(
    town: Town, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (town.work / "out" / "rows").symlink_to(tmp_path / "outside")
    (tmp_path / "here" / "out" / "rows").mkdir(parents=True)
    (tmp_path / "here" / "out" / "rows" / "a").write_text("a")
    with pytest.raises(OSError, match=r"."):
        deliver(town, tmp_path / "here")
    assert list((tmp_path / "outside").iterdir()) == []
    assert not list(town.work.glob(".arriving-*"))


def test_only_files_of_the_checkout_are_told_of(town: Town, tmp_path: Path) -> None:
    (town.root / ".fiat").mkdir()
    for name in ("ignored.cfg", ".fiat/db", "../secret"):
        (town.root / name).touch()
    names = ["ignored.cfg", "gone", ".fiat/db", "../secret", str(tmp_path / "secret")]
    assert town.desk.has(str(town.root), names) == ("ignored.cfg",)


@pytest.mark.parametrize("odd", ["leads out", "circle", "fifo"])
def test_an_output_that_leads_elsewhere_or_is_no_file_is_told(town: Town, tmp_path: Path, odd: str) -> None:
    out = tmp_path / "here" / "out" / "rows"
    out.mkdir(parents=True)
    if odd == "leads out":
        (out / "x").symlink_to("/etc/passwd")
    elif odd == "circle":
        (out / "x").symlink_to(out)
    else:
        os.mkfifo(out / "x")
    items, fault = output_items(tmp_path / "here", Inputs(town.node.objects, ()))
    assert items == []
    assert fault.startswith("output rows ")


def test_what_does_not_arrive_whole_gets_no_name(town: Town) -> None:
    item = Item(WORK, "out/model", md5(b"model"), 5)
    draft, missing = town.desk.offer(str(town.work), [item])
    assert missing == {item.digest}
    town.desk.write(draft, in_chunks([item])[0], [b"other"])
    with pytest.raises(Torn, match="did not arrive whole"):
        town.desk.settle(draft, str(town.work), [item])
    assert list((town.work / "out").iterdir()) == []


def test_checkpoints_come_once_and_those_that_went_go_at_home_too(town: Town, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    old, new = f"00000001-{'a' * 64}.pt", f"00000002-{'b' * 64}.pt"
    (home / old).write_text("old")
    (home / f"00000000-{'c' * 64}.pt").write_text("older")
    (home / ".lock").touch()
    items = [
        Item(CHECKPOINTS, old, md5(b"old"), 3),
        Item(CHECKPOINTS, new, md5(b"new"), 3),
        Item(CHECKPOINTS, "index.json", md5(b"[]"), 2),
    ]
    draft, missing = town.desk.offer(str(town.work), items, str(home))
    assert missing == {md5(b"new"), md5(b"[]")}
    town.desk.write(draft, in_chunks(items[1:])[0], [b"new", b"[]"])
    gone = [f"00000000-{'c' * 64}.pt"]
    town.desk.settle(draft, str(home), items, gone, kept=True)
    assert sorted(path.name for path in home.iterdir()) == [".lock", old, new, "index.json"]
    assert (home / new).read_text() == "new"


def test_lines_are_added_and_the_wish_to_end_is_heard(town: Town) -> None:
    log, cancel = town.work / "log", town.work / ".j.cancel"
    log.write_text("before\n")
    assert not town.desk.hear([(str(log), b"line\n")], str(cancel))
    cancel.touch()
    assert town.desk.hear([], str(cancel))
    assert log.read_text() == "before\nline\n"
    assert town.desk.hear([], str(town.work / "gone" / ".j.cancel"))
