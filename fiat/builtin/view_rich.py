"""Sheets in colour on a terminal."""

from rich.console import Console, RenderableType
from rich.text import Text

from fiat.builtin.view_sheet import Sheet, Tone, lay_out

STYLES: dict[Tone, str] = {
    "": "",
    "good": "green",
    "doubt": "yellow",
    "bad": "bold red",
    "quiet": "dim",
    "strong": "bold",
}


def print_sheet(sheet: Sheet, console: Console | None = None) -> None:
    """Print a sheet; without a console, on standard output as the terminal is."""
    target = console or Console(highlight=False)
    target.print(renderable(sheet, target.width), soft_wrap=True)


def renderable(sheet: Sheet, width: int) -> RenderableType:
    """The sheet for a terminal of that many columns; what users wrote is never read as markup."""
    lines = (
        Text.assemble(*((cell.text, STYLES[cell.tone]) for cell in line)) for line in lay_out(sheet, width)
    )
    return Text("\n").join(lines)
