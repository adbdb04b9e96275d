"""A sheet: what a command shows, as data. Printed as plain text here, and in colour by `view_rich.py`."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from fiat.builtin.view_text import visible

Tone = Literal["", "good", "doubt", "bad", "quiet", "strong"]
_GAP = "  "
_INDENT = 4
_LEAST = 24


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
        width: columns of the terminal: the last column of a table is folded to fit; 0 folds nothing, for pipes.

    Returns:
        Lines with a line feed each.
    """
    lines = ("".join(cell.text for cell in line).rstrip() for line in lay_out(sheet, width))
    return "".join(f"{line}\n" for line in lines)


def lay_out(sheet: Sheet, width: int = 0) -> list[tuple[Cell, ...]]:
    """The lines of a sheet as padded, harmless cells that only need to be joined; `width` as in `plain_text`."""
    lines: list[tuple[Cell, ...]] = []
    for block in sheet.blocks:
        if not isinstance(block, Table):
            lines.extend(_paragraph(block, width))
        elif block.rows:
            if lines:
                lines.append(())
            lines.extend(_table_lines(block, width))
    return lines


def _paragraph(cells: Sequence[Cell], width: int) -> list[tuple[Cell, ...]]:
    """One line; the last cell is folded under its own beginning, or under an indent when that is far right."""
    shown = [Cell(visible(cell.text), cell.tone) for cell in cells]
    before = sum(len(cell.text) for cell in shown[:-1])
    if not width or before + len(shown[-1].text) <= width:
        return [tuple(shown)]
    indent = before if before <= width // 3 else _INDENT
    first, *rest = _folded(shown[-1].text, max(_LEAST, width - before))
    rest = _folded(" ".join(rest), max(_LEAST, width - indent)) if rest else []
    tone = shown[-1].tone
    return [(*shown[:-1], Cell(first, tone)), *((Cell(" " * indent), Cell(line, tone)) for line in rest)]


def _table_lines(table: Table, width: int) -> list[tuple[Cell, ...]]:
    lines: list[tuple[Cell, ...]] = [(Cell(visible(table.title), "strong"),)] if table.title else []
    widths = [len(visible(head)) for head in table.heads]
    for row in table.rows:
        for place, cell in enumerate(row):
            widths[place] = max(widths[place], len(visible(cell.text)))
    if any(table.heads):
        heads = tuple(Cell(head.upper(), "quiet") for head in table.heads)
        lines.extend(_row_lines(heads, table, widths, width))
    for row in table.rows:
        lines.extend(_row_lines(row, table, widths, width))
    return lines


def _row_lines(
    row: Sequence[Cell], table: Table, widths: Sequence[int], width: int
) -> list[tuple[Cell, ...]]:
    last = len(widths) - 1
    line: list[Cell] = []
    for place, cell in enumerate(row):
        text = visible(cell.text)
        wide = text.rjust(widths[place]) if place in table.right else text.ljust(widths[place])
        line.append(Cell(text if place == last and place not in table.right else wide + _GAP, cell.tone))
    indent = sum(len(cell.text) for cell in line[:last])
    if not width or last in table.right or len(line) <= last or indent + len(line[last].text) <= width:
        return [tuple(line)]
    tail = line[last]
    if width - indent < _LEAST:
        below = _folded(tail.text, max(_LEAST, width - _INDENT))
        return [tuple(line[:last]), *((Cell(" " * _INDENT), Cell(part, tail.tone)) for part in below)]
    first, *rest = _folded(tail.text, width - indent)
    folded = ((Cell(" " * indent), Cell(part, tail.tone)) for part in rest)
    return [(*line[:last], Cell(first, tail.tone)), *folded]


def _folded(text: str, width: int) -> list[str]:
    """Split at blanks to at most `width` characters a line; a longer word stays whole."""
    indent = " " * (len(text) - len(text.lstrip(" ")))
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]
