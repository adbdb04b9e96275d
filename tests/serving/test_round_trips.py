"""What a client nobody here wrote sends is understood, and what we answer is what it reads: tritonclient's own code."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult

from fiat.serving.decode import InferDecoder
from fiat.serving.encode import InferEncoder
from fiat.serving.requests import InferRequest, RequestedOutput
from fiat.serving.tensors import DATATYPES
from tests.serving.request_stage import message, model, read, tensor

SHAPES = hn.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@st.composite
def arrays(draw: st.DrawFn, datatype: str, *, finite: bool = False) -> Any:
    dtype, shape = DATATYPES[datatype], draw(SHAPES)
    if datatype == "BYTES":
        count = int(np.prod(shape))
        flat = np.empty(count, object)
        flat[:] = draw(st.lists(TEXTS, min_size=count, max_size=count))
        return flat.reshape(shape)
    more = {"allow_nan": False, "allow_infinity": False} if finite and dtype.kind == "f" else {}
    return draw(hn.arrays(dtype, shape, elements=hn.from_dtype(dtype, **more)))


def model_for(datatype: str, array: Any) -> Any:
    shape = (-1,) * array.ndim
    return model(("x", datatype, shape), outputs=[("y", datatype, shape)])


def same(found: Any, expected: Any) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("datatype", DATATYPES)
@given(st.data(), st.booleans(), st.booleans())
@settings(max_examples=30, deadline=None)
def test_what_tritonclient_sends_is_what_is_read(
    datatype: str, data: st.DataObject, binary: bool, ask: bool
) -> None:
    # tritonclient refuses to send FP16 as JSON, and JSON has no NaN.
    binary = binary or datatype == "FP16"
    array = data.draw(arrays(datatype, finite=not binary))
    item = InferInput("x", list(array.shape), datatype)
    item.set_data_from_numpy(array, binary_data=binary)
    outputs = [InferRequestedOutput("y", binary_data=binary)] if ask else None
    body, length = InferenceServerClient.generate_request_body([item], outputs=outputs, request_id="7")
    found = read(bytes(body), model_for(datatype, array), None if length is None else str(length))
    same(found.inputs["x"], array)
    assert found.id == "7"
    assert found.n_rows == array.shape[0]
    if ask:
        assert found.outputs == (RequestedOutput("y", binary),)
    else:
        assert found.outputs is None
        assert found.binary_output


@pytest.mark.parametrize("datatype", DATATYPES)
@given(st.data(), st.booleans())
@settings(max_examples=30, deadline=None)
def test_what_is_answered_is_what_tritonclient_reads(
    datatype: str, data: st.DataObject, binary: bool
) -> None:
    array = data.draw(arrays(datatype, finite=not binary))
    info = model_for(datatype, array)
    asked = InferRequest("7", {}, len(array), (RequestedOutput("y", binary),))
    body, length = InferEncoder(info, "2").write(asked, {"y": array})
    result = InferResult.from_response_body(body, header_length=length)
    found = result.as_numpy("y")
    assert result.get_response()["id"] == "7"
    if datatype == "BYTES":
        texts = [item.decode() if isinstance(item, bytes) else item for item in found.reshape(-1)]
        assert texts == array.reshape(-1).tolist()
        assert found.shape == array.shape
    elif array.size:
        same(found, array)
    else:
        assert found.shape == array.shape  # an empty array of bytes it makes FP64, whatever it is


@pytest.mark.parametrize("datatype", DATATYPES)
@given(st.data(), st.booleans())
@settings(max_examples=30, deadline=None)
def test_json_is_read_alike_however_it_is_nested(datatype: str, data: st.DataObject, careful: bool) -> None:
    array = data.draw(arrays(datatype, finite=True))
    more = {"outputs": []} if careful else {}
    for lists in (array.reshape(-1).tolist(), array.tolist()):
        body = message(tensor("x", datatype, array.shape, lists), **more)
        same(read(body, model_for(datatype, array)).inputs["x"], array)


@pytest.mark.parametrize("datatype", DATATYPES)
@given(st.data(), st.booleans())
@settings(max_examples=20, deadline=None)
def test_an_answer_can_be_sent_back_as_a_request(datatype: str, data: st.DataObject, binary: bool) -> None:
    array = data.draw(arrays(datatype))
    shape = (-1,) * array.ndim
    info = model(("y", datatype, shape), outputs=[("y", datatype, shape)])
    asked = InferRequest(None, {}, len(array), binary_output=binary)
    body, length = InferEncoder(info, "1").write(asked, {"y": array})
    head, tail = body[:length], body[length:] if length is not None else b""
    text = json.dumps({"inputs": json.loads(head)["outputs"]}).encode()
    found = InferDecoder(info).read(text + tail, str(len(text))).inputs["y"]
    if array.dtype.kind == "f" and not binary:
        array = np.where(np.isfinite(array), array, np.nan).astype(array.dtype)
    same(found, array)
