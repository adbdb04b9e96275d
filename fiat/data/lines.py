"""Cut a stream of text into chunks of whole lines, and read plain text a row a line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import pyarrow as pa

from fiat.data.cells import MOST_NAMED, listed
from fiat.data.delimited import LONGEST_ROW_BYTES
from fiat.data.stream import PIECE_BYTES, Piece, Reading, SourceFile, file_fault, open_bytes
from fiat.data.text_start import without_mark


@dataclass(frozen=True)
class LineChunk:
    """Whole lines of a file.

    Attributes:
        data: their bytes, ending with a line end.
        first_line: 1-based line of the file that the chunk starts with.
        n_rows: how many of the lines are not blank.
        first_row: 1-based number of the first line that is not blank, among those of the file.
    """

    data: bytes
    first_line: int
    n_rows: int
    first_row: int

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Lines that are not blank, each with its number in the file."""
        for number, raw in enumerate(self.data.split(b"\n"), self.first_line):
            if raw.strip():
                yield number, raw

    def line_of(self, row: int) -> int:
        """Number in the file of a line that is not blank; `row` counts them from 0."""
        for index, (number, _) in enumerate(self.lines()):
            if index == row:
                return number
        return self.first_line


def line_chunks(stream: IO[bytes], name: str) -> Iterator[LineChunk]:
    """Cut a stream into chunks of about PIECE_BYTES.

    Raises:
        SpecError: a line of more than LONGEST_ROW_BYTES.
    """
    rest, line, row, first = b"", 1, 1, True
    while True:
        block = stream.read(PIECE_BYTES)
        if first:
            block, first = without_mark(block, name), False
        data = rest + block
        if not block and data and not data.endswith(b"\n"):
            data += b"\n"
        cut = data.rfind(b"\n") + 1
        rest = data[cut:]
        if len(rest) > LONGEST_ROW_BYTES:
            raise file_fault(name, f"a line is longer than {LONGEST_ROW_BYTES >> 20} MiB", line=line)
        if cut:
            lines = data[:cut].split(b"\n")[:-1]
            n_rows = sum(1 for raw in lines if raw.strip())
            if n_rows:
                yield LineChunk(data[:cut], line, n_rows, row)
            line += len(lines)
            row += n_rows
        if not block:
            return


def read_text(files: Sequence[SourceFile]) -> Reading:
    """Plain text: column `text`, a row a line, blank lines left out.

    Raises:
        SpecError: text that is not UTF-8, a null byte or a carriage return alone, a cut gzip file, a file without text.
    """
    schema = pa.schema([pa.field("text", pa.string())])
    return Reading(schema, lambda: _text_pieces(files, schema))


def _text_pieces(files: Sequence[SourceFile], schema: pa.Schema) -> Iterator[Piece]:
    for file in files:
        n_rows = 0
        with open_bytes(file) as stream:
            for chunk in line_chunks(stream, file.name):
                texts = _texts(chunk, file.name)
                n_rows += len(texts)
                yield Piece(
                    pa.record_batch([pa.array(texts, pa.string())], schema), (file.name,), chunk.first_row
                )
        if not n_rows:
            raise file_fault(file.name, "the file has no text")


def _texts(chunk: LineChunk, name: str) -> list[str]:
    """The lines of a chunk, decoded.

    Raises:
        SpecError: some are no text; names the first of them.
    """
    texts, faults = [], []
    for line, raw in chunk.lines():
        bare = raw.rstrip(b"\r")
        try:
            text = bare.decode("utf-8")
        except UnicodeDecodeError as error:
            faults.append((line, f"byte 0x{bare[error.start]:02x} is not UTF-8 text"))
            continue
        if "\0" in text or "\r" in text:
            found = "null byte, which no text has" if "\0" in text else "carriage return without a line feed"
            faults.append((line, f"a {found}"))
        texts.append(text)
    if faults:
        shown = listed([f"line {line}" for line, _ in faults[1:MOST_NAMED]], len(faults) - 1)
        more = f"; so it is in {shown}" if shown else ""
        raise file_fault(name, f"{faults[0][1]}{more}", line=faults[0][0])
    return texts
