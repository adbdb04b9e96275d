"""The program that runs a `call:` in a fresh process: `python -m fiat.builtin.child REQUEST.json`.

The request is written by `fiat/engine/jobs.py`. What the call makes goes to the paths in the request; what it was seen
to read, how it failed, and what else is to be told (`said`, such as `resumed`) go to the request's `result` file. Only
what a role needs is imported.
"""

import importlib
import json
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from fiat.builtin.child_fault import available_bytes, explain, gpu_room
from fiat.builtin.child_gang import gang_of, leave, own_request
from fiat.builtin.child_seed import fix_libraries
from fiat.builtin.child_watch import Watch
from fiat.builtin.gang_seen import MADE, OBSERVED
from fiat.errors import EXIT_REFUSED, FiatError

ROLES = {
    "step": "fiat.builtin.child_call",
    "source": "fiat.builtin.child_source",
    "transform": "fiat.builtin.child_transform",
    "train": "fiat.builtin.child_train",
    "trial": "fiat.builtin.child_trial",
    "export": "fiat.builtin.child_export",
    "gate": "fiat.builtin.child_judge",
    "metric": "fiat.builtin.child_judge",
}
_LIBRARY = str(Path(importlib.__file__).parent.parent)
_NOT_THE_USERS = (str(Path(__file__).parent), str(Path(importlib.__file__).parent), "<frozen")


def main(arguments: list[str]) -> int:
    """Run one request and give the exit code."""
    request: dict[str, Any] = json.loads(Path(arguments[0]).read_text("utf-8"))
    request = own_request(request, gang_of())
    given = [*request.get("inputs", {}).values(), *request.get("outputs", {}).values()]
    if request.get("checkpoint"):
        given.append(request["checkpoint"]["folder"])
    watch = Watch(Path(request["root"]), ignored=tuple(given))
    sys.path[:0] = [folder for folder in request["path"] if folder not in sys.path[:1]]
    error: dict[str, object] | None = None
    said: dict[str, object] = {}
    request |= {"said": said, "watch": watch}
    if request.get("deterministic"):
        fix_libraries()
    watch.start()
    try:
        importlib.import_module(ROLES[request["role"]]).work(request)
        code = 0
    except SystemExit as stop:
        code = _exit_code(stop)
    except FiatError as fault:
        sys.stderr.write(f"error: {fault}\n")
        error = {"type": type(fault).__name__, "message": str(fault)}
        code = EXIT_REFUSED
    except BaseException as fault:
        frames = _user_frames(fault)
        sys.stderr.write("".join(traceback.format_exception(type(fault), fault, frames)))
        error = {**_told(fault, str(said.pop("batch", ""))), **_place(fault, frames)}
        code = EXIT_REFUSED
    made = {MADE: watch.made()} if gang_of().size > 1 else {}
    said.pop("batch", None)
    _write(Path(request["result"]), {**said, OBSERVED: watch.seen(), **made, "error": error})
    return code


def _told(fault: BaseException, batch: str) -> dict[str, object]:
    """An error of the user's code, in our words where its own don't say enough."""
    step = os.environ.get("FIAT_STEP", "")
    explained = explain(fault, step=step, batch=batch, free_bytes=available_bytes(), gpu_room=gpu_room())
    if explained is None:
        return {"type": type(fault).__name__, "message": str(fault)}
    sys.stderr.write(f"error: {explained}\n")
    return {"type": "SpecError", "message": str(explained)}


def _exit_code(stop: SystemExit) -> int:
    if stop.code is None or isinstance(stop.code, int):
        return stop.code or 0
    sys.stderr.write(f"{stop.code}\n")
    return EXIT_REFUSED


def _user_frames(fault: BaseException) -> TracebackType | None:
    """The traceback from the first frame that is the user's; all of it when there is none: then it is our fault."""
    start = fault.__traceback__
    while start is not None and start.tb_frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        start = start.tb_next
    return start or (None if isinstance(fault, SyntaxError) else fault.__traceback__)


def _place(fault: BaseException, trace: TracebackType | None) -> dict[str, object]:
    """The user's own line that an error came from."""
    if isinstance(fault, SyntaxError) and trace is None:
        return {"file": fault.filename, "line": fault.lineno}
    last: dict[str, object] = {}
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "site-packages" not in name and not name.startswith(("<", _LIBRARY)):
            last = {"file": name, "line": trace.tb_lineno}
        trace = trace.tb_next
    return last


def _write(path: Path, document: Mapping[str, object]) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(document), "utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    ended = main(sys.argv[1:])
    leave(gang_of(), ended)
    sys.exit(ended)
