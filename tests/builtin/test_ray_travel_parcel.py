"""What is packed for a job."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from travel_stage import Town, md5, paths

from fiat.builtin.ray_travel_parcel import CHECKPOINTS, ROOT, WORK, Item, Torn, code_items, in_chunks
from fiat.ports.compute import Job, Resources


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


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


def test_the_files_of_a_submodule_and_of_a_checkout_without_git_go_along(town: Town, tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
    library = tmp_path / "library"
    library.mkdir()
    (library / "deep").mkdir()
    (library / "deep" / "mod.py").write_text("")
    subprocess.run([*git, "-C", str(library), "init", "-q"], check=True)
    subprocess.run([*git, "-C", str(library), "add", "."], check=True)
    subprocess.run([*git, "-C", str(library), "commit", "-q", "-m", "one"], check=True)
    subprocess.run([*git, "-C", str(town.root), "init", "-q"], check=True)
    added = ["submodule", "--quiet", "add", str(library), "lib"]
    subprocess.run([*git, "-C", str(town.root), *added], check=True)
    found = paths(town.desk.pack(town.job()), ROOT)
    assert set(found) == {".gitmodules", "lib", "lib/deep", "lib/deep/mod.py"}
    shutil.rmtree(town.root / ".git")
    (town.root / "lib" / ".git").unlink()
    (town.root / "same").symlink_to("lib")
    assert set(paths(town.desk.pack(town.job()), ROOT)) == {*found, "same"}


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
    (tmp_path / "secret").write_text("of home")
    (kept / "link").symlink_to(tmp_path / "secret")
    (kept / "folder").symlink_to(tmp_path)
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
    assert set(paths(town.desk.pack(town.job(kept), "trial"), CHECKPOINTS)) == {"trial", "trial/1.pt"}
    assert paths(town.desk.pack(town.job(kept), "other"), CHECKPOINTS) == {}


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
