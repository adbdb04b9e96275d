import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Perceptron, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from fiat.errors import SpecError
from fiat.ports.exporter import Exporter, ExportRequest
from fiat.testing.exporter_suite import ExporterSuite
from fiat_sklearn.exporter import SklearnExporter

sys.path.insert(0, str(Path(__file__).parent))
import sklearn_parts

RANDOM = np.random.default_rng(0)
MATRIX = RANDOM.normal(size=(80, 4)).astype(np.float32)
KINDS = np.digitize(MATRIX[:, 0] + 0.3 * MATRIX[:, 1], [-0.5, 0.5])
WORDS = np.array(["low", "middle", "high"], object)[KINDS]
PRICES = (3 * MATRIX[:, 0] - MATRIX[:, 2]).astype(np.float64)
HOLES = np.where(RANDOM.random(MATRIX.shape) < 0.1, np.float32(np.nan), MATRIX).astype(np.float32)
COLUMNS = {
    "area": MATRIX[:, :1],
    "rooms": MATRIX[:, 1:2],
    "city": np.array(["Ulm", "Bonn", ""], object)[RANDOM.integers(0, 3, (80, 1))],
}


class SklearnSuite(ExporterSuite):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return SklearnExporter()

    @pytest.fixture
    def rows(self) -> Mapping[str, np.ndarray]:
        return {"features": MATRIX}


class TestAClassifier(SklearnSuite):
    @pytest.fixture
    def model(self) -> Any:
        return LogisticRegression().fit(MATRIX, WORDS)


class TestARegressor(SklearnSuite):
    @pytest.fixture
    def model(self) -> Any:
        return make_pipeline(StandardScaler(), Ridge()).fit(MATRIX, PRICES)


class TestNeighbours(SklearnSuite):
    @pytest.fixture
    def model(self) -> Any:
        return KNeighborsClassifier().fit(MATRIX, KINDS)


class TestBoostingWithMissingValues(SklearnSuite):
    @pytest.fixture
    def model(self) -> Any:
        return HistGradientBoostingClassifier(max_iter=5).fit(HOLES, WORDS)

    @pytest.fixture
    def rows(self) -> Mapping[str, np.ndarray]:
        return {"features": HOLES}


class TestColumns(SklearnSuite):
    @pytest.fixture
    def model(self) -> Any:
        numbers = make_pipeline(SimpleImputer(), StandardScaler())
        columns = make_column_transformer((numbers, [0, 1]), (OneHotEncoder(handle_unknown="ignore"), [2]))
        return make_pipeline(columns, LogisticRegression()).fit(np.hstack(list(COLUMNS.values())), KINDS)

    @pytest.fixture
    def rows(self) -> Mapping[str, np.ndarray]:
        return COLUMNS


class TestADataFrame(SklearnSuite):
    @pytest.fixture
    def model(self) -> Any:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({name: array.reshape(-1) for name, array in COLUMNS.items()})
        one_hot = OneHotEncoder(handle_unknown="ignore")
        columns = make_column_transformer((StandardScaler(), ["area", "rooms"]), (one_hot, ["city"]))
        return make_pipeline(columns, RandomForestRegressor(3, random_state=0)).fit(frame, PRICES)

    @pytest.fixture
    def rows(self) -> Mapping[str, np.ndarray]:
        return COLUMNS


def export(model: Any, folder: Path, sample: Any = None, opset: int | None = None) -> Any:
    path = folder / "model.onnx"
    SklearnExporter().export(model, ExportRequest(path, sample or {"features": MATRIX[:4]}, opset, ()))
    return onnx.load(str(path))


def parity(model: Any, folder: Path, rows: np.ndarray = MATRIX) -> list[str]:
    """Names of the outputs, once model and graph agree on them."""
    suite = SklearnSuite()
    export(model, folder)
    suite.test_model_and_graph_give_the_same_outputs(
        SklearnExporter(), _saved(model, folder), folder / "model.onnx", {"features": rows}, len(rows)
    )
    return list(SklearnExporter().predict(model, {"features": rows}))


