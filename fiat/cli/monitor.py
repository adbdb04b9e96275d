"""`fiat monitor`: how far what a served model is asked is from what it learned, and how good it is."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE, EXIT_REFUSED, EnvironmentFault
from fiat.wiring.monitor_view import find_subject, gather, monitor_page, plain_monitor, show_monitor

_CLEAR = "\033[H\033[J"
_PAUSE_S = 5.0


def command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME]",
            help="A spec, model, target or place; or the folder of a service; left out: the only one.",
        ),
    ] = "",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report there, one HTML page.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again every five seconds.")] = False,
    json: Json = False,
) -> int:
    """Show windows of a service's logged requests beside what its model learned from, and what labels say of it.

    What is new in the log is judged; webhook, commit and retraining are left to the runner. Exit code 1 while an alarm
    holds.
    """
    subject = find_subject(name, Path.cwd())
    while True:
        service = gather(subject)
        if html is not None:
            _write(html, monitor_page(service))
        if json:
            print_json(plain_monitor(service))
        else:
            if watch and sys.stdout.isatty():
                sys.stdout.write(_CLEAR)
            show_monitor(service)
        if not watch:
            return EXIT_REFUSED if service.alarms else EXIT_DONE
        sys.stdout.flush()
        time.sleep(_PAUSE_S)


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f"unfinished.{path.name}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise EnvironmentFault(
            f"can't write {path}: {error.strerror}", hint="choose another file with --html"
        ) from None
