from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault
from fiat.store.file_system import check_place, place_of

# As the kernel writes it: the fields before the dash vary in number, blanks in names are octal.
MOUNTS = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / {home} rw,relatime shared:9 master:3 - nfs4 server:/export rw,vers=4.2,local_lock=none
31 30 0:27 / {home}/local\040disk rw,nosuid - xfs /dev/vdb rw
32 22 0:28 / {home}2 rw - fuse.sshfs me@host:/ rw
33 22 0:29 / {home}3 rw - fuse.gocryptfs /x rw
34 22 0:30 / {home}4 rw - cifs //server/share rw
35 22 0:31 / {home}5 rw - nfs server:/x rw
36 22 0:32 / {home}5 rw - tmpfs tmpfs rw
garbage
37 22 0:33 / - -
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTS.format(home=tmp_path / "home"))
    return file


@pytest.mark.parametrize(
    ("folder", "kind", "shared"),
    [
        ("home/fiat", "nfs4", True),
        ("home/local disk/fiat", "xfs", False),
        ("home/local", "nfs4", True),
        ("home2/deep/er", "fuse.sshfs", True),
        ("home3", "fuse.gocryptfs", False),
        ("home4", "cifs", True),
        ("home5", "tmpfs", False),
        ("homely", "ext4", False),
    ],
)
def test_the_file_system_of_a_folder_is_found_by_its_nearest_mount(
    tmp_path: Path, mounts: Path, folder: str, kind: str, shared: bool
) -> None:
    place = place_of(tmp_path / folder, mounts)
    assert (place.kind, place.shared) == (kind, shared)


def test_a_network_disk_is_refused_with_the_reason_and_what_to_do(tmp_path: Path, mounts: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"network file system \(nfs4\)") as fault:
        check_place(tmp_path / "home" / ".fiat", mounts)
    assert "FIAT_DATABASE_URL" in fault.value.hint
    check_place(tmp_path / "home" / "local disk" / ".fiat", mounts)


def test_a_link_is_followed(tmp_path: Path, mounts: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "home")
    with pytest.raises(EnvironmentFault, match="nfs4"):
        check_place(tmp_path / "link" / ".fiat", mounts)


def test_a_system_that_does_not_list_its_mounts_is_trusted(tmp_path: Path) -> None:
    check_place(tmp_path, tmp_path / "nothing")
    assert place_of(tmp_path, tmp_path / "nothing").kind == ""


def test_the_disk_of_this_machine_is_found(tmp_path: Path) -> None:
    assert place_of(tmp_path / "not" / "there").kind != ""
