import contextlib
import hashlib
import os
import socket
import threading
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault, SpecError
from fiat.run.model import Artifact
from fiat.store.artifacts import Artifacts
from fiat.store.place import COPY_UP_TO_BYTES
from fiat.store.store import Store


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def objects(store: Store) -> set[str]:
    folder = store.artifacts.cache / "files" / "md5"
    return {path.parent.name + path.name for path in folder.glob("*/*")}


def test_a_file_is_kept_under_its_md5_and_read_only(local: Store) -> None:
    work = local.work.make("r", "train", 1)
    path = fill(work, {"model.onnx": b"weights"}) / "model.onnx"
    kept = local.artifacts.put(path)
    assert kept == Artifact(md5(b"weights"), 7)
    there = local.artifacts.object_path(kept.digest)
    assert there == local.root / "cache" / "files" / "md5" / kept.digest[:2] / kept.digest[2:]
    assert there.read_bytes() == b"weights"
    assert there.stat().st_mode & 0o777 == 0o444
    assert not path.exists()
    assert local.artifacts.check(kept.digest)
    assert list((local.root / "tmp").iterdir()) == []


def test_a_copied_output_stays_where_it_is_and_is_no_second_name_of_the_object(
    local: Store, tmp_path: Path
) -> None:
    path = fill(tmp_path, {"data.csv": b"a,b\n"}) / "data.csv"
    kept = local.artifacts.put(path, move=False)
    path.write_bytes(b"edited")
    assert local.artifacts.object_path(kept.digest).read_bytes() == b"a,b\n"
    assert local.artifacts.verify(kept.digest)


def test_a_file_with_a_second_name_is_copied_so_that_nobody_can_write_into_the_cache(local: Store) -> None:
    work = local.work.make("r", "s", 1)
    path = fill(work, {"out": b"content"}) / "out"
    os.link(path, work / "other name")
    kept = local.artifacts.put(path)
    (work / "other name").write_bytes(b"written later")
    assert local.artifacts.object_path(kept.digest).read_bytes() == b"content"
    assert not path.exists()


@pytest.mark.parametrize("move", [True, False])
def test_a_folder_comes_back_as_it_was(local: Store, tmp_path: Path, move: bool) -> None:
    files = {f"class {number % 3}/image {number}.png": b"%d" % number for number in range(40)}
    files |= {"deep/er/still/x": b"", "\u00e9t\u00e9 \U0001f600.txt": b"utf", "big": b"z" * 3_000_000}
    folder = fill(local.work.make("r", "s", 1) / "out", files)
    kept = local.artifacts.put(folder, move=move)
    assert kept.digest.endswith(".dir")
    assert (kept.n_files, kept.size_bytes) == (43, sum(map(len, files.values())))
    assert {file.path for file in local.artifacts.files(kept.digest)} == set(files)
    local.artifacts.materialize(kept.digest, tmp_path / "there" / "again")
    assert read(tmp_path / "there" / "again") == files
    assert local.artifacts.file_path(kept.digest, "deep/er/still/x").read_bytes() == b""
    with pytest.raises(EnvironmentFault, match="no file deep"):
        local.artifacts.file_path(kept.digest, "deep")


