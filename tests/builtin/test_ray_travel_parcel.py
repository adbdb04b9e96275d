"""What is packed for a job, what the node keeps of it, and what comes home: without Ray, by hand."""

import hashlib
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from fiat.builtin.ray_desk import Desk
from fiat.builtin.ray_node import BYTES_VARIABLE, FOLDER_VARIABLE, NodeFolder, node_folder
from fiat.builtin.ray_travel_outputs import output_items
from fiat.builtin.ray_travel_parcel import (
    CHECKPOINTS,
    ROOT,
    WORK,
    Item,
    Parcel,
    Torn,
    checked_path,
    code_items,
    in_chunks,
)
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Command, Job, Resources


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Town:
    """A checkout with a job that lies ready in it, the desk beside it, and a node."""

    chunk_bytes = 7  # files of tests are small

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repo"
        self.work = folder / "store" / "work" / "r" / "train.1"
        (self.work / "in").mkdir(parents=True)
        (self.work / "out").mkdir()
        (self.work / "tmp").mkdir()
        self.root.mkdir()
        self.desk = Desk("/usr/bin/python3")
        self.node = NodeFolder(folder / "node")
        self.cache = folder / "store" / "cache" / "files" / "md5"

    def job(self, checkpoints: Path | None = None) -> Job:
        command = Command(("true",), self.root, {})
        log = self.work / "log"
        return Job("j", "train", Resources(), log, self.work, command=command, checkpoints=checkpoints)

    def object(self, content: bytes) -> Path:
        digest = md5(content)
        path = self.cache / digest[:2] / digest[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def fetch(self, parcel: Parcel, job_folder: Path) -> list[Item]:
        missing = self.node.claim(job_folder, parcel.items)
        for chunk in in_chunks(missing, self.chunk_bytes):
            self.node.write(job_folder, chunk, self.desk.read(chunk))
        for item in missing:
            self.node.keep(job_folder, item)
        return missing


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def paths(parcel: Parcel, place: str) -> dict[str, str]:
    return {item.path: item.digest for item in parcel.items if item.place == place}


def test_code_is_what_git_tracks_or_would_track(town: Town) -> None:
    for name in ("spec.yaml", "pkg/mod.py", "secret.env", ".fiat/db", "pkg/__pycache__/mod.pyc", "new.py"):
        (town.root / name).parent.mkdir(exist_ok=True, parents=True)
        (town.root / name).write_text(name)
    (town.root / ".gitignore").write_text("secret.env\n")
    (town.root / "run.sh").write_text("#!/bin/sh\n")
    (town.root / "run.sh").chmod(0o755)
    (town.root / "same.sh").symlink_to("run.sh")
    (town.root / "outside").symlink_to("/etc/passwd")
    git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "-C", str(town.root)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "spec.yaml", "pkg/mod.py"], check=True)
    packed = town.desk.pack(town.job())
    assert set(paths(packed, ROOT)) == {
        ".gitignore",
        "new.py",
        "pkg",
        "pkg/mod.py",
        "run.sh",
        "same.sh",
        "spec.yaml",
    }
    items = {item.path: item for item in packed.items}
    assert items["run.sh"].executable
    assert not items["new.py"].executable
    assert items["same.sh"].link == "run.sh"
    assert packed.folders == {ROOT: str(town.root), WORK: str(town.work)}


def test_a_file_that_is_too_large_for_code_is_left_out_with_a_word(town: Town) -> None:
    (town.root / "weights.bin").write_bytes(b"12345678901")
    (town.root / "train.py").write_bytes(b"1234567890")
    notes: list[str] = []
    items = list(code_items(town.root, lambda path: path.name, notes, most_bytes=10))
    assert [item.path for item in items] == ["train.py"]
    assert len(notes) == 1
    assert notes[0].startswith("weights.bin is too large to travel as code")


