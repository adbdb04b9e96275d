import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from child_stage import Ended, Stage, table

HEAD = """
    import numpy as np
    import onnx
    from onnx import TensorProto as T
    from onnx import helper
    def model(nodes, inputs, outputs, stored=(), **domains):
        infos = [[helper.make_tensor_value_info(*item) for item in items] for items in (inputs, outputs)]
        graph = helper.make_graph(nodes, "g", *infos, initializer=list(stored))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    def ratio(first="a", second="b", kind=T.DOUBLE, rows=None):
        return model(
            [helper.make_node("Div", [first, second], ["ratio"])],
            [(first, kind, [rows, 1]), (second, kind, [rows, 1])],
            [("ratio", kind, [rows, 1])],
        )
    """


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def transform(stage: Stage, code: str, *columns: str, **params: Any) -> Ended:
    stage.module("work", HEAD + code)
    folder = stage.dataset(table(texts=True), "kind")
    return stage.run(
        "work:make",
        "transform",
        params=params,
        data="data.d",
        datasets={"data.d": str(folder)},
        inputs={"data.d": str(folder)},
        outputs={"graph": str(stage.work / "graph")},
        columns=list(columns),
    )


def run(stage: Stage, feed: dict[str, np.ndarray]) -> list[Any]:
    session = ort.InferenceSession(str(stage.work / "graph"), providers=["CPUExecutionProvider"])
    return session.run(None, feed)


MADE = {
    "model": "return ratio()",
    "bytes": "return ratio().SerializeToString()",
    "path": "onnx.save(ratio(), run.work_dir / 'ratio.onnx'); return run.work_dir / 'ratio.onnx'",
    "text": "onnx.save(ratio(), 'ratio.onnx'); return 'ratio.onnx'",
}


@pytest.mark.parametrize("body", MADE.values(), ids=MADE)
def test_a_model_its_bytes_or_its_path_become_the_graph(stage: Stage, body: str) -> None:
    ended = transform(stage, f"def make(run): {body}", "a", "b")
    assert (ended.code, ended.err) == (0, "")
    found = run(stage, {"a": np.array([[6.0]]), "b": np.array([[3.0]])})
    assert found[0].tolist() == [[2.0]]


def test_the_function_is_given_the_columns_of_the_train_split_as_they_are_served(stage: Stage) -> None:
    code = """
    def make(columns, data, params, shift):
        a, city = columns["a"], columns["city"]
        assert list(columns) == ["a", "city"]
        assert (a.shape, a.dtype) == ((40, 1), np.float64), (a.shape, a.dtype)
        assert np.array_equal(a[:, 0], data.train.columns["a"].reshape(-1))
        assert sorted(set(city[:, 0])) == ["Bonn", "Ulm"], set(city[:, 0])
        assert params.shift == shift == 3
        known = helper.make_tensor("known", T.STRING, [1], [b"Ulm"])
        mean = onnx.numpy_helper.from_array(np.array([a.mean()]), "mean")
        nodes = [helper.make_node("Equal", ["city", "known"], ["is_ulm"]), helper.make_node("Sub", ["a", "mean"], ["less"])]
        inputs = [("city", T.STRING, ["n", 1]), ("a", T.DOUBLE, ["n", 1])]
        made = model(nodes, inputs, [("is_ulm", T.BOOL, ["n", 1]), ("less", T.DOUBLE, ["n", 1])], [known, mean])
        made.opset_import[0].version = 19
        return made
    """
    ended = transform(stage, code, "a", "city", shift=3)
    assert (ended.code, ended.err) == (0, "")
    texts = np.array([["Ulm"], [""]], object)
    assert run(stage, {"a": np.zeros((2, 1)), "city": texts})[0].tolist() == [[True], [False]]


def test_a_model_of_float32_is_fine(stage: Stage) -> None:
    ended = transform(stage, "def make(): return ratio(kind=T.FLOAT)", "a", "b")
    assert (ended.code, ended.err) == (0, "")


