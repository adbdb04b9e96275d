"""The first bytes of a file that should be text: a byte order mark, or the sign of something else."""

from fiat.data.stream import file_fault

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_OTHERS = (
    (b"\x1f\x8b", "packed with gzip", "let its name end with .gz"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet", "unpack it, or save it as text"),
    (b"PAR1", "a Parquet file", "set format: parquet"),
    (b"ARROW1", "an Arrow file", "set format: arrow"),
    (b"\x93NUMPY", "an array of NumPy", "set format: npy"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "unpack it"),
    (b"BZh", "packed with bzip2", "unpack it"),
)


def without_mark(start: bytes, name: str) -> bytes:
    """The first block of a text without its UTF-8 byte order mark.

    Raises:
        SpecError: it is UTF-16 or UTF-32, or begins like a file of another format.
    """
    if start.startswith(_UTF16_MARKS):
        message = "the text is UTF-16 or UTF-32, expected UTF-8"
        raise file_fault(name, message, line=1, hint="save the file as UTF-8")
    for sign, what, hint in _OTHERS:
        if start.startswith(sign) and (len(sign) > 3 or not start[:64].isascii()):
            raise file_fault(name, f"the file is {what} and no text", line=1, hint=hint)
    return start.removeprefix(_UTF8_MARK)
