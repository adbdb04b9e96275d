"""Models that attack whoever loads them: refused by what they are, before any runtime sees them."""

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from fiat.errors import SpecError
from fiat.model.precheck import precheck_model
from fiat.model.probe import probe_model

sys.path.insert(0, str(Path(__file__).parents[1] / "model"))
import onnx_graphs as graphs
from onnx import AttributeProto, SparseTensorProto, TensorProto, helper, numpy_helper


class Payload:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.canary,)


def refusal(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        precheck_model(path)
    return str(caught.value)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "weights.bin", "a/../../b"])
def test_weights_in_another_file_are_refused_wherever_it_lies(tmp_path: Path, location: str) -> None:
    (tmp_path / "weights.bin").write_bytes(np.ones(3, np.float32).tobytes())
    assert "in another file" in refusal(graphs.write(graphs.external(location), tmp_path / "m.onnx"))


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    real = graphs.write(graphs.scaling(), tmp_path / "real.onnx")
    link = tmp_path / "m.onnx"
    link.symlink_to(real)
    assert "can't be opened" in refusal(link)


def test_a_hard_link_is_refused_and_so_is_the_file_behind_it(tmp_path: Path) -> None:
    real = graphs.write(graphs.scaling(), tmp_path / "real.onnx")
    link = tmp_path / "m.onnx"
    os.link(real, link)
    assert "no plain file of its own" in refusal(link)
    assert "no plain file of its own" in refusal(real)


def test_a_folder_a_pipe_and_a_device_are_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.onnx"
    os.mkfifo(pipe)
    code = (
        "import sys; from pathlib import Path\n"
        "from fiat.errors import SpecError\n"
        "from fiat.model.precheck import precheck_model\n"
        "for name in sys.argv[1:]:\n"
        "    try: precheck_model(Path(name))\n"
        "    except SpecError as error: print(error)\n"
    )
    names = [str(tmp_path), str(pipe), "/dev/zero"]
    done = subprocess.run(
        [sys.executable, "-c", code, *names], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("no plain file of its own") == 3


def test_a_chain_of_three_thousand_functions_is_refused_in_less_than_two_seconds(tmp_path: Path) -> None:
    path = graphs.write(graphs.chain_of_functions(3000), tmp_path / "m.onnx")
    started = time.monotonic()
    assert "3000 functions" in refusal(path)
    assert time.monotonic() - started < 2


def test_forty_gigabytes_of_a_constant_are_refused(tmp_path: Path) -> None:
    path = graphs.write(graphs.huge_constant(), tmp_path / "m.onnx")
    assert path.stat().st_size < 300
    assert "asks for 37 GiB at once" in refusal(path)


def test_a_pickle_with_another_name_is_refused_and_not_opened(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = tmp_path / "m.onnx"
    path.write_bytes(pickle.dumps(Payload(canary)))
    assert "pickles and archives are never loaded" in refusal(path)
    assert not canary.exists()
    pickle.loads(path.read_bytes())
    assert canary.exists()  # the payload is a real one


def test_a_library_of_operators_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("Anything", ["x"], ["y"], domain="ai.onnx.contrib")
    path = graphs.write(graphs.model([node], domains=("ai.onnx.contrib",)), tmp_path / "m.onnx")
    assert "needs operators of ai.onnx.contrib" in refusal(path)


def weight(name: str = "", location: str = "") -> Any:
    """Three ones; with a location: whatever three numbers lie there."""
    tensor = numpy_helper.from_array(np.ones(3, np.float32), name)
    if location:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
    return tensor


def sparse_constant() -> Any:
    value = SparseTensorProto(dims=[3])
    value.values.CopyFrom(weight(location="secret.bin"))
    value.indices.CopyFrom(numpy_helper.from_array(np.arange(3)))
    constant = helper.make_node("Constant", [], ["w"], sparse_value=value)
    return graphs.model([constant, helper.make_node("Mul", ["x", "w"], ["y"])])


def default_of_a_function() -> Any:
    constant = helper.make_node("Constant", [], ["w"])
    constant.attribute.add(name="value", ref_attr_name="v", type=AttributeProto.TENSOR)
    nodes = [constant, helper.make_node("Mul", ["a", "w"], ["b"])]
    opsets = [helper.make_opsetid("", graphs.OPSET), helper.make_opsetid("own", 1)]
    function = helper.make_function("own", "f", ["a"], ["b"], nodes, opsets)
    function.attribute_proto.add(name="v", type=AttributeProto.TENSOR).t.CopyFrom(weight("", "secret.bin"))
    call = helper.make_node("f", ["x"], ["y"], domain="own")
    return graphs.model([call], functions=[function], domains=("own",))


def behind_a_tensor_of_the_same_name() -> Any:
    def branch(tensor: Any, out: str) -> Any:
        node = helper.make_node("Identity", [tensor.name], [out])
        return helper.make_graph([node], out, [], [graphs.value(out, [3])], [tensor])

    harmless, hostile = branch(weight("k"), "o1"), branch(weight("k", "secret.bin"), "o2")
    choice = helper.make_node("If", ["c"], ["w"], then_branch=harmless, else_branch=hostile)
    never = numpy_helper.from_array(np.array(False), "c")
    return graphs.model([choice, helper.make_node("Mul", ["x", "w"], ["y"])], initializers=[never])


@pytest.mark.parametrize("make", [sparse_constant, default_of_a_function, behind_a_tensor_of_the_same_name])
def test_weights_in_another_file_cannot_be_hidden_from_the_check(tmp_path: Path, make: Any) -> None:
    (tmp_path / "secret.bin").write_bytes(np.array([41, 42, 43], np.float32).tobytes())
    path = graphs.write(make(), tmp_path / "m.onnx")
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (read,) = session.run(None, {"x": np.ones((1, 3), np.float32)})
    assert read.tolist() == [[41, 42, 43]]  # the attack is a real one: the runtime reads the file
    assert "in another file" in refusal(path)


def test_forty_gigabytes_cannot_be_hidden_behind_a_small_constant_of_the_same_name(tmp_path: Path) -> None:
    made = graphs.huge_constant()
    made.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "shape"))
    assert "asks for 37 GiB at once" in refusal(graphs.write(made, tmp_path / "m.onnx"))


def test_forty_gigabytes_that_are_computed_on_the_way_end_in_a_process_of_little_memory(
    tmp_path: Path,
) -> None:
    made = graphs.huge_constant()
    made.graph.node[0].input[0] = "same"
    made.graph.node.insert(0, helper.make_node("Identity", ["shape"], ["same"]))
    path = graphs.write(made, tmp_path / "m.onnx")
    precheck_model(path)
    with pytest.raises(SpecError, match=r"onnxruntime can't use m\.onnx"):
        probe_model(path)