def test_doc_strings_and_metadata_are_taken_out(stage: Stage) -> None:
    code = """
    def make():
        made = ratio()
        made.doc_string = made.graph.doc_string = made.graph.node[0].doc_string = "made at noon in /home/me"
        made.metadata_props.add(key="k", value="noon")
        return made
    """
    assert transform(stage, code, "a", "b").code == 0
    assert b"noon" not in (stage.work / "graph").read_bytes()


EXTERNAL = """
    def make(run):
        big = onnx.numpy_helper.from_array(np.zeros((1, 1)), "big")
        node = helper.make_node("Add", ["a", "big"], ["y"])
        made = model([node], [("a", T.DOUBLE, ["n", 1])], [("y", T.DOUBLE, ["n", 1])], [big])
        onnx.save(made, run.work_dir / "x.onnx", save_as_external_data=True, size_threshold=0, location="x.bin")
        return run.work_dir / "x.onnx"
    """
UNKNOWN = """
    def make():
        return model([helper.make_node("Ad", ["a", "a"], ["y"])], [("a", T.DOUBLE, ["n", 1])], [("y", T.DOUBLE, ["n", 1])])
    """
FOREIGN = """
    def make():
        node = helper.make_node("Odd", ["a"], ["y"], domain="my.own")
        made = model([node], [("a", T.DOUBLE, ["n", 1])], [("y", T.DOUBLE, ["n", 1])])
        made.opset_import.add(domain="my.own", version=1)
        return made
    """
WHOLE = """
    def make():
        node = helper.make_node("ReduceMean", ["a"], ["y"], keepdims=0)
        return model([node], [("a", T.DOUBLE, ["n", 1])], [("y", T.DOUBLE, [])])
    """
WRONG = {
    "nothing": ("def make(): pass", ["a", "b"], "work:make returned nothing (expected an onnx.ModelProto"),
    "no model": ("def make(): return 3", ["a"], "work:make returned int"),
    "no onnx": ("def make(): return b'x' * 99", ["a"], "no ONNX model"),
    "no file": ("def make(): return 'gone.onnx'", ["a"], "gone.onnx, which can't be read: No such file"),
    "other inputs": (
        "def make(): return ratio('a', 'c')",
        ["a", "b"],
        "takes a, c, expected the columns a, b",
    ),
    "an input too few": (
        "def make(): return ratio()",
        ["a", "b", "city"],
        "takes a, b, expected the columns a, b, city",
    ),
    "texts as numbers": (
        "def make(): return ratio('a', 'city')",
        ["a", "city"],
        "'city' of the ONNX model is float64",
    ),
    "fixed rows": ("def make(): return ratio(rows=4)", ["a", "b"], "no tensor with any number of rows"),
    "other file": (EXTERNAL, ["a"], "keeps the data of big in another file"),
    "unknown operator": (UNKNOWN, ["a"], "Ad"),
    "foreign operator": (FOREIGN, ["a"], "needs operators of my.own"),
    "not a row each": (WHOLE, ["a"], "'y' of the ONNX model has the shape ()"),
    "no feature": ("def make(): return ratio('a', 'kind')", ["a", "kind"], "'kind' is no feature column"),
    "no column": ("def make(): return ratio('a', 'x')", ["a", "x"], "'x' is no feature column"),
    "asks for more": ("def make(colums): pass", ["a"], "did you mean `columns`?"),
}


@pytest.mark.parametrize(("code", "columns", "said"), WRONG.values(), ids=WRONG)
def test_what_can_not_be_used_is_refused_with_a_sentence(
    stage: Stage, code: str, columns: list[str], said: str
) -> None:
    ended = transform(stage, f"\n    {code.strip()}\n", *columns)
    assert ended.code == 1
    assert ended.result is not None
    assert said in ended.result["error"]["message"], ended.err
    assert ended.result["error"]["type"] == "SpecError", ended.err
    assert "Traceback" not in ended.err


def test_an_error_of_the_function_is_placed_at_its_line(stage: Stage) -> None:
    ended = transform(stage, "\n    def make(columns):\n        return columns['c']\n", "a")
    assert ended.result is not None
    assert ended.result["error"]["type"] == "KeyError"
    assert ended.result["error"]["file"].endswith("work.py")
