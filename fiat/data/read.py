"""Files in, a stream of rows out: the one way to read data of any format."""

from collections.abc import Sequence

from fiat.data.arrays import read_arrays
from fiat.data.columnar import read_columnar
from fiat.data.csv_reader import read_csv
from fiat.data.idx import idx_arrays
from fiat.data.images import read_images
from fiat.data.json_lines import read_json_lines
from fiat.data.lines import read_text
from fiat.data.npy import npy_arrays
from fiat.data.stream import Reading, ReadOptions, SourceFile
from fiat.errors import SpecError


def read_files(files: Sequence[SourceFile], options: ReadOptions) -> Reading:
    """Get ready to read files of one format as one stream of rows, in their order.

    Every row of every file comes out once, with one schema, or reading ends with a fault that names the file and
    the line or row. No file is held in memory as a whole.

    Args:
        files: one or more.
        options: their format and how it is written.

    Raises:
        SpecError: the files are not of this format or are damaged; see each reader.
        EnvironmentFault: a file can't be read, or its format needs a library that is not installed.
    """
    if not files:
        raise SpecError("there are no files to read", hint="look at the source")
    match options.format:
        case "csv":
            return read_csv(files, options)
        case "jsonl":
            return read_json_lines(files, options)
        case "parquet" | "arrow":
            return read_columnar(files, parquet=options.format == "parquet")
        case "npy":
            return read_arrays(npy_arrays(files))
        case "idx":
            return read_arrays(idx_arrays(files))
        case "images":
            return read_images(files)
        case "text":
            return read_text(files)
    raise SpecError(f"{options.format!r} is no format that can be read")
