"""A sheet: what a command shows, as data. Printed as plain text here, and in colour by `view_rich.py`."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from fiat.builtin.view_text import visible

Tone = Literal["", "good", "doubt", "bad", "quiet", "strong"]
_GAP = "  "


@dataclass(frozen=True)
class Cell:
    """A piece of text and what it means; the text may be hostile, it is made harmless where it is printed.

    Attributes:
        text: one line.
        tone: good (passed), doubt (warned, worse or unclear), bad (failed), quiet (less important), strong.
    """

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Attributes:
        heads: a heading a column; all empty prints no heading.
        rows: cells, as many as there are headings; trailing ones may be left out.
        right: columns whose text stands at their right edge (numbers).
        title: a line above, empty for none.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    right: frozenset[int] = frozenset()
    title: str = ""


@dataclass(frozen=True)
class Sheet:
    """Paragraphs and tables in order.

    Attributes:
        blocks: a table, or a line made of cells.
    """

    blocks: tuple[Table | tuple[Cell, ...], ...] = field(default_factory=tuple)


def plain_text(sheet: Sheet, width: int = 0) -> str:
    """The sheet without colour: columns stand under each other, nothing is drawn.

    Args:
        sheet: what to print.
        width: columns of the terminal, 20 or more: the last column of a table is folded to fit; 0 folds nothing, for
            pipes.

    Returns:
        Lines with a line feed each.
    """
    lines: list[str] = []
    for block in sheet.blocks:
        if isinstance(block, Table):
            if lines:
                lines.append("")
            lines.extend(_table_lines(block, width))
        else:
            lines.extend(_folded("".join(visible(cell.text) for cell in block), width))
    return "".join(line.rstrip() + "\n" for line in lines)


def column_widths(table: Table) -> list[int]:
    """Width of each column's longest text, headings included."""
    widths = [len(visible(head)) for head in table.heads]
    for row in table.rows:
        for place, cell in enumerate(row):
            widths[place] = max(widths[place], len(visible(cell.text)))
    return widths


def _table_lines(table: Table, width: int) -> list[str]:
    lines = [visible(table.title)] if table.title else []
    widths = column_widths(table)
    if any(table.heads):
        lines.extend(_row_lines(tuple(Cell(head.upper()) for head in table.heads), table, widths, width))
    for row in table.rows:
        lines.extend(_row_lines(row, table, widths, width))
    return lines


def _row_lines(row: Sequence[Cell], table: Table, widths: Sequence[int], width: int) -> list[str]:
    last = len(table.heads) - 1
    pieces = []
    for place, cell in enumerate(row):
        text = visible(cell.text)
        if place in table.right:
            pieces.append(text.rjust(widths[place]))
        else:
            pieces.append(text if place == last else text.ljust(widths[place]))
    line = _GAP.join(pieces)
    if not width or len(line) <= width or len(row) <= last or last in table.right:
        return [line]
    indent = sum(widths[:last]) + len(_GAP) * last
    if indent > width // 2:
        head = _GAP.join(pieces[:last])
        return [head, *(" " * 4 + part for part in _folded(pieces[last], max(20, width - 4)))]
    first, *rest = _folded(pieces[last], width - indent)
    return [_GAP.join([*pieces[:last], first]), *(" " * indent + part for part in rest)]


def _folded(text: str, width: int) -> list[str]:
    """Split at blanks to at most `width` characters a line; 0 leaves it whole."""
    if not width or len(text) <= width:
        return [text]
    indent = " " * (len(text) - len(text.lstrip(" ")))
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
