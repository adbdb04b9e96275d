import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from fiat.transform.graph import Graph


def made(graph: Graph, *tensors: str, given: str = "x") -> onnx.ModelProto:
    outputs = [
        (tensor, helper.make_tensor_value_info(f"out{place}", TensorProto.DOUBLE, None))
        for place, tensor in enumerate(tensors)
    ]
    return graph.model([helper.make_tensor_value_info(given, TensorProto.DOUBLE, [None, 1])], outputs)


def test_the_same_constant_is_stored_once_and_others_are_not_taken_for_it() -> None:
    graph = Graph()
    assert graph.constant([1.0, 2.0]) == graph.constant(np.array([1.0, 2.0]))
    assert graph.constant([1.0]) != graph.constant(1.0)
    assert graph.constant([1.0]) != graph.constant([1.0], "float32")
    assert graph.constant(["a", "b"], "string") == graph.constant(["a", "b"], "string")
    assert graph.constant(["a\0b", "c"], "string") != graph.constant(["a", "b\0c"], "string")


def test_what_leads_to_no_output_is_left_out() -> None:
    graph = Graph()
    used = graph.add("Add", "x", graph.constant([1.0]))
    graph.add("Mul", used, graph.constant([2.0]))
    graph.add("LabelEncoder", "x", domain="ai.onnx.ml", keys_floats=[1.0], values_floats=[2.0])
    model = made(graph, used)
    assert [node.op_type for node in model.graph.node] == ["Add", "Identity"]
    assert len(model.graph.initializer) == 1
    assert [item.domain for item in model.opset_import] == [""]


def test_another_graph_is_added_under_names_of_its_own() -> None:
    graph = Graph()
    once = graph.add("Neg", "x")
    inner = made(Graph(), "fiat.1.Neg").graph
    inner.node.insert(0, helper.make_node("Neg", ["x"], ["fiat.1.Neg"]))
    found = graph.include(inner, {"": 20}, {"x": once})
    model = made(graph, found["out0"])
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.array([[3.0]])})[0].tolist() == [[3.0]]
    names = [name for node in model.graph.node for name in node.output]
    assert len(set(names)) == len(names) == 4
