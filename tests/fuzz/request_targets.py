"""What a fuzzer tries on the request decoder: one case is a first line that says which reader gets it, then the body.

The line is the name of a target, and after a space the header `Inference-Header-Content-Length` if there is one. Whatever
the bytes are, the outcome is a request that fits the model, or `BadRequest`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from fiat.serving.decode import InferDecoder
from fiat.serving.decode_quick import QUICK_BYTES
from fiat.serving.encode import InferEncoder
from fiat.serving.mlflow_forms import InvocationReader, write_invocations
from fiat.serving.refusal import BadRequest
from fiat.serving.requests import InferRequest
from fiat.serving.tensors import ModelInfo, ServedTensor

SEEDS = Path(__file__).parent / "requests"
_NUMBERS = ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64")


def _model(
    *inputs: tuple[str, str, tuple[int, ...]], layout: str = "tensor", features: str = ""
) -> ModelInfo:
    """A model whose outputs are its inputs."""
    tensors = tuple(ServedTensor(*item) for item in inputs)
    return ModelInfo("m", tensors, tensors, layout=layout, features=tuple(features.split()))


MODELS = {
    "matrix": _model(("x", "FP32", (-1, 3)), layout="matrix", features="p q r"),
    "table": _model(("age", "FP64", (-1, 1)), ("town", "BYTES", (-1, 1)), layout="raw", features="age town"),
    "image": _model(("x", "UINT8", (-1, 2, 2)), features="x"),
    "free": _model(("x", "FP32", (-1, -1)), features="x"),
    "words": _model(("x", "BYTES", (-1,)), features="x"),
    "flags": _model(("x", "BOOL", (-1, 2)), features="x"),
    "mixed": _model(
        ("n", "INT8", (-1, 2)),
        ("x", "FP16", (-1, 2)),
        ("w", "BYTES", (-1, 2)),
        layout="columns",
        features="n x w",
    ),
    "all": _model(*((name, name, (-1, 1)) for name in (*_NUMBERS, "BOOL", "BYTES"))),
}
_DECODERS = {name: InferDecoder(info) for name, info in MODELS.items()}
_READERS = {name: InvocationReader(info) for name, info in MODELS.items()}
_ENCODERS = {name: InferEncoder(info, "1") for name, info in MODELS.items()}


def _infer(name: str, header: str | None, body: bytes) -> None:
    decoder = _DECODERS[name]
    found = decoder.read(body, header)
    _check(MODELS[name], found)
    _ENCODERS[name].write(found, found.inputs)
    if header is None:
        # Room behind a body sends it the careful way: both ways must understand the same.
        careful = decoder.read(body + b" " * QUICK_BYTES)
        assert careful.id == found.id
        for key, array in found.inputs.items():
            np.testing.assert_array_equal(careful.inputs[key], array)


def _invoke(name: str, header: str | None, body: bytes) -> None:
    found = _READERS[name].read(body, header or "")
    _check(MODELS[name], found)
    write_invocations(found.inputs, MODELS[name])


def _check(info: ModelInfo, found: InferRequest) -> None:
    assert list(found.inputs) == [tensor.name for tensor in info.inputs] or set(found.inputs) == {
        tensor.name for tensor in info.inputs
    }
    for tensor in info.inputs:
        array = found.inputs[tensor.name]
        assert array.dtype == tensor.dtype
        assert len(array) == found.n_rows
        assert all(wanted in (-1, size) for size, wanted in zip(array.shape, tensor.shape, strict=True))
        assert tensor.datatype != "BYTES" or all(type(text) is str for text in array.reshape(-1))


Target = Callable[[str, str | None, bytes], None]
TARGETS: dict[str, tuple[str, Target]] = {
    **{f"{name}-infer": (name, _infer) for name in MODELS},
    **{f"{name}-invoke": (name, _invoke) for name in MODELS},
}
_ORDER = sorted(TARGETS)


def try_case(content: bytes) -> bool:
    """Read one case; whether it was taken.

    Raises:
        Exception: anything but `BadRequest` is a bug.
    """
    line, _, body = content.partition(b"\n")
    word, space, rest = line.partition(b" ")
    target = word.decode("latin-1")
    name, run = TARGETS[target if target in TARGETS else _ORDER[sum(word) % len(_ORDER)]]
    try:
        run(name, rest.decode("latin-1") if space else None, body)
    except BadRequest:
        return False
    return True
