import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from fiat.errors import SpecError
from fiat.model.precheck import Caps, precheck_model

sys.path.insert(0, str(Path(__file__).parent))
import onnx_graphs as graphs


def refused(made: Any, path: Path, caps: Caps | None = None) -> str:
    with pytest.raises(SpecError) as caught:
        precheck_model(graphs.write(made, path), caps)
    return str(caught.value)


def int64(name: str, *sizes: int) -> Any:
    return numpy_helper.from_array(np.array(sizes, np.int64), name)


def one(operator: str, inputs: list[str], *given: Any, **attributes: Any) -> Any:
    return graphs.model([helper.make_node(operator, inputs, ["y"], **attributes)], initializers=list(given))


def test_an_ordinary_model_passes(tmp_path: Path) -> None:
    precheck_model(graphs.write(graphs.scaling(), tmp_path / "m.onnx"))


def test_functions_of_its_own_pass_when_they_are_few(tmp_path: Path) -> None:
    precheck_model(graphs.write(graphs.chain_of_functions(20), tmp_path / "m.onnx"))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04K\x01.", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"m\.onnx is no ONNX model"):
        precheck_model(path)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.truncate(3 << 30)  # a hole: takes no room on the disk
    with pytest.raises(SpecError, match="3,221,225,472 bytes, more than 2,147,483,647"):
        precheck_model(path)


def test_operators_of_foreign_domains_are_named(tmp_path: Path) -> None:
    node = helper.make_node("Evil", ["x"], ["y"], domain="com.evil")
    assert "com.evil" in refused(graphs.model([node], domains=("com.evil",)), tmp_path / "a.onnx")
    inside = helper.make_graph([helper.make_node("Evil", ["x"], ["z"], domain="com.evil")], "g", [], [])
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inside, else_branch=inside)
    assert "com.evil" in refused(graphs.model([branch]), tmp_path / "b.onnx")


def test_graphs_nested_too_deep_are_refused(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])], "g", [], [graphs.value("z", ["n", 3])]
    )
    for _ in range(20):
        node = helper.make_node("If", ["c"], ["z"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([node], "g", [], [graphs.value("z", ["n", 3])])
        if len(graph.SerializeToString()) > 1 << 20:
            break
    assert "nested 3 deep" in refused(graphs.model(graph.node), tmp_path / "m.onnx", Caps(depth=2))


def test_more_nodes_than_the_cap_are_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["x"], [f"y{index}"]) for index in range(30)]
    assert "more than 20 nodes" in refused(graphs.model(nodes), tmp_path / "m.onnx", Caps(nodes=20))


def test_functions_that_multiply_are_refused_in_no_time(tmp_path: Path) -> None:
    message = refused(graphs.tree_of_functions(depth=12, calls=10), tmp_path / "m.onnx")
    assert "1,000,000,000,000 nodes once its functions are inlined" in message


def test_functions_that_call_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    made = graphs.chain_of_functions(3)
    made.functions[0].node[0].op_type, made.functions[0].node[0].domain = "f2", "own"
    assert "calls itself" in refused(made, tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "made",
    [
        one("ConstantOfShape", ["s"], int64("s", 100_000, 100_000)),
        one("Expand", ["x", "s"], int64("s", 100_000, 100_000)),
        one("Tile", ["x", "s"], int64("s", 1 << 20, 1 << 20)),
        one("Range", ["a", "b", "c"], int64("a", 0), int64("b", 1 << 40), int64("c", 1)),
        one("Pad", ["x", "s"], int64("s", 0, 0, 1 << 40, 0)),
        one("RandomNormal", [], shape=[100_000, 100_000]),
    ],
    ids=["ConstantOfShape", "Expand", "Tile", "Range", "Pad", "RandomNormal"],
)
def test_a_node_that_asks_for_gigabytes_is_refused(tmp_path: Path, made: Any) -> None:
    assert "GiB at once" in refused(made, tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "made",
    [
        one("Range", ["a", "b", "c"], int64("a", 100_000), int64("b", 200_000), int64("c", 1)),
        one("Pad", ["x", "s"], int64("s", 0, 0, 224, 224, 0, 0, 224, 224)),
        one("Expand", ["x", "s"], int64("s", 1, 3, 224, 224)),
    ],
    ids=["Range", "Pad", "Expand"],
)
def test_ordinary_sizes_pass(tmp_path: Path, made: Any) -> None:
    precheck_model(graphs.write(made, tmp_path / "m.onnx"))


def test_a_large_shape_is_found_wherever_it_stands(tmp_path: Path) -> None:
    node = helper.make_node("ConstantOfShape", ["s"], ["y"])
    big = int64("s", 100_000, 100_000)
    constant = helper.make_node("Constant", [], ["s"], value=big)
    opsets = [helper.make_opsetid("", graphs.OPSET)]
    function = helper.make_function("own", "f", ["a"], ["y"], [constant, node], opsets)
    call = helper.make_node("f", ["x"], ["y"], domain="own")
    made = graphs.model([call], functions=[function], domains=("own",))
    assert "GiB at once" in refused(made, tmp_path / "function.onnx")

    branch = helper.make_graph([node], "g", [], [graphs.value("y", [None, None])])
    inside = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    made = graphs.model([inside], initializers=[big])
    assert "GiB at once" in refused(made, tmp_path / "branch.onnx")


def test_external_data_is_found_wherever_it_stands(tmp_path: Path) -> None:
    tensor = graphs.external("w.bin").graph.initializer[0]
    node = helper.make_node("Constant", [], ["w"], value=tensor)
    opsets = [helper.make_opsetid("", graphs.OPSET)]
    function = helper.make_function("own", "f", ["a"], ["w"], [node], opsets)
    call = helper.make_node("f", ["x"], ["y"], domain="own")
    sparse = graphs.scaling()
    item = sparse.graph.sparse_initializer.add()
    item.values.CopyFrom(tensor)
    for name, made in {
        "initializer": graphs.external("w.bin"),
        "constant": graphs.model([node]),
        "function": graphs.model([call], functions=[function], domains=("own",)),
        "sparse": sparse,
    }.items():
        assert "in another file" in refused(made, tmp_path / f"{name}.onnx"), name


def test_damaged_bytes_are_refused_or_pass_but_never_raise_anything_else(tmp_path: Path) -> None:
    content = bytearray(graphs.bytes_of(graphs.chain_of_functions(3)))
    random = np.random.default_rng(0)
    path = tmp_path / "m.onnx"
    refusals = 0
    for _ in range(300):
        damaged = content.copy()
        for place in random.integers(0, len(content), 3):
            damaged[place] = random.integers(0, 256)
        path.write_bytes(damaged)
        try:
            precheck_model(path)
        except SpecError:
            refusals += 1
    assert refusals > 30


def test_texts_as_weights_pass(tmp_path: Path) -> None:
    words = helper.make_tensor("w", TensorProto.STRING, [2], [b"a", b"b"])
    made = graphs.model([helper.make_node("Identity", ["w"], ["y"])], initializers=[words])
    precheck_model(graphs.write(made, tmp_path / "m.onnx"))
