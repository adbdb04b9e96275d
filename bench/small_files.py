"""Many small files that did not change: how long the check takes, side by side with `dvc status`."""

from pathlib import Path

from stopwatch import Line, Room, medians

LIMIT = 0.5
SPEC = """\
fiat: 1
name: files
data:
  rows: {source: {path: rows}, format: csv, split: {train: 1}}
"""


def measure(folder: Path, *, count: int, repeats: int) -> list[Line]:
    """`fiat plan` against `dvc status`, both after one run that made everything known."""
    room = Room(folder / "files")
    ours, peer = room.checkout("fiat"), room.checkout("dvc")
    (ours / "spec.yaml").write_text(SPEC)
    (ours / ".gitignore").write_text("rows\n")
    _write(ours / "rows", count)
    _write(peer / "rows", count)
    room.run(peer, "dvc", "init", "-q")
    room.run(peer, "dvc", "add", "-q", "rows")
    room.run(ours, "fiat", "run", "spec.yaml", "--compute", "local")
    plan, run, status = medians(
        repeats,
        lambda: room.run(ours, "fiat", "plan", "spec.yaml"),
        lambda: room.run(ours, "fiat", "run", "spec.yaml"),
        lambda: room.run(peer, "dvc", "status", "-q"),
    )
    return [
        Line(f"{count:,} files unchanged, fiat plan", plan, status, "dvc status", LIMIT),
        Line(f"{count:,} files unchanged, fiat run", run, status, "dvc status", LIMIT),
    ]


def _write(folder: Path, count: int) -> None:
    """A table and many small files beside it: all are digested, only the table is read as data."""
    folder.mkdir()
    (folder / "table.csv").write_text("id,x\n" + "".join(f"{row},{row * 7 % 1013}\n" for row in range(100)))
    for index in range(count - 1):
        path = folder / f"{index // 1000:03d}" / f"{index:06d}.bin"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{index} {index * 7 % 1013}\n")
