"""An inference request once it is understood: arrays by name, and what shall be answered."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

AnyArray = np.ndarray[Any, np.dtype[Any]]


class RequestedOutput(msgspec.Struct, frozen=True, gc=False):
    """An output that the client asked for.

    Attributes:
        name: of the output.
        binary: whether its data goes behind the JSON as bytes.
    """

    name: str
    binary: bool


class InferRequest(msgspec.Struct, frozen=True, gc=False):
    """A request. A msgspec Struct, since a frozen dataclass takes ten times as long to make and one is made a request.

    Attributes:
        id: that the client gave; None when it gave none.
        inputs: the graph's inputs by name, each of its dtype and rank; arrays may be read-only.
        n_rows: length of their first axis.
        outputs: what is answered, in this order; None answers everything.
        binary_output: whether everything is answered as bytes when `outputs` is None.
        parameters: of the request, as the client gave them.
    """

    id: str | None
    inputs: dict[str, AnyArray]
    n_rows: int
    outputs: tuple[RequestedOutput, ...] | None = None
    binary_output: bool = False
    parameters: Mapping[str, Any] = {}
