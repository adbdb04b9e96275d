import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fiat.builtin.exporter_onnx import OnnxExporter
from fiat.errors import SpecError
from fiat.ports.exporter import Exporter, ExportRequest
from fiat.testing.exporter_suite import ExporterSuite

sys.path.insert(0, str(Path(__file__).parent.parent / "model"))
import onnx_graphs as graphs


class TestAModelInMemory(ExporterSuite):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return OnnxExporter()

    @pytest.fixture
    def model(self) -> Any:
        return graphs.scaling()

    @pytest.fixture
    def rows(self) -> Mapping[str, np.ndarray]:
        return {"x": np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)}


class TestAFile(TestAModelInMemory):
    @pytest.fixture
    def model(self, tmp_path_factory: pytest.TempPathFactory) -> Any:
        return graphs.write(graphs.scaling(3.0), tmp_path_factory.mktemp("model") / "any.onnx")


def test_the_only_onnx_file_of_a_folder_is_found_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    graphs.write(graphs.scaling(), tmp_path / "deep" / "net.onnx")
    (tmp_path / "notes.txt").write_text("x")
    assert OnnxExporter().load(tmp_path) == graphs.bytes_of(graphs.scaling())


@pytest.mark.parametrize("count", [0, 2])
def test_none_or_several_files_are_refused(tmp_path: Path, count: int) -> None:
    for index in range(count):
        graphs.write(graphs.scaling(), tmp_path / f"{index}.onnx")
    with pytest.raises(SpecError, match=f"a folder with {count} ONNX files, expected one"):
        OnnxExporter().load(tmp_path)


def test_the_opset_of_the_file_stays(tmp_path: Path) -> None:
    content = graphs.bytes_of(graphs.scaling(opset=17))
    sample = {"x": np.zeros((2, 3), np.float32)}
    OnnxExporter().export(content, ExportRequest(tmp_path / "m.onnx", sample, 17, ()))
    assert (tmp_path / "m.onnx").read_bytes() == content
    with pytest.raises(SpecError, match="has opset 17, the spec asks for 18"):
        OnnxExporter().export(content, ExportRequest(tmp_path / "m.onnx", sample, 18, ()))
