# Times without a zone are what most columns hold.
# ruff: noqa: DTZ001
"""Whatever the transforms: what a model is given when it serves is what it was given when it was trained."""

import datetime as dt
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).parent))
from whole_path import WholePath

from fiat.transform.catalog import OPERATIONS
from fiat.transform.graph import Graph
from fiat.transform.model import Entry, State, Value
from fiat.transform.numbers import Scale

IMAGE, GREY = pa.fixed_shape_tensor(pa.uint8(), (4, 5, 3)), pa.fixed_shape_tensor(pa.float32(), (3, 3))
SCHEMA = pa.schema(
    {
        "fare": pa.float64(),
        "rooms": pa.int64(),
        "paid": pa.bool_(),
        "since": pa.float64(),
        "city": pa.string(),
        "about": pa.string(),
        "day": pa.string(),
        "at": pa.timestamp("us"),
        "image": IMAGE,
        "grey": GREY,
    }
)
KINDS = {
    **dict.fromkeys(["fare", "rooms", "paid", "since"], "number"),
    **dict.fromkeys(["city", "about", "day", "at"], "text"),
    **dict.fromkeys(["image", "grey"], "tensor"),
}

floats = st.one_of(
    st.none(),
    st.floats(-1e4, 1e4),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1e300, -1e300, math.inf, -math.inf, math.nan, 5e-324]),
)
moments = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1))
sentences = st.lists(st.sampled_from(["good", "bad", "Ünder", "日本", "A,b"]), max_size=6).map("  ".join)
SERVED: dict[str, st.SearchStrategy[Any]] = {
    "fare": floats,
    "rooms": st.one_of(st.none(), st.integers(0, 5), st.integers(-(2**53), 2**53)),
    "paid": st.sampled_from([None, True, False]),
    "since": st.one_of(floats, st.integers(-(10**10), 10**10).map(float)),
    "city": st.one_of(st.none(), st.sampled_from(["", "Ulm", "ULM", " Rom ", "Oslo"]), st.text(max_size=5)),
    "about": st.one_of(st.none(), sentences, st.text(max_size=20), st.just(" \t "), st.just("good " * 999)),
    "day": st.one_of(
        st.none(), moments.map(dt.datetime.isoformat), st.sampled_from(["2020-02-30", "x", "2020-02-29"])
    ),
    "at": st.one_of(st.none(), moments),
    "image": st.integers(0, 2**32).map(lambda seed: _noise(seed, (4, 5, 3)).astype(np.uint8)),
    "grey": st.integers(0, 2**32).map(lambda seed: (_noise(seed, (3, 3)) / 255).astype(np.float32)),
}
FIRST: dict[str, list[Any]] = {
    "fare": [3.5, 10.0],
    "rooms": [1, 2],
    "paid": [True, False],
    "since": [1.6e9, 0.0],
    "city": ["Ulm", "Rom"],
    "about": ["good bad good", "Ünder bad"],
    "day": ["2020-02-29", "2021-01-01T10:11:12"],
    "at": [dt.datetime(2020, 2, 29), dt.datetime(2021, 1, 1, 10)],
    "image": [np.zeros((4, 5, 3), np.uint8), np.full((4, 5, 3), 200, np.uint8)],
    "grey": [np.zeros((3, 3), np.float32), np.ones((3, 3), np.float32)],
}
"""The first rows to fit on, so that there is something to learn from."""


def _noise(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape)


def table(columns: dict[str, list[Any]]) -> pa.Table:
    return pa.table({name: _column(values, SCHEMA.field(name).type) for name, values in columns.items()})


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if not isinstance(kind, pa.FixedShapeTensorType):
        return pa.array(values, kind)
    size = math.prod(kind.shape)
    flat = np.array(values, kind.value_type.to_pandas_dtype()).reshape(len(values) * size)
    return pa.ExtensionArray.from_storage(kind, pa.FixedSizeListArray.from_arrays(pa.array(flat), size))


