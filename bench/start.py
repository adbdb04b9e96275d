"""How long the program takes to answer: help, validation, and a run with nothing to do."""

import shutil
from pathlib import Path

from stopwatch import Line, Room, medians

HELP_LIMIT_S = 0.2
VALIDATE_LIMIT_S = 0.4
EXAMPLE = Path(__file__).parent.parent / "specs" / "digits"


def measure(folder: Path, *, repeats: int) -> list[Line]:
    """`fiat --help` and `fiat validate`, with `dvc --help` for comparison."""
    room = Room(folder / "start")
    checkout = room.checkout("fiat")
    shutil.copytree(EXAMPLE, checkout / "specs" / "digits")
    ours_help, peer_help, validate, plan = medians(
        repeats,
        lambda: room.run(checkout, "fiat", "--help"),
        lambda: room.run(checkout, "dvc", "--help"),
        lambda: room.run(checkout, "fiat", "validate", "specs/digits"),
        lambda: room.run(checkout, "fiat", "plan", "specs/digits"),
    )
    return [
        Line("fiat --help", ours_help, peer_help, "dvc --help", most=HELP_LIMIT_S),
        Line("fiat validate specs/digits", validate, most=VALIDATE_LIMIT_S),
        Line("fiat plan specs/digits", plan),
    ]
