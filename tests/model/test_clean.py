import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import helper

from fiat.model.clean import clean_graph

sys.path.insert(0, str(Path(__file__).parent))
import onnx_graphs as graphs


def test_notes_of_where_and_when_are_taken_out_and_the_model_stays(tmp_path: Path) -> None:
    made = graphs.scaling()
    made.doc_string = "made in /home/somebody"
    made.producer_version = "1.2.3"
    made.metadata_props.add(key="date", value="today")
    made.graph.doc_string = made.graph.node[0].doc_string = made.graph.input[0].doc_string = "/home/somebody"
    made.graph.node[0].metadata_props.add(key="stack", value="/home/somebody/net.py:3")
    path = graphs.write(made, tmp_path / "m.onnx")
    clean_graph(path)
    content = path.read_bytes()
    assert b"somebody" not in content
    assert b"today" not in content
    assert b"1.2.3" not in content
    (found,) = ort.InferenceSession(str(path)).run(None, {"x": np.ones((2, 3), np.float32)})
    assert found.tolist() == [[2.0] * 3] * 2
    assert not list(tmp_path.glob("*.part"))


def test_graphs_inside_nodes_and_functions_are_cleaned_too(tmp_path: Path) -> None:
    inner = helper.make_node("Identity", ["x"], ["z"], doc_string="/home/somebody")
    branch = helper.make_graph([inner], "g", [], [graphs.value("z", ["n", 3])], doc_string="/home/somebody")
    made = graphs.model([helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)])
    opsets = [helper.make_opsetid("", graphs.OPSET)]
    function = helper.make_function("own", "f", ["x"], ["z"], [inner], opsets, doc_string="/home/somebody")
    made.functions.append(function)
    path = graphs.write(made, tmp_path / "m.onnx")
    clean_graph(path)
    assert b"somebody" not in path.read_bytes()


def test_cleaning_twice_changes_nothing(tmp_path: Path) -> None:
    path = graphs.write(graphs.chain_of_functions(3), tmp_path / "m.onnx")
    clean_graph(path)
    once = path.read_bytes()
    clean_graph(path)
    assert path.read_bytes() == once