CATEGORIES = {"max": 3, "min_rows": 1, "unknown": "other"}
EMBED = {"max": 3, "min_rows": 1, "length": 3}
PARTS = {"parts": ["year", "month", "day", "weekday", "hour", "minute", "second", "day_of_year"], "unit": "s"}
SETTINGS: dict[str, list[Any]] = {
    "impute": [{"by": "most_frequent"}, {"by": "most_frequent", "flag": True}],
    "standardize": [True],
    "min_max": [True],
    "log1p": [True],
    "clip": [{"min": 0.0}, {"min": 0.0, "max": 5.0}],
    "bucketize": [{"buckets": 3}, {"edges": [0.0, 2.5]}],
    "one_hot": [CATEGORIES, {**CATEGORIES, "unknown": "ignore"}],
    "ordinal": [CATEGORIES],
    "hash": [7],
    "cross": [True],
    "embed_index": [EMBED],
    "lower": [True],
    "strip": [True],
    "tokenize": [{}, {"pattern": r"\w+"}, {"max": 2}],
    "tf_idf": [{"max": 9, "min_rows": 1, "ngrams": 2}],
    "date_parts": [PARTS, {"parts": ["hour"], "unit": "us"}],
    "resize": [[2, 7], [6, 6]],
    "scale": [0.5],
    "normalize": [{}, {"mean": [1.0], "sd": [2.0]}],
}
WHOLE_NUMBERS = ("bucketize", "ordinal", "hash")
FREE = {
    "number": ["impute", "standardize", "min_max", "scale", "clip", "bucketize", "date_parts"],
    "clipped": ["log1p", "standardize", "bucketize"],
    "whole": ["one_hot", "ordinal", "hash", "embed_index", "scale", "standardize"],
    "text": [
        "lower",
        "strip",
        "impute",
        "one_hot",
        "ordinal",
        "hash",
        "embed_index",
        "tokenize",
        "tf_idf",
        "date_parts",
    ],
    "parts": ["one_hot", "ordinal", "hash", "embed_index"],
    "tokens": ["hash", "embed_index", "tf_idf"],
    "tensor": ["resize", "scale", "normalize"],
}


def becomes(kind: str, word: str) -> str | None:
    """What there is after an operation; None where the chain ends."""
    if word in ("lower", "strip") or (word == "impute" and kind == "text"):
        return "text"
    if word == "date_parts":
        return "parts"
    if word in ("one_hot", "embed_index", "tf_idf") or (kind == "tokens" and word == "hash"):
        return None
    if word in WHOLE_NUMBERS:
        return "whole"
    return {"tokenize": "tokens", "clip": "clipped"}.get(word, "tensor" if kind == "tensor" else "number")


@st.composite
def chains(draw: st.DrawFn, kind: str) -> tuple[tuple[str, Any], ...]:
    found: list[tuple[str, Any]] = []
    at: str | None = kind
    for _ in range(draw(st.integers(1, 4))):
        word = draw(st.sampled_from(FREE[at]))
        found.append((word, draw(st.sampled_from(SETTINGS[word]))))
        at = becomes(at, word)
        if at is None:
            return tuple(found)
    if at == "tokens":
        found.append(("tf_idf", SETTINGS["tf_idf"][0]))
    return tuple(found)


@st.composite
def specs(draw: st.DrawFn) -> tuple[list[str], list[Entry]]:
    """Some columns, a chain for each or none, and a cross of two."""
    columns = draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=5, unique=True))
    applied = [(name,) for name in columns if draw(st.integers(0, 3))]
    entries = [Entry(names, draw(chains(KINDS[names[0]]))) for names in applied]
    whole = [name for name in columns if name in ("rooms", "paid", "city", "day")]
    if len(whole) > 1 and draw(st.booleans()):
        last = draw(st.sampled_from([("hash", 7), ("one_hot", CATEGORIES), ("embed_index", EMBED)]))
        entries.append(Entry(tuple(whole[:2]), (("cross", True), last)))
    keyed = [Entry(entry.columns, entry.apply, key=f"transform[{at}]") for at, entry in enumerate(entries)]
    return columns, keyed


