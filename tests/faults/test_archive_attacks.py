"""Hostile archives: nothing is written outside the target, and every cap holds."""

import gzip
import io
import os
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from fiat.data.archive import extract
from fiat.errors import SpecError

MIB = 1024 * 1024


def tar_of(
    path: Path, *members: tarfile.TarInfo | tuple[str, bytes], pax: dict[str, str] | None = None
) -> Path:
    mode = "w:gz" if path.name.endswith("gz") else "w"
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT, pax_headers=pax or {}) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_of(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members:
            packed.writestr(name, content)
    return path


def refused(
    archive: Path, tmp_path: Path, says: str, *, max_bytes: int = 10 * MIB, max_files: int = 1000
) -> None:
    target = tmp_path / "outer" / "target"
    target.mkdir(parents=True)
    before = {path for path in tmp_path.rglob("*") if target not in path.parents}
    with pytest.raises(SpecError, match=says):
        extract(archive, target, max_bytes=max_bytes, max_files=max_files)
    assert {path for path in tmp_path.rglob("*") if target not in path.parents} == before
    assert not [
        path
        for path in target.rglob("*")
        if path.is_symlink() or (path.stat().st_nlink > 1 and path.is_file())
    ]
    assert sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) <= max_bytes


BAD_NAMES = [
    ("../evil", "leads outside"),
    ("a/../../evil", "leads outside"),
    ("a/b/../c", "leads outside"),
    ("/etc/evil", "absolute"),
    ("C:/evil", "absolute"),
    ("..\\evil", "character"),
    ("a\nb", "character"),
    ("a\u202eb", "character"),
    ("d/" * 40 + "f", "too deep"),
    ("x" * 300, "too long"),
]


@pytest.mark.parametrize(("name", "says"), BAD_NAMES)
@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz"])
def test_a_name_that_leads_outside_or_cannot_be_shown_is_refused(
    tmp_path: Path, name: str, says: str, suffix: str
) -> None:
    path = tmp_path / f"data.{suffix}"
    archive = zip_of(path, (name, b"x")) if suffix == "zip" else tar_of(path, (name, b"x"))
    refused(archive, tmp_path, says)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "special file"),
        (tarfile.BLKTYPE, "special file"),
        (tarfile.FIFOTYPE, "special file"),
        (tarfile.CONTTYPE, "special file"),
        (tarfile.GNUTYPE_SPARSE, "special file|damaged"),
        (b"Z", "special file"),
    ],
)
def test_a_member_of_a_tar_that_is_no_file_and_no_folder_is_refused(
    tmp_path: Path, kind: bytes, says: str
) -> None:
    refused(tar_of(tmp_path / "data.tar", special("member", kind, "a")), tmp_path, says)


def test_a_symbolic_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    refused(zip_of(tmp_path / "data.zip", (info, b"/etc/passwd")), tmp_path, "symbolic link")


def test_the_chain_of_links_of_cve_2025_4517_writes_nothing_outside(tmp_path: Path) -> None:
    """Folders whose resolved path outgrows PATH_MAX, links through them, then a file behind the last link."""
    long = "d" * 247
    members: list[tarfile.TarInfo | tuple[str, bytes]] = []
    path = ""
    for letter in "abcdefghijklmnop":
        members += [special(path + long, tarfile.DIRTYPE), special(path + letter, tarfile.SYMTYPE, long)]
        path += letter + "/"
    members.append(special(path + "l" * 254, tarfile.SYMTYPE, "../" * 16))
    members.append(special("escape", tarfile.SYMTYPE, path + "l" * 254 + "/../../outer"))
    members.append(special("hard", tarfile.LNKTYPE, "escape/victim"))
    members.append(("hard", b"overwritten"))
    victim = tmp_path / "victim"
    victim.write_bytes(b"whole")
    refused(tar_of(tmp_path / "data.tar", *members), tmp_path, "symbolic link|too long|too deep")
    assert victim.read_bytes() == b"whole"


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("a.csv", "A.csv"), "case"),
        (("Data/a", "data/b"), "case"),
        (("stra\u00dfe", "STRASSE"), "case"),
        (("e\u0301", "\u00e9"), "case"),
        (("a", "a"), "twice"),
        (("a", "./a"), "twice"),
        (("a", "a/b"), "twice"),
        (("a/b", "a"), "twice"),
    ],
)
def test_two_members_at_one_path_are_refused(tmp_path: Path, names: tuple[str, str], says: str) -> None:
    refused(tar_of(tmp_path / "data.tar", *((name, b"x") for name in names)), tmp_path, says)


@pytest.mark.parametrize("suffix", ["zip", "tgz"])
def test_more_bytes_than_allowed_are_refused_while_they_come(tmp_path: Path, suffix: str) -> None:
    path, zeros = tmp_path / f"data.{suffix}", bytes(3 * MIB)
    archive = zip_of(path, ("zeros", zeros)) if suffix == "zip" else tar_of(path, ("zeros", zeros))
    refused(archive, tmp_path, "unpacks to more than 1,048,576 bytes", max_bytes=MIB)


