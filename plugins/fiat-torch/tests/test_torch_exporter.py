import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from fiat.errors import SpecError
from fiat.ports.exporter import Exporter, ExportRequest
from fiat.testing.exporter_suite import ExporterSuite
from fiat_torch.exporter import TorchExporter

sys.path.insert(0, str(Path(__file__).parent))
import torch_nets as nets

RANDOM = np.random.default_rng(0)
FLOATS = {"x": RANDOM.normal(size=(20, 8)).astype(np.float32)}


class TorchSuite(ExporterSuite):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return TorchExporter()

    @pytest.fixture
    def rows(self) -> Mapping[str, np.ndarray]:
        return FLOATS


class TestAnImageNet(TorchSuite):
    @pytest.fixture
    def model(self) -> Any:
        torch.manual_seed(0)
        model = nets.Image()
        model.train()
        model(torch.from_numpy(RANDOM.integers(0, 255, (16, 8, 8)).astype(np.uint8)))
        return model

    @pytest.fixture
    def rows(self) -> Mapping[str, np.ndarray]:
        return {"image": RANDOM.integers(0, 255, (20, 8, 8)).astype(np.uint8)}


class TestInputsByName(TorchSuite):
    @pytest.fixture
    def model(self) -> Any:
        return nets.Columns()

    @pytest.fixture
    def rows(self) -> Mapping[str, np.ndarray]:
        return {name: RANDOM.normal(size=(20, 1)).astype(np.float32) for name in "ab"}


class TestSeveralOutputs(TorchSuite):
    @pytest.fixture
    def model(self) -> Any:
        return nets.Recurrent()


class TestAttention(TorchSuite):
    @pytest.fixture
    def model(self) -> Any:
        return nets.Attention()


class TestWholeNumbers(TorchSuite):
    @pytest.fixture
    def model(self) -> Any:
        return nets.Words()

    @pytest.fixture
    def rows(self) -> Mapping[str, np.ndarray]:
        return {"ids": RANDOM.integers(0, 50, (20, 6))}


def export(model: nn.Module, folder: Path, opset: int | None = None, sample: Any = None) -> Any:
    path = folder / "model.onnx"
    sample = {name: array[:4] for name, array in (sample or FLOATS).items()}
    TorchExporter().export(model, ExportRequest(path, sample, opset, ()))
    return onnx.load(str(path))


def outputs(model: nn.Module, inputs: Mapping[str, np.ndarray] = FLOATS) -> list[str]:
    return list(TorchExporter().predict(model, inputs))


def test_it_is_found_by_its_entry_point() -> None:
    (point,) = entry_points(group="fiat.exporter", name="torch")
    assert point.load() is TorchExporter


def test_outputs_are_named_by_what_forward_returns() -> None:
    assert outputs(nn.Linear(8, 2)) == ["output"]
    assert outputs(nets.Recurrent()) == ["output_0", "output_1"]
    assert outputs(nets.Named()) == ["left", "right"]
    columns = dict.fromkeys("ab", FLOATS["x"][:, :1])
    assert outputs(nets.Columns(), columns) == ["scores", "label"]


def test_inputs_go_in_order_when_forward_names_none_of_them() -> None:
    inputs = {"first": np.zeros((2, 1), np.float32), "second": np.ones((2, 1), np.float32)}
    found = TorchExporter().predict(nets.Named(), inputs)
    assert (found["left"].tolist(), found["right"].tolist()) == ([[1.0], [1.0]], [[0.0], [0.0]])


def test_the_opset_is_the_one_asked_for(tmp_path: Path) -> None:
    assert export(nn.Linear(8, 2), tmp_path, 18).opset_import[0].version == 18
    assert export(nn.Linear(8, 2), tmp_path, 21).opset_import[0].version == 21


def test_an_opset_that_is_too_old_is_refused_with_one_that_does(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"needs opset 18, the spec asks for 12 \(set export.opset to 18"):
        export(nn.Linear(8, 2), tmp_path, 12)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    export(nets.Image(), tmp_path, sample={"image": np.zeros((4, 8, 8), np.uint8)})
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            nets.ByValue(),
            r"forward goes another way for other values.*\(torch_nets\.py:\d+: if x\.sum\(\) > 0:\)",
        ),
        (nets.ByNumber(), r"forward goes another way for other values.*width = int\(x\.max\(\)\)"),
        (nets.ByRows(), "forward works for some numbers of rows only"),
        (nets.FixedRows(), "forward works for some numbers of rows only"),
        (nets.NoOperator(), r"ONNX has nothing for the operator prims\.bessel_i0e"),
        (nets.ThroughNumpy(), r"forward can't be traced.*x\.numpy\(\)"),
        (nets.Columns(), r"forward\(b.*\) -> .* doesn't take the inputs x"),
        (nets.Returns("nothing"), "forward returned nothing"),
        (nets.Returns("number"), "forward returned a int"),
        (nets.Returns("empty"), "forward returned nothing"),
        (nets.Returns("nested"), "forward returned a list as output_1"),
        (nets.Returns("bfloat16"), r"forward returned output as torch\.bfloat16"),
    ],
    ids=lambda item: getattr(item, "what", type(item).__name__) if isinstance(item, nn.Module) else "",
)
def test_what_a_graph_cannot_say_is_named(tmp_path: Path, model: nn.Module, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        export(model, tmp_path)


def test_an_error_of_the_users_own_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        export(nn.Linear(3, 2), tmp_path)


def test_texts_are_refused_by_the_names_of_their_columns(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the columns city hold texts"):
        export(nn.Linear(1, 2), tmp_path, sample={"city": np.array([["Ulm"]] * 4, object)})


def test_a_class_inside_a_function_cannot_be_saved_and_the_hint_says_why(tmp_path: Path) -> None:
    class Local(nn.Module):
        pass

    with pytest.raises(SpecError, match=r"the Local can't be saved.*at the top level of a module"):
        TorchExporter().save(Local(), tmp_path)


def test_what_is_no_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a OrderedDict is no module"):
        TorchExporter().save(nn.Linear(2, 2).state_dict(), tmp_path)


def test_wrappers_are_taken_off(tmp_path: Path) -> None:
    plain = nn.Linear(8, 2)
    for wrapped in (torch.compile(plain), nn.DataParallel(plain)):
        TorchExporter().save(wrapped, tmp_path)
        assert type(TorchExporter().load(tmp_path)) is nn.Linear


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    model = nets.Image()
    saved = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        TorchExporter().save(model, tmp_path / name)
        saved.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert saved[0] == saved[1]
