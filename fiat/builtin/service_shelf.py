"""What a service's folder must not fill up with: releases that nobody needs, and logs that grow for ever."""

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

from fiat.builtin.service_ledger import Ledger
from fiat.builtin.service_wanted import read_wanted
from fiat.serving.place import Place

LOG_BYTES = 10 << 20


def sweep(place: Place, ledger: Ledger) -> None:
    """Remove releases that nobody needs, unless a deploy is at work; the one before the stable one stays."""
    if not place.releases.is_dir():
        return
    descriptor = os.open(place.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Read under the lock: a deploy that was killed may have asked for what it copied a moment ago.
        wanted = read_wanted(place.wanted)
        asked = wanted.version if wanted else None
        moving = ledger.moving.version if ledger.moving else None
        versions = (ledger.stable, moving, ledger.previous, asked)
        needed = {version.folder for version in versions if version}
        for entry in place.releases.iterdir():
            name = f"{place.releases.name}/{entry.name}"
            # What lies beside a package, such as its signature, has the folder's name and an ending.
            if any(name == folder or name.startswith(f"{folder}.") for folder in needed):
                continue
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)


def rotate(logs: Path, most_bytes: int = LOG_BYTES) -> None:
    """Move what a log has to `<name>.1` when it is large; whoever writes it appends, and goes on at the new beginning."""
    for path in logs.glob("*.log"):
        with contextlib.suppress(OSError):
            if path.stat().st_size > most_bytes:
                shutil.copyfile(path, path.with_name(f"{path.name}.1"))
                os.truncate(path, 0)
