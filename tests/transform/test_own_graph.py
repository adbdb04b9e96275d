import sys
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import parser

sys.path.insert(0, str(Path(__file__).parent))
from whole_path import WholePath

from fiat.errors import SpecError
from fiat.transform.distinct import DistinctRunner
from fiat.transform.fit import fit_transforms
from fiat.transform.model import Entry, Fitted

ROWS = pa.table(
    {
        "width": [1.0, 2.0, None, 4.0],
        "height": [10, 20, 30, 40],
        "city": ["Rome", None, "Oslo", "rome"],
        "image": pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(16, dtype=np.uint8).reshape(4, 2, 2)),
    }
)
AREA = (
    '<ir_version: 8, opset_import: ["" : 17]> m (double[n,1] width, float[n] height) => (double[n,1] area) '
    "{ axes = Constant<value_ints=[1]>() tall = Unsqueeze(height, axes) wide = Cast<to=11>(tall) "
    "area = Mul(width, wide) }"
)
TOO_MANY = (
    '<ir_version: 8, opset_import: ["" : 17]> m (double[n,1] width, double[n,1] height) => (double[k] sum) '
    "{ sum2 = Concat<axis=0>(width, height) flat = Constant<value_ints=[-1]>() sum = Reshape(sum2, flat) }"
)


def graph(text: str) -> bytes:
    content: bytes = parser.parse_model(text).SerializeToString()
    return content


def fitted_with(text: str | bytes, *columns: str) -> Fitted:
    content = text if isinstance(text, bytes) else graph(text)
    return fit_transforms(ROWS, columns, [Entry(columns, graph=content, key="transform[0]")])


def run(fitted: Fitted) -> dict[str, np.ndarray]:
    return DistinctRunner(fitted).run(ROWS.combine_chunks().to_batches()[0])


def test_a_graph_of_the_users_is_given_columns_of_the_types_that_it_declares() -> None:
    fitted = fitted_with(AREA, "width", "height")
    assert fitted.outputs[0].names == ("area",)
    np.testing.assert_array_equal(run(fitted)["features"], [[10], [40], [np.nan], [160]])


def test_its_numbers_texts_and_tensors_leave_as_what_they_are() -> None:
    text = (
        '<ir_version: 9, opset_import: ["" : 20, "ai.onnx.ml" : 3]> '
        "m (string[n,1] city, uint8[n,2,2] image) => "
        "(float[n,2] pair, int64[n] code, string[n,1] again, float[n,2,2] half, bool[n,1] there) "
        '{ code2 = ai.onnx.ml.LabelEncoder<keys_strings = ["Rome"], values_int64s = [7], default_int64 = 0>(city) '
        "flat = Constant<value_ints=[-1]>() code = Reshape(code2, flat) again = Identity(city) "
        "two = Constant<value_float=0.5>() pixels = Cast<to=1>(image) half = Mul(pixels, two) "
        "number = Cast<to=1>(code2) pair = Concat<axis=1>(number, number) there = Cast<to=9>(code2) }"
    )
    fitted = fitted_with(text, "city", "image")
    assert [(item.name, item.dtype, item.shape) for item in fitted.outputs] == [
        ("features", "float32", (4,)),
        ("again", "string", (1,)),
        ("half", "float32", (2, 2)),
    ]
    assert fitted.outputs[0].names == ("pair[0]", "pair[1]", "code", "there")
    found = run(fitted)
    assert found["features"].tolist() == [[7, 7, 7, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert found["again"].reshape(-1).tolist() == ["Rome", "", "Oslo", "rome"]
    np.testing.assert_array_equal(found["half"], np.arange(16).reshape(4, 2, 2) / 2)


def test_it_goes_the_whole_path_beside_other_entries(tmp_path: Path) -> None:
    entries = [
        Entry(("width", "height"), graph=graph(AREA), key="transform[0]"),
        Entry(("width",), (("impute", {"by": "mean"}), ("standardize", True)), key="transform[1]"),
    ]
    table = ROWS.select(["width", "height"])
    path = WholePath(tmp_path, table, table, entries)
    path.check()
    assert path.fitted.outputs[0].names == ("area", "width")


def test_newer_operators_than_ours_are_taken() -> None:
    newer = AREA.replace('"" : 17', '"" : 22')
    fitted = fitted_with(newer, "width", "height")
    np.testing.assert_array_equal(run(fitted)["features"], [[10], [40], [np.nan], [160]])
    assert {item.domain: item.version for item in onnx.ModelProto.FromString(fitted.graph).opset_import} == {
        "": 22
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\x80\x04", "what the function returned is no ONNX model"),
        (AREA.replace("width", "breadth"), "takes breadth, height, expected the columns width, height"),
        (
            AREA.replace("float[n] height", "float[4] height"),
            "'height' of the ONNX model is no tensor with any",
        ),
        (AREA.replace("double[n,1] width", "string[n,1] width"), "is string, but the column holds numbers"),
        (
            AREA.replace('"" : 17', '"" : 17, "evil" : 1').replace("area = Mul", "area = evil.Mul"),
            "needs operators of evil",
        ),
        (
            TOO_MANY,
            r"'sum' of the ONNX model has the shape \(8,\) for 4 rows",
        ),
    ],
)
def test_a_graph_that_can_not_stand_there_is_told_why_with_its_key(text: str | bytes, message: str) -> None:
    with pytest.raises(SpecError, match=r"transform\[0\]: .*" + message):
        fitted_with(text, "width", "height")
