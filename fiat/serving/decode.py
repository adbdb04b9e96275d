"""An inference request from the bytes of its body.

A body is JSON, or JSON and behind it the bytes of tensors (the binary extension), or bytes alone. Whatever it holds, the
outcome is a request that the graph can take or `BadRequest`, and memory is bounded by the size of the body: no shape is
believed before the data fits it.

Source: https://github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md, "Inference";
https://github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md.
"""

from typing import Any

import msgspec

from fiat.serving.decode_binary import read_binary, read_raw
from fiat.serving.decode_json import JsonData
from fiat.serving.decode_quick import OutputText, QuickMessage, QuickReader
from fiat.serving.refusal import BadRequest, shown
from fiat.serving.requests import AnyArray, InferRequest, RequestedOutput
from fiat.serving.tensors import ModelInfo, ServedTensor

_NO_DATA = msgspec.Raw(b"")


class _Input(msgspec.Struct, gc=False):
    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = _NO_DATA
    parameters: dict[str, Any] | None = None


class _Message(msgspec.Struct, gc=False):
    inputs: list[_Input]
    id: str | None = None
    outputs: list[OutputText] | None = None
    parameters: dict[str, Any] | None = None


class InferDecoder:
    """Reads requests for one model; made once a version."""

    def __init__(self, info: ModelInfo) -> None:
        self._inputs = {tensor.name: tensor for tensor in info.inputs}
        self._json = {tensor.name: JsonData(tensor) for tensor in info.inputs}
        self._outputs = {tensor.name for tensor in info.answered}
        self._message = msgspec.json.Decoder(_Message)
        self._quick = QuickReader(info)

    def read(self, body: bytes, header_length: str | None = None) -> InferRequest:
        """Read a request.

        Args:
            body: unpacked.
            header_length: value of the header `Inference-Header-Content-Length`; None when there is none.

        Raises:
            BadRequest: the body is no request that this model can take.
        """
        found = self._quick.read(body) if header_length is None else None
        if found is None:
            return self._read_carefully(body, header_length)
        message, arrays, n_rows = found
        if message.outputs is None and message.parameters is None:
            return InferRequest(message.id, arrays, n_rows)
        return self._request(message, arrays, n_rows)

    def _read_carefully(self, body: bytes, header_length: str | None) -> InferRequest:
        if header_length is None:
            head, tail = body, b""
        else:
            length = _header_length(header_length, len(body))
            if length == 0:
                return self._read_raw(body)
            head, tail = body[:length], body[length:]
        try:
            message = self._message.decode(head)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise _no_request(head, error) from error
        arrays = self._arrays(message, tail)
        return self._request(message, arrays, _row_count(arrays))

    def _request(
        self, message: _Message | QuickMessage, arrays: dict[str, AnyArray], n_rows: int
    ) -> InferRequest:
        parameters = message.parameters or {}
        return InferRequest(
            message.id,
            arrays,
            n_rows,
            self._requested(message.outputs, parameters),
            _switch(parameters, "binary_data_output", "the request"),
            parameters,
        )

    def _arrays(self, message: _Message, tail: bytes) -> dict[str, AnyArray]:
        arrays: dict[str, AnyArray] = {}
        place = 0
        for item in message.inputs:
            tensor = self._tensor(item)
            if item.name in arrays:
                raise BadRequest(f"input {shown(item.name)} is given twice")
            size = _binary_size(item)
            if size is None:
                arrays[item.name] = self._json[item.name].read(bytes(item.data), item.shape)
                continue
            if size > len(tail) - place:
                raise BadRequest(
                    f"input {shown(item.name)} ({tensor}) has {len(tail) - place} bytes left behind the JSON,"
                    f" but its binary_data_size is {shown(size)}"
                )
            arrays[item.name] = read_binary(tensor, tail[place : place + size], item.shape)
            place += size
        for name, tensor in self._inputs.items():
            if name not in arrays:
                raise BadRequest(f"the request lacks input {shown(name)} ({tensor})")
        if place != len(tail):
            raise BadRequest(f"the body has {len(tail) - place} bytes that belong to no input")
        return arrays

    def _tensor(self, item: _Input) -> ServedTensor:
        tensor = self._inputs.get(item.name)
        if tensor is None:
            raise BadRequest(
                f"the model has no input {shown(item.name)}; it takes {shown(', '.join(self._inputs))}"
            )
        if item.datatype != tensor.datatype:
            raise BadRequest(
                f"input {shown(item.name)} has the datatype {shown(item.datatype)}, expected {tensor.datatype}"
            )
        return tensor

    def _requested(
        self, outputs: list[OutputText] | None, parameters: dict[str, Any]
    ) -> tuple[RequestedOutput, ...] | None:
        if not outputs:
            return None
        binary = _switch(parameters, "binary_data_output", "the request")
        found: dict[str, RequestedOutput] = {}
        for item in outputs:
            if item.name not in self._outputs:
                raise BadRequest(
                    f"the model has no output {shown(item.name)}; it gives {shown(', '.join(sorted(self._outputs)))}"
                )
            if item.name in found:
                raise BadRequest(f"output {shown(item.name)} is asked for twice")
            own = _switch(item.parameters or {}, "binary_data", f"output {shown(item.name)}", default=binary)
            found[item.name] = RequestedOutput(item.name, own)
        return tuple(found.values())

    def _read_raw(self, body: bytes) -> InferRequest:
        if len(self._inputs) != 1:
            raise BadRequest(
                f"the model takes {len(self._inputs)} inputs: a body of bytes alone must be for exactly one"
            )
        ((name, tensor),) = self._inputs.items()
        arrays = {name: read_raw(tensor, body)}
        return InferRequest(None, arrays, _row_count(arrays), None, binary_output=True)


def _row_count(arrays: dict[str, AnyArray]) -> int:
    rows: dict[int, str] = {}
    for name, array in arrays.items():
        if array.ndim:
            rows.setdefault(len(array), name)
    if len(rows) > 1:
        (first, one), (second, other) = list(rows.items())[:2]
        raise BadRequest(f"input {shown(other)} has {second} rows, expected {first} as in input {shown(one)}")
    return next(iter(rows), 1)


def _binary_size(item: _Input) -> int | None:
    size = (item.parameters or {}).get("binary_data_size")
    has_data = memoryview(item.data).nbytes > 0
    if size is None:
        if not has_data:
            raise BadRequest(f"input {shown(item.name)} has neither data nor a binary_data_size")
        return None
    if type(size) is not int or size < 0:
        raise BadRequest(
            f"input {shown(item.name)} has the binary_data_size {shown(size)}, expected a number of bytes"
        )
    if has_data:
        raise BadRequest(f"input {shown(item.name)} has both data and a binary_data_size")
    return size


def _switch(parameters: dict[str, Any], name: str, whose: str, *, default: bool = False) -> bool:
    value = parameters.get(name, default)
    if type(value) is not bool:
        raise BadRequest(f"{whose} has the {name} {shown(value)}, expected true or false")
    return value


def _header_length(text: str, body_bytes: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= body_bytes):
        raise BadRequest(
            f"Inference-Header-Content-Length is {shown(text)}, expected a number up to {body_bytes}, the body's size"
        )
    return int(text)


def _no_request(head: bytes, error: Exception) -> BadRequest:
    why = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
    words = f"the body is no inference request: {why}"
    if b"NaN" in head or b"Infinity" in head:
        words += " (JSON has no NaN and no Infinity: send null for a missing number, or binary data)"
    return BadRequest(words)
