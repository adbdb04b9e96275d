"""Cut a stream of comma-separated text into chunks of whole rows, with every quote checked.

Source: RFC 4180, section 2 (rules 5 to 7): a field with quotes starts and ends with one, and a quote inside it is
written twice. Under these rules a line end outside quotes has an even number of quotes before it, which finds
rows without looking at each byte by itself, and a quote that is forgotten shows at the next one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from fiat.data.cells import MOST_NAMED, listed
from fiat.data.stream import PIECE_BYTES, file_fault
from fiat.data.text_start import without_mark
from fiat.errors import SpecError

LONGEST_ROW_BYTES = 64 * 1024 * 1024
_QUOTE, _LINE_END, _RETURN = 34, 10, 13


@dataclass(frozen=True)
class RowChunk:
    """Whole rows of a file.

    Attributes:
        data: their bytes, ending with a line end.
        first_line: 1-based line of the file that the first row starts in.
        n_rows: how many rows it has, blank lines not counted.
        first_row: 1-based number of the first row in the file.
        quoted: a quote stands somewhere in it.
    """

    data: bytes
    first_line: int
    n_rows: int
    first_row: int
    quoted: bool = True


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
            block, first = without_mark(block, name), False
        data = rest + block
        if not block and data and not data.endswith(b"\n"):
            data += b"\n"
        cut, n_rows, n_lines, quoted = _whole_rows(data, name, line, delimiter, at_end=not block)
        if cut:
            chunk = RowChunk(data[:cut], line, n_rows, row, quoted)
            if b"\0" in chunk.data:
                raise _null_byte(chunk, name)
            yield chunk
            line += n_lines
            row += n_rows
        rest = data[cut:]
        if len(rest) > LONGEST_ROW_BYTES:
            raise _too_long(rest, name, line)
        if not block:
            return


def row_line(chunk: RowChunk, index: int) -> int:
    """1-based line of the file that a row of a chunk starts in; `index` counts rows from 0."""
    return row_lines(chunk, [index])[0]


def row_lines(chunk: RowChunk, indices: Sequence[int]) -> list[int]:
    """1-based lines of the file that rows of a chunk start in; `indices` count rows from 0."""
    starts, ends = _rows(chunk)
    kept = starts[~_blank(chunk.data, ends)][np.asarray(indices, np.int64)]
    newlines = np.flatnonzero(np.frombuffer(chunk.data, np.uint8) == _LINE_END)
    return [chunk.first_line + int(before) for before in np.searchsorted(newlines, kept)]


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
        chunk.quoted,
    )
    return chunk.data[start:end].rstrip(b"\r"), rest


def bad_text(chunk: RowChunk, name: str) -> SpecError | None:
    """The fault of a chunk that is not UTF-8, with the lines of its first bytes that are not; or None."""
    data, start = chunk.data, 0
    found: list[tuple[int, int]] = []
    while len(found) <= MOST_NAMED:
        try:
            data[start:].decode("utf-8")
            break
        except UnicodeDecodeError as error:
            position = start + error.start
            found.append((chunk.first_line + data.count(b"\n", 0, position), data[position]))
            start = data.find(b"\n", position) + 1 or len(data)
    if not found:
        return None
    line, byte = found[0]
    others = ", ".join(str(other) for other, _ in found[1:MOST_NAMED])
    more = f"; so it is in lines {others}{' and more' if len(found) > MOST_NAMED else ''}" if others else ""
    hint = "save the file as UTF-8"
    return file_fault(name, f"byte 0x{byte:02x} is not UTF-8 text{more}", line=line, hint=hint)


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


def _whole_rows(
    data: bytes, name: str, line: int, delimiter: str, *, at_end: bool
) -> tuple[int, int, int, bool]:
    """Where the last whole row ends, how many rows (not blank) and lines end there, whether there are quotes."""
    quoted = b'"' in data
    if not quoted and b"\r" not in data:
        # One look at the bytes; the way below makes lists of positions, which takes several times as long.
        is_end = np.frombuffer(data, np.uint8) == _LINE_END
        if not (is_end[:1].any() or (is_end[1:] & is_end[:-1]).any()):
            n_rows = int(np.count_nonzero(is_end))
            return data.rfind(b"\n") + 1, n_rows, n_rows, False
    ends = _row_ends(data, name, line, delimiter, at_end=at_end)
    if not ends.size:
        return 0, 0, 0, True
    cut = int(ends[-1]) + 1
    return cut, int(np.count_nonzero(~_blank(data, ends))), data.count(b"\n", 0, cut), quoted


def _null_byte(chunk: RowChunk, name: str) -> SpecError:
    lines = [number for number, raw in enumerate(chunk.data.split(b"\n"), chunk.first_line) if b"\0" in raw]
    shown = listed([str(number) for number in lines[1:MOST_NAMED]], len(lines) - 1)
    more = f"; so do lines {shown}" if shown else ""
    hint = "is it UTF-16, or cut off while it was written? save the file as UTF-8"
    return file_fault(name, f"a null byte, which no text has{more}", line=lines[0], hint=hint)


def _too_long(rest: bytes, name: str, line: int) -> SpecError:
    if b"\n" not in rest and rest.count(b"\r") > 1:
        return file_fault(
            name, "a carriage return without a line feed", line=line, hint="end lines with LF or CR LF"
        )
    return file_fault(
        name,
        f"a row is longer than {LONGEST_ROW_BYTES >> 20} MiB",
        line=line,
        hint="is a quote never closed, or is it no CSV file?",
    )


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
