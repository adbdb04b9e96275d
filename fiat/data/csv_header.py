"""The header of a CSV: its columns' names, or what is wrong with them."""

import csv

from fiat.data.delimited import RowChunk, bad_text, first_row, lone_return, row_line
from fiat.data.stream import ReadOptions, SourceFile, file_fault


def read_header(
    file: SourceFile, chunk: RowChunk, delimiter: str, options: ReadOptions
) -> tuple[tuple[str, ...], RowChunk]:
    """Names of a file's columns, and its first chunk without the header.

    Raises:
        SpecError: no text, two columns of one name, another delimiter, or not as many columns as are named.
    """
    line = row_line(chunk, 0)
    raw, rest = first_row(chunk)
    try:
        fields = next(csv.reader([raw.decode("utf-8")], delimiter=delimiter, strict=True))
    except UnicodeDecodeError:
        raise bad_text(chunk, file.name) or file_fault(
            file.name, "the header is no text", line=line
        ) from None
    except csv.Error as error:
        if lone_return(chunk):
            message = "a carriage return without a line feed"
            hint = "end lines with LF or CR LF"
            raise file_fault(file.name, message, line=line, hint=hint) from None
        raise file_fault(file.name, f"the header can't be read: {error}", line=line) from error
    if len(fields) == 1 and delimiter == "," and any(other in fields[0] for other in ";\t|"):
        other = next(other for other in ";\t|" if other in fields[0])
        written = "\\t" if other == "\t" else other
        hint = f'set delimiter: "{written}"'
        raise file_fault(file.name, f"one column only, and {other!r} in its first line", line=line, hint=hint)
    if not options.header:
        names = options.columns or tuple(f"column_{index + 1}" for index in range(len(fields)))
        if len(names) != len(fields):
            message = f"the first row has {len(fields)} fields, but `columns` names {len(names)}"
            raise file_fault(file.name, message, line=line)
        return names, chunk
    names = tuple(field.strip() or f"column_{index + 1}" for index, field in enumerate(fields))
    for index, name in enumerate(names):
        if name in names[:index]:
            raise file_fault(
                file.name, f"two columns are named {name!r}", line=line, hint="rename one of them"
            )
    return names, rest
