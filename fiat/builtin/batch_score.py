"""Score blocks: one session, loaded once; each block's answers are a file of their own that is whole or not there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fiat.builtin.batch_stage import FAULT, Block, block_table
from fiat.evaluate.feeds import AnyArray, GraphInputs, read_feeds
from fiat.model.package import GRAPH, SIGNATURE
from fiat.serving.answers import Answerer
from fiat.serving.session import RunFault, Session
from fiat.serving.tensors import read_model_info

ROW, ERROR, FILE, FILE_ROW = "row", "\0error", "file", "file_row"


@dataclass(frozen=True)
class ScorePlan:
    """How blocks are scored.

    Attributes:
        package: folder of the packaged model.
        work: folder for the answers.
        rows: most rows that are predicted at once.
        threads: of the session.
    """

    package: str
    work: str
    rows: int
    threads: int


class Scorer:
    """A loaded model that scores blocks, one after another."""

    def __init__(self, plan: ScorePlan) -> None:
        """Load the model.

        Raises:
            EnvironmentFault: onnxruntime can't load it, or the package can't be read.
        """
        self._plan = plan
        self._inputs = graph_inputs(Path(plan.package))
        self._session = Session((Path(plan.package) / GRAPH).read_bytes(), threads=plan.threads)
        self._answerer = Answerer(read_model_info(Path(plan.package)))

    def score(self, block: Block) -> None:
        """Score a block and write its answers down; one that has been written before is left."""
        path = part_path(Path(self._plan.work), block.number)
        if path.exists():
            return
        table = self._scored(block)
        draft = path.with_suffix(".draft")
        with pa.OSFile(str(draft), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        draft.replace(path)

    def _scored(self, block: Block) -> pa.Table:
        table = block_table(block)
        errors: list[str | None] = [None] * table.num_rows
        if FAULT in table.schema.names:
            errors = table.column(FAULT).to_pylist()
        good = np.array([error is None for error in errors], bool)
        columns: dict[str, list[AnyArray]] = {}
        kept: list[AnyArray] = []
        for rows, outputs in self._predicted(table, np.flatnonzero(good), errors):
            kept.append(rows)
            for name, array in self._answerer.add(outputs).items():
                columns.setdefault(name, []).append(array)
        rows = np.concatenate(kept) if kept else np.empty(0, np.int64)
        places = np.full(table.num_rows, -1, np.int64)
        places[rows] = np.arange(len(rows))
        take = pa.array(places, mask=places < 0)
        found = {name: to_arrow(np.concatenate(arrays)).take(take) for name, arrays in columns.items()}
        numbers = np.arange(block.first_row, block.first_row + table.num_rows)
        return pa.table({ROW: numbers, **found, ERROR: pa.array(errors, pa.string())})

    def _predicted(
        self, table: pa.Table, rows: AnyArray, errors: list[str | None]
    ) -> Iterator[tuple[AnyArray, dict[str, AnyArray]]]:
        chosen = table.select(list(self._inputs.features))
        if len(rows) < table.num_rows:
            chosen = chosen.take(pa.array(rows))
        for start in range(0, len(rows), self._plan.rows):
            part = chosen.slice(start, self._plan.rows)
            for feed in read_feeds(part, self._inputs):
                n_rows = len(next(iter(feed.values())))
                yield from self._run(feed, rows[start : start + n_rows], errors)
                start += n_rows

    def _run(
        self, feed: Mapping[str, AnyArray], rows: AnyArray, errors: list[str | None]
    ) -> Iterator[tuple[AnyArray, dict[str, AnyArray]]]:
        """Predict; of rows that can't be predicted together, find those that can't be predicted at all."""
        try:
            found = self._session.run(feed, len(rows))
            wrong = [name for name, array in found.items() if np.ndim(array) == 0 or len(array) != len(rows)]
            if wrong:
                shape = np.shape(found[wrong[0]])
                raise RunFault(f"{wrong[0]} has the shape {shape} for {len(rows)} rows", by_values=False)
        except RunFault as error:
            if len(rows) == 1:
                errors[int(rows[0])] = error.message
                return
            middle = len(rows) // 2
            for half in (slice(None, middle), slice(middle, None)):
                yield from self._run({name: array[half] for name, array in feed.items()}, rows[half], errors)
            return
        yield rows, found


def graph_inputs(package: Path) -> GraphInputs:
    """What a packaged model reads."""
    signature = json.loads((package / SIGNATURE).read_bytes())
    return GraphInputs(
        signature["layout"],
        tuple(signature["features"]),
        tuple(item["name"] for item in signature["inputs"]),
        tuple(item["dtype"] for item in signature["inputs"]),
    )


def part_path(work: Path, number: int) -> Path:
    """File with the answers of a block."""
    return work / f"part-{number:06}.arrow"


def missing_blocks(work: Path, blocks: Sequence[Block]) -> list[Block]:
    """Blocks that are not scored yet."""
    return [block for block in blocks if not part_path(work, block.number).exists()]


def to_arrow(values: AnyArray) -> pa.Array:
    """An output as a column: numbers and texts as they are, with more axes as lists of them."""
    if values.ndim > 1 and values.shape[1:] == (1,):
        values = values.reshape(-1)
    if values.ndim == 1:
        return pa.array(values.tolist(), pa.string()) if values.dtype.kind in "OUS" else pa.array(values)
    flat = values.reshape(len(values), -1)
    items: Any = flat.reshape(-1)
    inner = pa.array(items.tolist(), pa.string()) if values.dtype.kind in "OUS" else pa.array(items)
    return pa.FixedSizeListArray.from_arrays(inner, flat.shape[1])
