"""Specs that cost next to nothing, for tests of everything around a run."""

import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper

STEPS = """\
fiat: 1
name: {name}
{head}steps:
  a: {{run: {run}, out: {{o: file}}, code: [{code}]{more}}}
"""
JUDGED = """\
fiat: 1
name: {name}
{head}data: {{rows: {{source: {{path: {folder}rows.csv}}, label: y, split: {{train: 1, test: 1, key: id}}}}}}
train: {{run: "cp {folder}{by}.onnx {{out.model}}", code: ["{folder}*.onnx"]}}
evaluate: {{metrics: [mae, rmse]}}
gates:
  - {{metric: mae, max: {limit}}}
deploy:
  shelf: {{to: directory, path: models}}
"""


def tiny(
    word: str = "hi",
    *,
    name: str = "tiny",
    run: str = "echo {word} > {{out.o}}",
    head: str = "",
    code: str = "",
    more: str = "",
) -> str:
    """A spec of one step.

    Args:
        word: makes the step another one.
        name: of the spec.
        run: its command, where `{word}` is the word.
        head: lines of further sections.
        code: pattern of the files that are its code.
        more: further keys of the step, starting with a comma.
    """
    return STEPS.format(name=name, head=head, run=json.dumps(run.format(word=word)), code=code, more=more)


def judged(by: int, limit: float, *, name: str = "scale", head: str = "", gates: str = "") -> str:
    """A spec whose model multiplies by a number: it is copied, judged and deployed; 1 is the right number.

    Args:
        by: the number; its model is laid down by `add_models`.
        limit: of the gate on the mean absolute error, which is 20 for the number 2 and 40 for 3, about.
        name: of the spec, whose folder is `specs/<name>`.
        head: lines of further sections.
        gates: lines of further gates.
    """
    text = JUDGED.format(name=name, head=head, folder=f"specs/{name}/", by=by, limit=limit)
    return text.replace("deploy:\n", f"{gates}deploy:\n")


def add_models(clone: Path, *factors: int, name: str = "scale") -> None:
    """Lay models and rows into a clone; the next commit has them."""
    folder = clone / "specs" / name
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath("rows.csv").write_text("id,x,y\n" + "".join(f"{n},{n}.5,{n}.5\n" for n in range(40)))
    for factor in factors:
        (folder / f"{factor}.onnx").write_bytes(_scaling(factor))


def deployed_factor(shelf: Path, name: str = "scale") -> float | None:
    """What the deployed model multiplies by; None while there is none."""
    path = shelf / "models" / name / "model.onnx"
    if not path.exists():
        return None
    (weight,) = onnx.load(str(path)).graph.initializer
    return float(onnx.numpy_helper.to_array(weight)[0])


def _scaling(factor: int) -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Mul", ["features", "factor"], ["y"])],
        "scale",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor("factor", TensorProto.FLOAT, [1], [float(factor)])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(made.SerializeToString())
