"""Count rows of the test split that the train split has too: `python leaks.py DATASET OUT.json`."""

import json
import sys
from pathlib import Path

import pyarrow as pa


def rows(path: Path) -> list[tuple]:
    with pa.memory_map(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def main(dataset: Path, out: Path) -> None:
    train, test = rows(dataset / "train.arrow"), rows(dataset / "test.arrow")
    known = set(train)
    every = len(train) + len(test)
    found = {
        "leaked_rows": sum(row in known for row in test),
        "repeated_ratio": 1 - len(known | set(test)) / every,
    }
    out.write_text(json.dumps(found))
    print(f"{every} rows: {found}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