def test_names_that_are_not_utf8_come_back_to_the_byte(local: Store, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9"))).write_bytes(b"x")
    kept = local.artifacts.put(folder)
    local.artifacts.materialize(kept.digest, tmp_path / "again")
    assert os.listdir(os.fsencode(tmp_path / "again")) == [b"caf\xe9"]


def test_an_empty_folder_and_an_empty_file_can_be_kept(local: Store, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert local.artifacts.put(tmp_path / "none") == Artifact("d751713988987e9331980363e24189ce.dir", 0, 0)
    (tmp_path / "empty").touch()
    assert local.artifacts.put(tmp_path / "empty") == Artifact("d41d8cd98f00b204e9800998ecf8427e", 0)
    local.artifacts.materialize("d751713988987e9331980363e24189ce.dir", tmp_path / "again")
    assert list((tmp_path / "again").iterdir()) == []


def test_what_user_code_does_to_its_inputs_does_not_reach_the_cache(local: Store, tmp_path: Path) -> None:
    kept = local.artifacts.put(
        fill(tmp_path / "out", {"small": b"s", "large": b"l" * (COPY_UP_TO_BYTES + 1)})
    )
    local.artifacts.materialize(kept.digest, tmp_path / "in")
    with (tmp_path / "in" / "small").open("r+b") as file:
        file.write(b"X")
    assert local.artifacts.verify(kept.digest)
    large = tmp_path / "in" / "large"
    if large.is_symlink():
        # Only the superuser can write through the link, and that is found out without hashing everything.
        large.chmod(0o644)
        with large.open("r+b") as file:
            file.write(b"X")
        assert not local.artifacts.check(kept.digest)


@pytest.mark.parametrize("name", ["small", "sub/other"])
def test_a_flipped_bit_is_found_and_the_object_removed(local: Store, tmp_path: Path, name: str) -> None:
    kept = local.artifacts.put(fill(tmp_path / "out", {"small": b"abc", "sub/other": b"def"}))
    path = local.artifacts.file_path(kept.digest, name)
    path.chmod(0o644)
    with path.open("r+b") as file:
        first = file.read(1)[0]
        file.seek(0)
        file.write(bytes([first ^ 1]))
    assert not local.artifacts.check(kept.digest)
    assert not path.exists()
    again = local.artifacts.put(fill(tmp_path / "out", {"small": b"abc", "sub/other": b"def"}))
    assert again == kept
    assert local.artifacts.check(kept.digest)


def test_a_bit_that_the_disk_flipped_on_its_own_is_found_by_verify(local: Store, tmp_path: Path) -> None:
    kept = local.artifacts.put(fill(tmp_path, {"out": b"abc"}) / "out")
    path = local.artifacts.object_path(kept.digest)
    times = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"abd")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not local.artifacts.verify(kept.digest)
    assert not local.artifacts.check(kept.digest)


def test_a_damaged_folder_list_is_found(local: Store, tmp_path: Path) -> None:
    kept = local.artifacts.put(fill(tmp_path / "out", {"a": b"1"}))
    path = local.artifacts.object_path(kept.digest)
    path.chmod(0o644)
    path.write_bytes(b"[{")
    fresh = Artifacts(local.root)
    with pytest.raises(EnvironmentFault, match="gone from the cache or damaged"):
        fresh.files(kept.digest)
    assert not fresh.check(kept.digest)


def test_a_missing_object_is_noticed_and_said(local: Store, tmp_path: Path) -> None:
    kept = local.artifacts.put(fill(tmp_path / "out", {"a": b"1", "b": b"2"}))
    local.artifacts.file_path(kept.digest, "a").unlink()
    assert not local.artifacts.check(kept.digest)
    with pytest.raises(EnvironmentFault, match="gone from the cache") as gone:
        local.artifacts.materialize(kept.digest, tmp_path / "in")
    assert "made again" in gone.value.hint
    with pytest.raises(EnvironmentFault):
        local.artifacts.materialize("0" * 32, tmp_path / "in2")


def test_an_object_that_another_tool_brought_is_hashed_once_and_then_trusted(local: Store) -> None:
    digest = md5(b"fetched")
    path = local.artifacts.object_path(digest)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"fetched")
    assert local.artifacts.check(digest)
    assert path.stat().st_mode & 0o777 == 0o444
    marked = path.stat().st_mtime
    assert local.artifacts.check(digest)
    assert path.stat().st_mtime == marked < 1.3e9


def test_a_damaged_object_is_healed_when_its_content_is_put_again(local: Store, tmp_path: Path) -> None:
    kept = local.artifacts.put(fill(tmp_path, {"out": b"abc"}) / "out")
    path = local.artifacts.object_path(kept.digest)
    path.chmod(0o644)
    path.write_bytes(b"")
    assert local.artifacts.put(fill(tmp_path, {"out": b"abc"}) / "out") == kept
    assert path.read_bytes() == b"abc"


def test_links_inside_an_output_are_kept_as_the_content_they_lead_to(local: Store, tmp_path: Path) -> None:
    folder = fill(tmp_path / "out", {"real/file": b"content", "x": b"x"})
    (folder / "link").symlink_to("real/file")
    (folder / "again").symlink_to(folder / "real", target_is_directory=True)
    kept = local.artifacts.put(folder)
    local.artifacts.materialize(kept.digest, tmp_path / "in")
    expected = {"real/file": b"content", "again/file": b"content", "link": b"content", "x": b"x"}
    assert read(tmp_path / "in") == expected
    assert not (tmp_path / "in" / "link").is_symlink()