@pytest.mark.parametrize("suffix", ["zip", "tgz"])
def test_a_ratio_that_no_data_has_is_refused(tmp_path: Path, suffix: str) -> None:
    path, zeros = tmp_path / f"data.{suffix}", bytes(80 * MIB)
    archive = zip_of(path, ("zeros", zeros)) if suffix == "zip" else tar_of(path, ("zeros", zeros))
    refused(archive, tmp_path, "200 times its size", max_bytes=1024 * MIB)


def test_entries_of_a_zip_that_share_their_bytes_are_held_by_the_same_caps(tmp_path: Path) -> None:
    """Many directory entries that point at one compressed member, as in zip bombs without nesting."""
    one = zip_of(tmp_path / "one.zip", ("z" * 8, bytes(MIB))).read_bytes()
    start = one.index(b"PK\x01\x02")
    end = one.index(b"PK\x05\x06")
    entry, n_entries = one[start:end], 200
    directory = b"".join(entry for _ in range(n_entries))
    tail = bytearray(one[end:])
    struct.pack_into("<HHII", tail, 8, n_entries, n_entries, len(directory), start)
    archive = tmp_path / "data.zip"
    archive.write_bytes(one[:start] + directory + bytes(tail))
    refused(archive, tmp_path, "twice|times its size|Overlapped", max_bytes=1024 * MIB)


def test_a_zip_whose_directory_lies_about_its_number_of_entries_is_refused_before_it_is_loaded(
    tmp_path: Path,
) -> None:
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for number in range(2000):
            packed.writestr(f"f{number}", b"")
    data = bytearray(archive.read_bytes())
    end = data.rindex(b"PK\x05\x06")
    struct.pack_into("<HH", data, end + 8, 1, 1)
    archive.write_bytes(bytes(data))
    refused(archive, tmp_path, "more than 1,000 files")


def test_a_million_members_of_a_tar_stop_at_the_cap_in_little_memory(tmp_path: Path) -> None:
    archive = tmp_path / "data.tgz"
    blocks = [tarfile.TarInfo(f"f{number}").tobuf() for number in range(5000)]
    with gzip.open(archive, "wb", 1) as out:
        for _ in range(200):
            out.write(b"".join(blocks))
    tracemalloc.start()
    refused(archive, tmp_path, "more than 1,000 files|twice")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * MIB


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_huge_extended_header_is_never_loaded(tmp_path: Path, kind: bytes) -> None:
    header = special("huge", kind)
    header.size = 4 * 1024 * MIB
    archive = tmp_path / "data.tgz"
    with gzip.open(archive, "wb") as out:
        out.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(64):
            out.write(bytes(MIB))
    tracemalloc.start()
    refused(archive, tmp_path, "header of more than 64 KiB")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * MIB


def test_an_endless_chain_of_extended_headers_is_refused(tmp_path: Path) -> None:
    body = b"11 path=abc"[:10] + b"\n"
    header = special("x", tarfile.XHDTYPE)
    header.size = len(body)
    block = header.tobuf(tarfile.USTAR_FORMAT) + body.ljust(512, b"\0")
    archive = tmp_path / "data.tgz"
    with gzip.open(archive, "wb") as out:
        out.write(block * 20_000)
    refused(archive, tmp_path, "damaged archive")


def test_a_size_in_a_pax_header_that_overrides_the_member_is_held_by_the_caps(tmp_path: Path) -> None:
    info = tarfile.TarInfo("big")
    info.pax_headers = {"size": str(1 << 50)}
    archive = tmp_path / "data.tar"
    archive.write_bytes(info.tobuf(tarfile.PAX_FORMAT) + bytes(64 * 1024))
    refused(archive, tmp_path, "damaged archive")


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.75])
@pytest.mark.parametrize("suffix", ["zip", "tar", "tgz"])
def test_a_cut_archive_is_a_fault_and_never_fewer_files(tmp_path: Path, suffix: str, keep: float) -> None:
    members = [(f"f{number}", os.urandom(3000)) for number in range(9)]
    path = tmp_path / f"data.{suffix}"
    archive = zip_of(path, *members) if suffix == "zip" else tar_of(path, *members)
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * keep)])
    refused(archive, tmp_path, "damaged archive")


def test_a_flipped_byte_in_a_header_of_a_tar_is_a_fault_and_not_its_end(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "data.tar", ("a", b"1"), ("b", b"2"), ("c", b"3"))
    data = bytearray(archive.read_bytes())
    data[data.index(b"b\0\0\0")] ^= 0x20
    archive.write_bytes(bytes(data))
    refused(archive, tmp_path, "damaged archive")


def test_an_encrypted_zip_is_a_clear_fault(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "data.zip", ("a", b"x"))
    data = bytearray(archive.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(bytes(data))
    refused(archive, tmp_path, "encrypted")


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tgz"])
def test_a_plain_archive_unpacks_whole(tmp_path: Path, suffix: str) -> None:
    content = {"data/a.csv": b"x,y\n1,2\n", "data/sub/b.csv": b"", "top.txt": os.urandom(100_000)}
    path = tmp_path / f"data.{suffix}"
    archive = zip_of(path, *content.items()) if suffix == "zip" else tar_of(path, *content.items())
    target = tmp_path / "target"
    target.mkdir()
    files = extract(archive, target, max_bytes=MIB)
    assert {path.relative_to(target).as_posix(): path.read_bytes() for path in files} == content
