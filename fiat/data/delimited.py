"""Cut a stream of comma-separated text into chunks of whole rows, with every quote checked.

Source: RFC 4180, section 2 (rules 5 to 7): a field with quotes starts and ends with one, and a quote inside it is
written twice. Under these rules a line end outside quotes has an even number of quotes before it, which finds
rows without looking at each byte by itself, and a quote that is forgotten shows at the next one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from fiat.data.stream import PIECE_BYTES, file_fault
from fiat.errors import SpecError

LONGEST_ROW_BYTES = 64 * 1024 * 1024
_QUOTE, _LINE_END, _RETURN = 34, 10, 13
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class RowChunk:
    """Whole rows of a file.

    Attributes:
        data: their bytes, ending with a line end.
        first_line: 1-based line of the file that the first row starts in.
        n_rows: how many rows it has, blank lines not counted.
        first_row: 1-based number of the first row in the file.
    """

    data: bytes
    first_line: int
    n_rows: int
    first_row: int


def row_chunks(stream: IO[bytes], name: str, delimiter: str) -> Iterator[RowChunk]:
    """Cut a stream into chunks of about PIECE_BYTES; the header is a row like any other.

    Raises:
        SpecError: a quote that neither starts nor ends a field, one that is never closed, a row of more than
            LONGEST_ROW_BYTES, or text that is not UTF-8 but UTF-16.
    """
    rest, line, row, first = b"", 1, 1, True
    while True:
        block = stream.read(PIECE_BYTES)
        if first:
            block, first = _without_mark(block, name), False
        data = rest + block
        if not block and data and not data.endswith(b"\n"):
            data += b"\n"
        ends = _row_ends(data, name, line, delimiter, at_end=not block)
        cut = int(ends[-1]) + 1 if ends.size else 0
        if cut:
            n_rows = int(np.count_nonzero(~_blank(data, ends)))
            yield RowChunk(data[:cut], line, n_rows, row)
            line += data.count(b"\n", 0, cut)
            row += n_rows
        rest = data[cut:]
        if len(rest) > LONGEST_ROW_BYTES:
            raise file_fault(
                name,
                f"a row is longer than {LONGEST_ROW_BYTES >> 20} MiB",
                line=line,
                hint="is a quote never closed, or is it no CSV file?",
            )
        if not block:
            return


def row_line(chunk: RowChunk, index: int) -> int:
    """1-based line of the file that a row of a chunk starts in; `index` counts rows from 0."""
    starts, ends = _rows(chunk)
    keep = ~_blank(chunk.data, ends)
    start = int(starts[keep][index])
    return chunk.first_line + chunk.data.count(b"\n", 0, start)


def first_row(chunk: RowChunk) -> tuple[bytes, RowChunk]:
    """The first row of a chunk that is not blank (a header), and the chunk without it."""
    starts, ends = _rows(chunk)
    index = int(np.flatnonzero(~_blank(chunk.data, ends))[0])
    start, end = int(starts[index]), int(ends[index])
    rest = RowChunk(
        chunk.data[end + 1 :],
        chunk.first_line + chunk.data.count(b"\n", 0, end + 1),
        chunk.n_rows - 1,
        chunk.first_row,
    )
    return chunk.data[start:end].rstrip(b"\r"), rest


def bad_text(chunk: RowChunk, name: str) -> SpecError | None:
    """The fault of a chunk that is not UTF-8, or None."""
    try:
        chunk.data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = chunk.first_line + chunk.data.count(b"\n", 0, error.start)
        byte = chunk.data[error.start]
        return file_fault(
            name, f"byte 0x{byte:02x} is not UTF-8 text", line=line, hint="save the file as UTF-8"
        )
    return None


def lone_return(chunk: RowChunk) -> int | None:
    """Line of the first carriage return without a line feed behind it, or None."""
    buffer = np.frombuffer(chunk.data, np.uint8)
    returns = np.flatnonzero(buffer[:-1] == _RETURN)
    alone = returns[buffer[returns + 1] != _LINE_END]
    quotes = np.flatnonzero(buffer == _QUOTE)
    outside = alone[np.searchsorted(quotes, alone) % 2 == 0]
    if not outside.size:
        return None
    return chunk.first_line + chunk.data.count(b"\n", 0, int(outside[0]))


def _without_mark(block: bytes, name: str) -> bytes:
    if block.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise file_fault(name, "the text is UTF-16, expected UTF-8", line=1, hint="save the file as UTF-8")
    return block.removeprefix(_BYTE_ORDER_MARK)


def _rows(chunk: RowChunk) -> tuple[np.ndarray, np.ndarray]:
    buffer = np.frombuffer(chunk.data, np.uint8)
    quotes, newlines = np.flatnonzero(buffer == _QUOTE), np.flatnonzero(buffer == _LINE_END)
    ends = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    return np.concatenate([[0], ends[:-1] + 1]), ends


def _blank(data: bytes, ends: np.ndarray) -> np.ndarray:
    buffer = np.frombuffer(data, np.uint8)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts
    return np.asarray((lengths == 0) | ((lengths == 1) & (buffer[starts] == _RETURN)))


def _row_ends(data: bytes, name: str, line: int, delimiter: str, *, at_end: bool) -> np.ndarray:
    buffer = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(buffer == _LINE_END)
    quotes = np.flatnonzero(buffer == _QUOTE)
    if not quotes.size:
        return np.asarray(newlines)
    _check_quotes(data, buffer, quotes, name, line, delimiter)
    if at_end and quotes.size % 2:
        opened = line + data.count(b"\n", 0, int(quotes[-1]))
        raise file_fault(name, "a quote is opened here and never closed", line=opened)
    ends: np.ndarray = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    return ends


def _check_quotes(
    data: bytes, buffer: np.ndarray, quotes: np.ndarray, name: str, line: int, delimiter: str
) -> None:
    border = np.zeros(256, bool)
    border[[ord(delimiter), _LINE_END, _RETURN, _QUOTE]] = True
    opens, closes = quotes[0::2], quotes[1::2]
    opens_well = border[buffer[np.maximum(opens - 1, 0)]] | (opens == 0)
    # A quote at the very end of what was read so far is judged when its next byte is there.
    closes_well = border[buffer[np.minimum(closes + 1, len(buffer) - 1)]]
    bad = np.sort(np.concatenate([opens[~opens_well], closes[~closes_well]]))
    if not bad.size:
        return
    position = int(bad[0])
    index = int(np.searchsorted(quotes, position))
    here = line + data.count(b"\n", 0, position)
    message = "a double quote inside a field, neither at its start nor at its end"
    if index % 2:
        opened = line + data.count(b"\n", 0, int(quotes[index - 1]))
        message += f" (the last one was opened in line {opened})" if opened != here else ""
    raise file_fault(name, message, line=here, hint="write a quote inside a quoted field twice")
