"""Format `tflite`: what LiteRT reads, formerly TensorFlow Lite."""

from importlib.metadata import version as release_of
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from fiat.errors import SpecError
from fiat.ports.edge import Arrays, Predict
from fiat_litert.graph import convert_graph
from fiat_litert.operators_plain import PLAIN
from fiat_litert.operators_weighted import WEIGHTED

_WORDS = {**PLAIN, **WEIGHTED}


class TfliteFormat:
    """Writes an ONNX graph of perceptrons or convolutions as a .tflite file, without TensorFlow.

    `dynamic` makes int8 of weights. `static` is not offered: LiteRT's own operators would need ranges for everything.
    """

    name = "tflite"
    version = "1"
    runtime = f"ai-edge-litert {release_of('ai-edge-litert')}"
    quantizes: tuple[str, ...] = ("dynamic",)
    takes_quantized = False

    def convert(self, model: Path, folder: Path, quantize: str) -> Path:
        """Write `model.tflite`.

        Raises:
            SpecError: the graph takes texts, or has an operator that is not said.
        """
        target = folder / "model.tflite"
        target.write_bytes(convert_graph(model, _WORDS, quantize=quantize == "dynamic"))
        return target

    def open(self, path: Path) -> Predict:
        """Load a file into LiteRT's interpreter, with one thread; shapes follow the number of rows.

        Raises:
            SpecError: LiteRT refuses it.
        """
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=1)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise SpecError(f"LiteRT can't load {path.name}: {_first_line(error)}") from error
        inputs = {item["name"]: item for item in interpreter.get_input_details()}
        runner = interpreter.get_signature_list()["serving_default"]["outputs"]
        outputs = dict(zip(runner, interpreter.get_output_details(), strict=True))
        shapes = {name: tuple(item["shape"]) for name, item in inputs.items()}

        def predict(feeds: Arrays) -> dict[str, npt.NDArray[np.generic]]:
            try:
                asked = {name: np.shape(feeds[name]) for name in inputs}
                if asked != shapes:
                    for name, shape in asked.items():
                        interpreter.resize_tensor_input(inputs[name]["index"], shape, strict=True)
                    interpreter.allocate_tensors()
                    shapes.update(asked)
                for name, item in inputs.items():
                    interpreter.set_tensor(item["index"], np.asarray(feeds[name], item["dtype"]))
                interpreter.invoke()
                return {name: interpreter.get_tensor(item["index"]) for name, item in outputs.items()}
            except (ValueError, RuntimeError) as error:
                raise SpecError(f"LiteRT can't run {path.name}: {_first_line(error)}") from error

        return predict


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
