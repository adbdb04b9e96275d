"""What every exporter must do: derive a test class from `ExporterSuite` and give it three fixtures.

    class TestMine(ExporterSuite):
        @pytest.fixture
        def exporter(self):
            return MyExporter()

        @pytest.fixture
        def model(self):
            return train_something_small()

        @pytest.fixture
        def rows(self):
            return {"features": np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)}

`rows` are seven or more real rows by input name. Classes of the model must stand in a module that `sys.path` leads to.
"""

import hashlib
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from fiat.evaluate.parity import compare_outputs
from fiat.model.clean import clean_graph
from fiat.model.precheck import precheck_model
from fiat.model.signature import Signature, read_signature
from fiat.ports.exporter import Exporter, ExportRequest

MOST_APART = 1e-4
SAMPLE_ROWS = 4
_ANEW = """
import pickle, sys
from pathlib import Path
sys.path[:0] = sys.argv[1].split(":")
from fiat.ports.exporter import ExportRequest
kind, folder, sample, target = pickle.loads(Path(sys.argv[2]).read_bytes())
exporter = kind()
exporter.export(exporter.load(folder), ExportRequest(target, sample, None, ()))
"""

Arrays = Mapping[str, np.ndarray]


class ExporterSuite:
    """What an exporter must do for each model that it says it takes."""

    @pytest.fixture
    def exporter(self) -> Exporter:
        raise NotImplementedError("give the exporter that is tested")

    @pytest.fixture
    def model(self) -> Any:
        raise NotImplementedError("give a trained model")

    @pytest.fixture
    def rows(self) -> Arrays:
        raise NotImplementedError("give input name to array of seven or more rows")

    @pytest.fixture
    def saved(self, exporter: Exporter, model: Any, tmp_path: Path) -> Path:
        folder = tmp_path / "saved"
        folder.mkdir()
        exporter.save(model, folder)
        return folder

    @pytest.fixture
    def graph(self, exporter: Exporter, saved: Path, rows: Arrays, tmp_path: Path) -> Path:
        path = tmp_path / "model.onnx"
        exporter.export(exporter.load(saved), ExportRequest(path, _first(rows, SAMPLE_ROWS), None, ()))
        clean_graph(path)
        return path

    def test_it_says_who_it_is(self, exporter: Exporter) -> None:
        assert exporter.name
        assert exporter.version
        assert exporter.frameworks
        assert exporter.packages

    def test_a_saved_model_predicts_what_it_predicted_before(
        self, exporter: Exporter, model: Any, saved: Path, rows: Arrays
    ) -> None:
        before, again = exporter.predict(model, rows), exporter.predict(exporter.load(saved), rows)
        assert list(before) == list(again)
        for name, array in before.items():
            np.testing.assert_array_equal(array, again[name])
            assert len(array) == len(next(iter(rows.values())))

    def test_the_graph_takes_the_inputs_by_their_names_and_any_number_of_rows(
        self, graph: Path, rows: Arrays
    ) -> None:
        signature = _sign(graph, rows)
        assert [item.name for item in signature.inputs] == list(rows)
        assert all(item.shape[0] is None for item in (*signature.inputs, *signature.outputs))

    def test_the_graph_is_one_file_that_may_be_loaded(self, graph: Path) -> None:
        precheck_model(graph)
        assert [path.name for path in graph.parent.iterdir() if path.is_file()] == [graph.name]

    @pytest.mark.parametrize("n_rows", [1, 7])
    def test_model_and_graph_give_the_same_outputs(
        self, exporter: Exporter, saved: Path, graph: Path, rows: Arrays, n_rows: int
    ) -> None:
        feed = _first(rows, n_rows)
        ours = exporter.predict(exporter.load(saved), feed)
        theirs = _run(graph, feed)
        assert list(ours) == list(theirs)
        assert {name: array.shape for name, array in ours.items()} == {
            name: array.shape for name, array in theirs.items()
        }
        parity = compare_outputs(ours, theirs)
        assert parity.max_abs < MOST_APART
        assert parity.label_mismatches == 0

    def test_predictions_do_not_depend_on_the_other_rows(
        self, exporter: Exporter, saved: Path, rows: Arrays
    ) -> None:
        model = exporter.load(saved)
        whole = exporter.predict(model, _first(rows, 7))
        alone = exporter.predict(model, _first(rows, 1))
        parity = compare_outputs({name: array[:1] for name, array in whole.items()}, alone)
        assert parity.max_abs < MOST_APART

    def test_a_new_process_loads_the_model_and_exports_it_to_the_same_bytes(
        self, exporter: Exporter, saved: Path, rows: Arrays, tmp_path: Path
    ) -> None:
        children = []
        for name in ("one", "two"):
            request, target = tmp_path / f"{name}.request", tmp_path / f"{name}.onnx"
            request.write_bytes(pickle.dumps((type(exporter), saved, _first(rows, SAMPLE_ROWS), target)))
            command = [sys.executable, "-c", _ANEW, ":".join(filter(None, sys.path)), str(request)]
            pipe = subprocess.PIPE
            children.append(
                (target, subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path))
            )
        digests = set()
        for target, child in children:
            out, err = child.communicate()
            assert child.returncode == 0, err
            assert out == ""
            clean_graph(target)
            digests.add(hashlib.sha256(target.read_bytes()).hexdigest())
        assert len(digests) == 1


def _first(rows: Arrays, n_rows: int) -> dict[str, np.ndarray]:
    return {name: array[:n_rows] for name, array in rows.items()}


def _sign(graph: Path, rows: Arrays) -> Signature:
    return read_signature(
        graph, layout="matrix", features=tuple(rows), labels=(), sample=_first(rows, SAMPLE_ROWS)
    )


def _run(graph: Path, feed: Arrays) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feed)), strict=True))
