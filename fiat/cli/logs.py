"""`fiat logs`: what the steps of a run printed."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json, RunName
from fiat.cli.output import print_json
from fiat.errors import SpecError
from fiat.run.model import Run
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import Shelf, open_shelf
from fiat.wiring.views import clean_line, step_logs

POLL_S = 0.2


def command(
    run: RunName = "last",
    step: Annotated[str | None, typer.Argument(metavar="STEP", help="Only this step.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    json: Json = False,
) -> int:
    """Print what the steps of a run printed, step by step; with -f as it comes.

    The log of a reused step is that of the run which made its result.
    """
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        found = shelf.store.runs.find(run)
        names = [item.name for item in found.steps]
        if step is not None and step not in names:
            raise SpecError(f"run {found.id} has no step {step}", hint=f"steps: {', '.join(names)}")
        if json:
            logs = step_logs(shelf.store, shelf.state_dir, found, step)
            print_json(
                {
                    "run": found.id,
                    "logs": {name: path.read_text("utf-8", "replace") for name, path in logs.items()},
                }
            )
            return 0
        _print_logs(shelf, found, step, follow=follow)
        return 0


def _print_logs(shelf: Shelf, run: Run, step: str | None, *, follow: bool) -> None:
    offsets: dict[str, int] = {}
    while True:
        live = run.state == "running"
        for name, path in step_logs(shelf.store, shelf.state_dir, run, step).items():
            with path.open("rb") as file:
                file.seek(offsets.get(name, 0))
                text = file.read()
            whole = text if not (follow and live) else text[: text.rfind(b"\n") + 1]
            offsets[name] = offsets.get(name, 0) + len(whole)
            for line in whole.decode("utf-8", "replace").splitlines():
                sys.stdout.write(f"{name} | {clean_line(line)}\n")
        sys.stdout.flush()
        if not (follow and live):
            return
        time.sleep(POLL_S)
        run = shelf.store.runs.find(run.id)