def _saved(model: Any, folder: Path) -> Path:
    (folder / "saved").mkdir()
    SklearnExporter().save(model, folder / "saved")
    return folder / "saved"


def test_it_is_found_by_its_entry_point() -> None:
    (point,) = entry_points(group="fiat.exporter", name="sklearn")
    assert point.load() is SklearnExporter


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(5, random_state=0),
        GridSearchCV(LogisticRegression(), {"C": [1, 2]}),
        make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=50, random_state=0)),
        make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=5)),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_classifiers_that_know_probabilities_give_label_and_probabilities(tmp_path: Path, model: Any) -> None:
    assert parity(model.fit(MATRIX, KINDS), tmp_path) == ["label", "probabilities"]


@pytest.mark.parametrize(
    "model",
    [LinearSVC(), make_pipeline(StandardScaler(), LinearSVC()), SVC(), RidgeClassifier(), Perceptron()],
    ids=["LinearSVC", "LinearSVC in a pipeline", "SVC", "RidgeClassifier", "Perceptron"],
)
def test_classifiers_that_know_none_give_the_label_alone(tmp_path: Path, model: Any) -> None:
    assert parity(model.fit(MATRIX, WORDS), tmp_path) == ["label"]


@pytest.mark.parametrize(
    "model",
    [
        RandomForestRegressor(5, random_state=0),
        GradientBoostingRegressor(n_estimators=5),
        HistGradientBoostingRegressor(max_iter=5),
    ],
    ids=lambda model: type(model).__name__,
)
def test_regressors_give_one_variable(tmp_path: Path, model: Any) -> None:
    assert parity(model.fit(MATRIX, PRICES), tmp_path) == ["variable"]


def test_true_and_false_are_labels_1_and_0(tmp_path: Path) -> None:
    model = LogisticRegression().fit(MATRIX, KINDS > 0)
    assert parity(model, tmp_path) == ["label", "probabilities"]
    assert SklearnExporter().predict(model, {"features": MATRIX})["label"].dtype == np.int64


def test_each_operator_set_is_named_once_and_the_opset_is_an_upper_bound(tmp_path: Path) -> None:
    made = export(LogisticRegression().fit(MATRIX, KINDS), tmp_path, opset=17)
    versions = {item.domain: item.version for item in made.opset_import}
    assert len(versions) == len(made.opset_import)
    assert versions[""] <= 17
    with pytest.raises(SpecError, match=r"skl2onnx failed on the LogisticRegression.*99"):
        export(LogisticRegression().fit(MATRIX, KINDS), tmp_path, opset=99)


@pytest.mark.parametrize(
    ("model", "labels", "message"),
    [
        (KMeans(2, n_init=1), None, "a KMeans is neither a classifier nor a regressor"),
        (RandomForestClassifier(2), np.stack([KINDS, KINDS], 1), "predicts several labels a row"),
        (sklearn_parts.Own(), KINDS, "skl2onnx can't convert a part of the Own"),
        (make_pipeline(FunctionTransformer(np.abs), Ridge()), PRICES, "FunctionTransformer is not supported"),
    ],
    ids=["KMeans", "several labels", "an own class", "a function"],
)
def test_what_cannot_be_exported_is_named(tmp_path: Path, model: Any, labels: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        export(model.fit(MATRIX, labels), tmp_path)


def test_images_are_refused(tmp_path: Path) -> None:
    model = Ridge().fit(MATRIX, PRICES)
    with pytest.raises(SpecError, match=r"image has the shape \(n, 8, 8\), scikit-learn takes tables only"):
        export(model, tmp_path, {"image": np.zeros((4, 8, 8), np.float32)})


def test_a_model_that_was_not_fitted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the Ridge is not fitted"):
        SklearnExporter().save(Ridge(), tmp_path)


def test_a_lambda_in_a_pipeline_cannot_be_saved_and_the_hint_says_why(tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(lambda table: table), Ridge()).fit(MATRIX, PRICES)
    with pytest.raises(SpecError, match=r"the Pipeline can't be saved.*no lambda"):
        SklearnExporter().save(model, tmp_path)