def test_an_input_that_is_handed_on_as_a_link_into_the_cache_can_be_kept(
    local: Store, tmp_path: Path
) -> None:
    first = local.artifacts.put(fill(tmp_path, {"big": b"b" * (COPY_UP_TO_BYTES + 5)}) / "big")
    local.artifacts.materialize(first.digest, tmp_path / "out" / "big")
    assert local.artifacts.put(tmp_path / "out") == local.artifacts.put(
        fill(tmp_path / "same", {"big": b"b" * (COPY_UP_TO_BYTES + 5)})
    )
    local.artifacts.materialize(first.digest, tmp_path / "alone")
    assert local.artifacts.put(tmp_path / "alone") == first
    assert local.artifacts.verify(first.digest)


def test_a_link_that_leaves_the_output_is_refused(local: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("token")
    folder = fill(tmp_path / "out", {"a": b"1"})
    (folder / "link").symlink_to(secret)
    with pytest.raises(SpecError, match="link that leads outside"):
        local.artifacts.put(folder)
    (tmp_path / "top").symlink_to(secret)
    with pytest.raises(SpecError, match="link that leads outside"):
        local.artifacts.put(tmp_path / "top")
    (tmp_path / "store").symlink_to(local.root / "store.db")
    with pytest.raises(SpecError, match="link that leads outside"):
        local.artifacts.put(tmp_path / "store")
    assert secret.read_text() == "token"
    assert objects(local) == set()


@pytest.mark.parametrize("kind", ["dangling", "circle", "socket", "pipe", "device"])
def test_what_is_no_file_or_folder_is_refused_by_name(local: Store, tmp_path: Path, kind: str) -> None:
    folder = fill(tmp_path / "out", {"a": b"1"})
    path = folder / "odd"
    if kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "circle":
        path.symlink_to(folder, target_is_directory=True)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(folder):
            server.bind("odd")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path = Path("/dev/null")
        folder = path
    with pytest.raises(SpecError) as refused:
        local.artifacts.put(folder)
    assert str(path) in refused.value.message
    assert refused.value.hint


def test_an_output_that_does_not_exist_is_named(local: Store, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nothing.here does not exist"):
        local.artifacts.put(tmp_path / "nothing here")


@pytest.mark.parametrize("digest", ["", "last", "../../etc/passwd", "0" * 31])
def test_what_is_no_digest_never_becomes_a_path(local: Store, tmp_path: Path, digest: str) -> None:
    for ask in (local.artifacts.check, local.artifacts.object_path, local.artifacts.files):
        with pytest.raises(EnvironmentFault, match="no digest"):
            ask(digest)
    with pytest.raises(EnvironmentFault, match="no digest"):
        local.artifacts.materialize(digest, tmp_path / "x")


def test_many_threads_can_put_the_same_and_different_content_at_once(local: Store) -> None:
    kept: list[Artifact] = []
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                folder = fill(
                    local.work.make(f"r{number}", "s", turn), {"same": b"same", f"n{turn}": b"%d" % turn}
                )
                kept.append(local.artifacts.put(folder))
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(kept) == 60
    assert len(set(kept)) == 10
    assert all(local.artifacts.verify(one.digest) for one in set(kept))


def test_an_output_that_changes_while_it_is_stored_is_never_kept_wrong(local: Store) -> None:
    work = local.work.make("r", "s", 1)
    path = work / "out"
    path.write_bytes(b"x" * 30_000_000)
    stop = threading.Event()

    def scribble() -> None:
        with path.open("r+b") as file:
            while not stop.is_set():
                file.seek(29_000_000)
                file.write(os.urandom(64))
                file.flush()

    writer = threading.Thread(target=scribble)
    writer.start()
    try:
        with pytest.raises(SpecError, match="changes while it is stored"):
            local.artifacts.put(path)
    finally:
        stop.set()
        writer.join()
    assert objects(local) == set()


def test_a_bit_that_the_disk_flipped_on_its_own_is_not_handed_to_a_step(local: Store, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"1,2\n")
    kept = local.artifacts.put(path)
    stored = local.artifacts.object_path(kept.digest)
    facts = stored.stat()
    stored.chmod(0o644)
    stored.write_bytes(b"1,3\n")
    stored.chmod(0o444)
    os.utime(stored, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    with pytest.raises(EnvironmentFault, match="damaged"):
        local.artifacts.materialize(kept.digest, tmp_path / "in" / "rows.csv")
    assert not local.artifacts.check(kept.digest)
