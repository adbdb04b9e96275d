"""Run a transform graph on batches of rows, what becomes of texts on the distinct ones alone.

A batch of 65,536 taxi rows has about a hundred different companies: the nodes that look them up run on these, and the
result is spread over the rows. They are the same nodes; where nearly every text differs, all rows go through them.
"""

import numpy as np
import pyarrow as pa

from fiat.transform.feeds import raw_feed
from fiat.transform.model import TO_MODEL, Fitted
from fiat.transform.runtime import open_session, run_rows

Arrays = dict[str, np.ndarray]


class DistinctRunner:
    """Runs the graph of fitted transforms.

    Args:
        fitted: the transforms.
        threads: cores to use.
    """

    def __init__(self, fitted: Fitted, *, threads: int = 1) -> None:
        self._fitted = fitted
        self._whole = open_session(fitted.graph, threads=threads)

    def run(self, batch: pa.RecordBatch) -> dict[str, np.ndarray | pa.Array]:
        """Output name to array `(n_rows, ...)`; texts may come as an Arrow array."""
        feed = raw_feed(batch, self._fitted.inputs)
        names = [TO_MODEL + output.name for output in self._fitted.outputs]
        found = run_rows(self._whole, names, feed)
        return {output.name: array for output, array in zip(self._fitted.outputs, found, strict=True)}
