"""An answer as the bytes of its body: JSON, with the data of outputs behind it where the client asked for bytes.

JSON has no NaN and no infinity: numbers that are not finite are `null`. Who must tell them apart asks for binary data,
where they keep their bits. Floats are written with the fewest digits that give the same float of their own width.

Source: https://github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md, "Inference Response";
https://github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md.
"""

import struct
from collections.abc import Mapping

import msgspec
import orjson

from fiat.serving.requests import AnyArray, InferRequest
from fiat.serving.tensors import BYTES, ModelInfo

_LENGTH = struct.Struct("<I")


class InferEncoder:
    """Writes answers of one version of a model; made once a version."""

    def __init__(self, info: ModelInfo, version: str) -> None:
        self._json = msgspec.json.Encoder()
        encode = self._json.encode
        self._start = b'{"model_name":%b,"model_version":%b,' % (encode(info.name), encode(version))
        self._outputs = {
            tensor.name: (
                tensor.datatype,
                b'{"name":%b,"datatype":%b,"shape":' % (encode(tensor.name), encode(tensor.datatype)),
            )
            for tensor in info.answered
        }

    def write(self, request: InferRequest, outputs: Mapping[str, AnyArray]) -> tuple[bytes, int | None]:
        """The answer.

        Args:
            request: what was asked; its id is echoed.
            outputs: name to array, of the model's datatypes.

        Returns:
            The body, and the length of its JSON part when bytes follow it, else None.
        """
        start = self._start
        if request.id is not None:
            start += b'"id":%b,' % self._json.encode(request.id)
        tails: list[bytes] = []
        if request.outputs is None:
            behind = tails if request.binary_output else None
            parts = [self._part(name, array, behind) for name, array in outputs.items()]
        else:
            parts = [
                self._part(wanted.name, outputs[wanted.name], tails if wanted.binary else None)
                for wanted in request.outputs
            ]
        head = b'%b"outputs":[%b]}' % (start, b",".join(parts))
        return (head + b"".join(tails), len(head)) if tails else (head, None)

    def _part(self, name: str, array: AnyArray, tails: list[bytes] | None) -> bytes:
        datatype, start = self._outputs[name]
        shape = str(list(array.shape)).encode()
        if tails is None:
            if datatype == BYTES:
                data = self._json.encode(array.ravel().tolist())
            else:
                data = orjson.dumps(array.ravel(), option=orjson.OPT_SERIALIZE_NUMPY)
            return b'%b%b,"data":%b}' % (start, shape, data)
        tail = _packed_texts(array) if datatype == BYTES else array.tobytes()
        tails.append(tail)
        return b'%b%b,"parameters":{"binary_data_size":%d}}' % (start, shape, len(tail))


def _packed_texts(array: AnyArray) -> bytes:
    parts: list[bytes] = []
    for text in array.ravel().tolist():
        data = text if isinstance(text, bytes) else str(text).encode()
        parts += (_LENGTH.pack(len(data)), data)
    return b"".join(parts)
