"""Port `edge`: a file format for devices, and the runtime that reads it. Plugins: `onnx`, `ort`, `tflite`.

Everything here is called in a process of its own, which may be killed.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[np.generic]]
Predict = Callable[[Arrays], dict[str, npt.NDArray[np.generic]]]
"""Input name to array `(n_rows, ...)` gives output name to array `(n_rows, ...)`, names as in the packaged graph."""


class EdgeFormat(Protocol):
    """Makes files of one format, and reads them as a device does.

    Attributes:
        name: the entry point's name, what `format:` says.
        version: part of what tells one converted model from another.
        runtime: name and version of the runtime that reads the file, for reports.
        quantizes: which of `dynamic` and `static` it does itself; for the others it is given a graph that is quantized
            already, when `takes_quantized`.
        takes_quantized: whether it can take a graph with ONNX's quantized operators.
    """

    name: str
    version: str
    runtime: str
    quantizes: tuple[str, ...]
    takes_quantized: bool

    def convert(self, model: Path, folder: Path, quantize: str) -> Path:
        """Write the model's file, called `model` and the format's ending, into a folder.

        Args:
            model: an ONNX file that was looked at.
            folder: for the file, and for what belongs to it.
            quantize: `none`, or one of `quantizes`.

        Returns:
            The file.

        Raises:
            SpecError: the graph has something that the format can't say.
        """
        ...

    def open(self, path: Path) -> Predict:
        """Load a file with one thread.

        Raises:
            SpecError: the runtime refuses it.
        """
        ...
