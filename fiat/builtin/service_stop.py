"""Stop a service: its keeper ends its server in order and then itself; the folder stays, and a deploy starts it again."""

import time
from dataclasses import replace
from pathlib import Path

from fiat.builtin.deploy_shelf import locked
from fiat.builtin.service_process import (
    NOBODY,
    end_group,
    keeper_of,
    kill_group,
    read_record,
    write_record,
)
from fiat.builtin.service_wanted import read_wanted, write_wanted
from fiat.serving.place import Place

_LOCK_WAIT_S = 60.0
_KEEPER_S = 30.0
_POLL_S = 0.05


def stop(folder: Path, patience_s: float = _KEEPER_S) -> bool:
    """End a service.

    Args:
        folder: of the service, as `deploy_service_place.service_place` gives it.
        patience_s: how long the keeper may take; then it is killed, and the server with it.

    Returns:
        Whether anything ran.

    Raises:
        Waiting: a deploy is at work all the time.
        EnvironmentFault: what the folder says can't be read.
        OSError: the disk refused.
    """
    place = Place(folder)
    if not place.wanted.exists():
        return False
    with locked(folder, _LOCK_WAIT_S):
        wanted = read_wanted(place.wanted)
        if wanted is not None and not wanted.stop:
            write_wanted(place.wanted, replace(wanted, serial=wanted.serial + 1, stop=True))
        keeper = keeper_of(place)
        ran = keeper is not None and keeper.alive
        deadline = time.monotonic() + patience_s
        while keeper is not None and keeper.alive and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        if keeper is not None and keeper.alive:
            kill_group(keeper)
        record = read_record(place.server)
        if record is not None and record.process.alive:
            ran = True
            end_group(record.process, patience_s)
            write_record(place.server, replace(record, process=NOBODY))
    return ran