def rows(draw: st.DrawFn, columns: list[str], n_rows: int) -> dict[str, list[Any]]:
    return {name: [draw(SERVED[name]) for _ in range(n_rows)] for name in columns}


@st.composite
def cases(draw: st.DrawFn) -> tuple[pa.Table, pa.Table, list[Entry]]:
    columns, entries = draw(specs())
    more = rows(draw, columns, draw(st.integers(0, 5)))
    train = {name: [*FIRST[name], *more[name]] for name in columns}
    return table(train), table(rows(draw, columns, draw(st.integers(0, 5)))), entries


def serve_what_was_trained_on(tmp_path: Path, n_cases: int) -> None:
    health = [HealthCheck.too_slow, HealthCheck.data_too_large]
    folder = tmp_path / "case"

    @settings(max_examples=n_cases, deadline=None, suppress_health_check=health)
    @given(cases())
    def check(case: tuple[pa.Table, pa.Table, list[Entry]]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        WholePath(folder, *case).check()

    check()


def test_any_transforms_of_any_rows_serve_what_was_trained_on(tmp_path: Path) -> None:
    serve_what_was_trained_on(tmp_path, 20)


@pytest.mark.slow
def test_sixty_other_transforms_serve_what_was_trained_on(tmp_path: Path) -> None:
    serve_what_was_trained_on(tmp_path, 60)


EACH: dict[str, tuple[str, ...]] = {
    "impute": ("fare", "impute"),
    "standardize": ("fare", "impute", "standardize"),
    "min_max": ("rooms", "min_max"),
    "log1p": ("fare", "clip", "log1p"),
    "clip": ("fare", "clip"),
    "bucketize": ("fare", "bucketize", "one_hot"),
    "one_hot": ("city", "lower", "strip", "one_hot"),
    "ordinal": ("rooms", "ordinal"),
    "hash": ("about", "tokenize", "hash"),
    "cross": ("city+rooms", "cross", "hash"),
    "embed_index": ("about", "tokenize", "embed_index"),
    "lower": ("city", "lower"),
    "strip": ("about", "strip"),
    "tokenize": ("about", "lower", "tokenize", "tf_idf"),
    "tf_idf": ("about", "tf_idf"),
    "date_parts": ("at", "date_parts"),
    "resize": ("image", "resize", "scale", "normalize"),
    "scale": ("grey", "scale"),
    "normalize": ("grey", "normalize"),
}
ODD = {
    "fare": [None, math.nan, math.inf, -math.inf, 1e300, -7.0],
    "rooms": [None, 1, 2, 77, -1, 2**53],
    "city": [None, "", "Ulm", " ulM\t", "Neu", "日本"],
    "about": [None, "", "   ", "new words", "good " * 10_000, "GOOD bad"],
    "at": [None, dt.datetime(1900, 1, 1), dt.datetime(2199, 12, 31, 23, 59, 59, 999_999)] * 2,
    "image": [_noise(seed, (4, 5, 3)).astype(np.uint8) for seed in range(6)],
    "grey": [np.full((3, 3), pixel, np.float32) for pixel in (0, 1, -5, 1e30, math.inf, math.nan)],
}


def test_each_word_of_the_catalog_has_a_case() -> None:
    assert set(EACH) == set(OPERATIONS) == set(SETTINGS)
    assert all(word in chain for word, chain in EACH.items())


@pytest.mark.parametrize("word", EACH)
def test_each_word_serves_missing_unseen_and_extreme_values_as_it_trained_on_them(
    tmp_path: Path, word: str
) -> None:
    columns = EACH[word][0].split("+")
    entry = Entry(
        tuple(columns), tuple((item, SETTINGS[item][0]) for item in EACH[word][1:]), key="transform[0]"
    )
    train = table({name: FIRST[name] * 3 for name in columns})
    path = WholePath(tmp_path, train, table({name: ODD[name] for name in columns}), [entry])
    path.check()
    assert path.n_rows == 6
    assert any(item["operation"] == word for item in path.fitted.learned)


def test_a_graph_of_the_users_own_goes_the_same_way(tmp_path: Path) -> None:
    double = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", 1]) for name in ("fare", "rooms")]
    result = helper.make_tensor_value_info("ratio", TensorProto.DOUBLE, ["n", 1])
    graph = helper.make_graph(
        [helper.make_node("Div", ["fare", "rooms"], ["ratio"])], "own", double, [result]
    )
    own: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    entries = [
        Entry(("fare", "rooms"), graph=own.SerializeToString(), key="transform[0]"),
        Entry(("city",), (("lower", True), ("one_hot", CATEGORIES)), key="transform[1]"),
    ]
    columns = ("fare", "rooms", "city")
    train = table({name: FIRST[name] * 3 for name in columns})
    path = WholePath(tmp_path, train, table({name: ODD[name] for name in columns}), entries)
    path.check()
    assert path.fitted.outputs[0].names[0] == "ratio"


def test_indices_of_the_parts_of_a_time_are_one_output_called_like_their_column(tmp_path: Path) -> None:
    entry = Entry(("at",), (("date_parts", PARTS), ("embed_index", EMBED)), key="transform[0]")
    path = WholePath(tmp_path, table({"at": FIRST["at"]}), table({"at": ODD["at"]}), [entry])
    path.check()
    assert [(output.name, output.shape) for output in path.fitted.outputs] == [("at", (8,))]


class LessTheBatchsMean(Scale):
    """What no operation may be: it looks at other rows."""

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        mean = graph.add("ReduceMean", values[0].tensor, graph.constant([0], "int64"))
        return replace(values[0], tensor=graph.add("Sub", values[0].tensor, mean))


def test_a_transform_that_looks_at_other_rows_is_found(tmp_path: Path) -> None:
    train = table({"fare": [1.0, 2.0, 4.0]})
    entry = Entry(("fare",), (("scale", 1.0),), key="transform[0]")
    path = WholePath(tmp_path, train, train, [entry], {"scale": LessTheBatchsMean()})
    with pytest.raises(AssertionError, match="out.features"):
        path.check()


@pytest.fixture
def many() -> list[Entry]:
    """Most chains of EACH together: those that are no output under the name of a column."""
    return [
        Entry((chain[0],), tuple((item, SETTINGS[item][0]) for item in chain[1:]), key=f"transform[{at}]")
        for at, chain in enumerate(EACH.values())
        if chain[0] in KINDS and chain[-1] not in ("lower", "strip", "embed_index", "scale", "normalize")
    ]


def test_no_rows_at_all_can_be_served(tmp_path: Path, many: list[Entry]) -> None:
    train = table({name: values * 2 for name, values in FIRST.items()})
    path = WholePath(tmp_path, train, train.slice(0, 0), many)
    path.check()
    assert path.n_rows == 0


def test_onnxs_own_tools_read_the_merged_graph(tmp_path: Path, many: list[Entry]) -> None:
    """In a process of its own: they are known to crash."""
    train = table({name: values * 2 for name, values in FIRST.items()})
    words = Entry(("city",), tuple((item, SETTINGS[item][0]) for item in ("lower", "strip", "embed_index")))
    WholePath(tmp_path, train, train, [*many, words])
    code = (
        "import onnx, sys\n"
        "model = onnx.load(sys.argv[1])\n"
        "onnx.checker.check_model(model)\n"
        "print(len(onnx.shape_inference.infer_shapes(model).graph.value_info))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "merged.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
