"""Asks a server with KServe's client and prints what it read: `python kserve_asking.py URL`, where kserve is installed."""

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferOutput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput


def texts(output: InferOutput) -> Any:
    array = output.as_numpy()
    flat = [item.decode() if isinstance(item, bytes) else item for item in array.reshape(-1)]
    return np.array(flat, object).reshape(output.shape).tolist()


def given(name: str, datatype: str, array: Any, *, binary: bool) -> InferInput:
    item = InferInput(name, list(array.shape), datatype)
    item.set_data_from_numpy(array, binary_data=binary)
    return item


def request(model: str, inputs: list[InferInput], names: list[str], *, binary: bool) -> InferRequest:
    outputs = [RequestedOutput(name, {"binary_data": binary}) for name in names]
    return InferRequest(model, inputs, request_id="mine", request_outputs=outputs)


async def ask(url: str) -> dict[str, Any]:
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    found: dict[str, Any] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model_ready": await client.is_model_ready(url, "tiny"),
    }
    row = np.float32([[1, 2, 3]])
    for mode, binary in (("json", False), ("binary", True)):
        answer = await client.infer(
            url,
            request("tiny", [given("x", "FP32", row, binary=binary)], ["y", "label"], binary=binary),
            model_name="tiny",
        )
        y, label = answer.outputs
        found[mode] = {
            "id": answer.id,
            "model": answer.model_name,
            "y": y.as_numpy().tolist(),
            "label": texts(label),
        }
        inputs = [
            given("age", "FP64", np.array([[3.0], [-1.0]]), binary=binary),
            given("town", "BYTES", np.array([["Köln"], [""]], object), binary=binary),
        ]
        answer = await client.infer(
            url, request("table", inputs, ["label", "place"], binary=binary), model_name="table"
        )
        found[f"{mode}_table"] = {output.name: texts(output) for output in answer.outputs}
    try:
        await client.infer(
            url, request("tiny", [given("z", "FP32", row, binary=False)], [], binary=False), model_name="tiny"
        )
    except httpx.HTTPStatusError as error:
        found["refused"] = str(error)
    await client.close()
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(ask(sys.argv[1]))))
