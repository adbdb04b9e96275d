"""Whether a folder lies where SQLite can keep its promise."""

import re
from dataclasses import dataclass
from pathlib import Path

from fiat.errors import EnvironmentFault

_MOUNTS = Path("/proc/self/mountinfo")
# Locks of these are missing, advisory to one machine, or broken by some servers.
# Source: https://www.sqlite.org/lockingv3.html#how_to_corrupt and https://www.sqlite.org/useovernet.html
_SHARED = re.compile(r"nfs\d*|cifs|smb\d*|smbfs|ncpfs|afs|coda|9p|ceph|glusterfs|lustre|beegfs|davfs")
_SHARED_FUSE = re.compile(
    r"fuse\.(sshfs|s3fs|gcsfuse|glusterfs|davfs2?|rclone|juicefs|curlftpfs|ceph|ceph-fuse)"
)
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Place:
    """Where a folder lies.

    Attributes:
        mount: top folder of its file system.
        kind: of the file system, such as `ext4` or `nfs4`; empty when this system does not say.
        shared: other machines may write there as well.
    """

    mount: str
    kind: str
    shared: bool


def place_of(path: Path, mounts: Path = _MOUNTS) -> Place:
    """The file system that a path lies on; what does not exist yet is asked for by its nearest folder that does.

    Args:
        path: file or folder.
        mounts: the kernel's list of mounts. Source: proc(5), `/proc/pid/mountinfo`.
    """
    real = path.resolve()
    best = Place("", "", shared=False)
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return best
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) < 5 or not kinds[0]:
            continue
        mount = _ESCAPE.sub(lambda found: chr(int(found[1], 8)), fields[4])
        # Of two at the same place the later one hides the earlier.
        if real.is_relative_to(mount) and len(mount) >= len(best.mount):
            best = Place(mount, kinds[0], _is_shared(kinds[0]))
    return best


def check_place(path: Path, mounts: Path = _MOUNTS) -> None:
    """Refuse a folder for a SQLite store that several machines could write at once.

    Args:
        path: the store's folder.
        mounts: as for `place_of`.

    Raises:
        EnvironmentFault: it lies on a network file system.
    """
    place = place_of(path, mounts)
    if place.shared:
        raise EnvironmentFault(
            f"the store {path} lies on {place.mount}, a network file system ({place.kind}), where SQLite's locks "
            "don't hold",
            hint="put it on a local disk, or keep runs on a server: FIAT_DATABASE_URL=postgresql://user@host/database",
        )


def _is_shared(kind: str) -> bool:
    return bool(_SHARED.fullmatch(kind) or _SHARED_FUSE.fullmatch(kind))