def test_inputs_requests_and_checkpoints_go_along_outputs_and_drafts_do_not(
    town: Town, tmp_path: Path
) -> None:
    large = town.object(b"x" * 50)
    (town.work / "in" / "data").mkdir()
    (town.work / "in" / "data" / "rows").symlink_to(large)
    (town.work / "in" / "data" / "empty").mkdir()
    (town.work / "in" / "small").write_text("s")
    (town.work / "request.json").write_text("{}")
    (town.work / ".j.cancel").touch()
    (town.work / "tmp" / "left").touch()
    (town.work / "workers" / "1" / "tmp").mkdir(parents=True)
    (town.work / "workers" / "1" / "tmp" / "left").touch()
    kept = tmp_path / "kept"
    (kept / "trial").mkdir(parents=True)
    (kept / "index.json").write_text("[]")
    (kept / "trial" / "1.pt").write_text("t")
    (kept / ".part-x").touch()
    packed = town.desk.pack(town.job(kept))
    assert paths(packed, WORK) == {
        "in": "",
        "in/data": "",
        "in/data/empty": "",
        "in/data/rows": md5(b"x" * 50),
        "in/small": md5(b"s"),
        "request.json": md5(b"{}"),
        "workers": "",
        "workers/1": "",
        "workers/1/tmp": "",
        "out": "",
        "tmp": "",
    }
    assert set(paths(packed, CHECKPOINTS)) == {"index.json", "trial", "trial/1.pt"}


def test_an_object_of_the_store_is_known_by_its_name_and_not_read(town: Town) -> None:
    path = town.object(b"content")
    path.write_bytes(b"another")  # of the same size
    (town.work / "in" / "data").symlink_to(path)
    assert paths(town.desk.pack(town.job()), WORK)["in/data"] == md5(b"content")


def test_what_a_worker_of_several_reads_lies_in_the_folder_of_the_whole_job(town: Town) -> None:
    (town.work / "in" / "data").write_text("d")
    own = town.work / "trials" / "abc"
    (own / "out").mkdir(parents=True)
    (own / "request.json").write_text("{}")
    job = town.job()
    trial = Job("t", "tune", Resources(), job.log_path, own, command=job.command)
    found = paths(town.desk.pack(trial), WORK)
    assert {"in/data", "trials/abc", "trials/abc/request.json", "trials/abc/out"} <= set(found)
    assert town.desk.pack(trial).folders[WORK] == str(town.work)


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


def test_a_message_holds_many_small_files_and_never_more_than_its_size() -> None:
    items = [Item(ROOT, f"f{n}", f"d{n}", size) for n, size in enumerate((0, 10, 30, 250, 5, 0))]
    chunks = in_chunks(items, 100)
    sizes = [sum(piece.size_bytes for piece in chunk) for chunk in chunks]
    assert sizes == [100, 100, 95]
    for item in items:
        pieces = [piece for chunk in chunks for piece in chunk if piece.digest == item.digest]
        assert sum(piece.size_bytes for piece in pieces) == item.size_bytes
        assert [piece.offset for piece in pieces] == sorted({piece.offset for piece in pieces})


def test_a_file_that_changed_on_its_way_is_not_taken_for_what_it_was(town: Town) -> None:
    (town.root / "a.py").write_text("one")
    parcel = town.desk.pack(town.job())
    (town.root / "a.py").write_text("two!")
    with town.node.job_folder() as folder, pytest.raises(Torn, match="while its job was on its way"):
        town.fetch(parcel, folder)


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
        town.node.sweep()
        assert (living / "file").exists()
        assert not dead.exists()
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


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "", "a\0b"])
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no path within"):
        checked_path(path)


def deliver(town: Town, here: Path) -> frozenset[str]:
    items, fault = output_items(here, town.node.objects)
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
        assert deliver(town, tmp_path / "here") == frozenset()
    assert (town.work / "out" / "same").readlink() == large


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
    items, fault = output_items(tmp_path / "here", town.node.objects)
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
    town.desk.settle(draft, str(home), items, alone=True)
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


def test_a_file_that_another_job_had_too_is_found_when_that_job_is_over(town: Town) -> None:
    (town.work / "in" / "rows").write_text("rows")
    parcel = town.desk.pack(town.job())
    other = town.work.with_name("other.1")
    (other / "in").mkdir(parents=True)
    (other / "in" / "rows").write_text("rows")
    town.desk.pack(replace(town.job(), work_dir=other))
    (other / "in" / "rows").unlink()
    with town.node.job_folder() as folder:
        assert [item.path for item in town.fetch(parcel, folder)] == ["in/rows"]


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "node").symlink_to("theirs")
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        node_folder({FOLDER_VARIABLE: str(tmp_path / "node")})


def test_a_size_that_is_no_number_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="FIAT_NODE_BYTES is '50GiB'"):
        node_folder({FOLDER_VARIABLE: str(tmp_path), BYTES_VARIABLE: "50GiB"})
