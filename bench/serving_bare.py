"""The least that a server can do: an ASGI app that decodes, runs the session, and encodes. Nothing is checked or counted.

python bench/serving_bare.py MODEL.onnx PORT
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort
import orjson
import uvicorn
import uvloop

Message = dict[str, Any]


class Input(msgspec.Struct):
    """An input of a request."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float] | None = None


class Body(msgspec.Struct):
    """A request."""

    inputs: list[Input]


class BareApp:
    """The app."""

    def __init__(self, path: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = [item.name for item in self.session.get_outputs()]
        self.decode = msgspec.json.Decoder(Body).decode

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer any request as one for the model."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        length = dict(scope["headers"]).get(b"inference-header-content-length")
        if length is None:
            content, extra = self.json(body), []
        else:
            content, head = self.binary(body, int(length))
            extra = [(b"inference-header-content-length", b"%d" % head)]
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
            *extra,
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def json(self, body: bytes) -> bytes:
        """Answer JSON."""
        found = self.decode(body).inputs[0]
        array = np.array(found.data, np.float32).reshape(found.shape)
        outputs = self.session.run(self.names, {found.name: array})
        return orjson.dumps(
            {
                "model_name": "bare",
                "outputs": [
                    {
                        "name": name,
                        "datatype": "FP32",
                        "shape": list(output.shape),
                        "data": output.reshape(-1),
                    }
                    for name, output in zip(self.names, outputs, strict=True)
                ],
            },
            option=orjson.OPT_SERIALIZE_NUMPY,
        )

    def binary(self, body: bytes, length: int) -> tuple[bytes, int]:
        """Answer binary data with binary data."""
        found = self.decode(body[:length]).inputs[0]
        array = np.frombuffer(body, np.float32, offset=length).reshape(found.shape)
        outputs = self.session.run(self.names, {found.name: array})
        head = orjson.dumps(
            {
                "model_name": "bare",
                "outputs": [
                    {
                        "name": name,
                        "datatype": "FP32",
                        "shape": list(output.shape),
                        "parameters": {"binary_data_size": output.nbytes},
                    }
                    for name, output in zip(self.names, outputs, strict=True)
                ],
            }
        )
        return head + b"".join(output.tobytes() for output in outputs), len(head)


async def serve(path: str, port: int) -> None:
    """Serve until SIGTERM."""
    config = uvicorn.Config(
        BareApp(path),
        host="127.0.0.1",
        port=port,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1], int(sys.argv[2])))
