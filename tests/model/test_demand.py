import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from fiat.model.demand import asked_bytes, constant_numbers

sys.path.insert(0, str(Path(__file__).parent))
import onnx_graphs as graphs

HUGE = (100_000, 100_000)
HUGE_BYTES = 4e10


def ints(value: Any) -> Any:
    return np.array(value, np.int64)


def floats(value: Any) -> Any:
    return np.array(value, np.float64)


def const(name: str, array: Any) -> Any:
    return numpy_helper.from_array(np.asarray(array), name)


def asked(operator: str, *given: Any, **attributes: Any) -> float:
    """Bytes that a node asks for whose inputs are these constants; None is an input known to nobody."""
    tensors = [const(f"i{place}", array) for place, array in enumerate(given) if array is not None]
    names = [f"i{place}" for place in range(len(given))]
    node = helper.make_node(operator, names, ["y"], **attributes)
    made = graphs.model([node], initializers=tensors)
    return asked_bytes(node, constant_numbers([made.graph], made.graph.node))


@pytest.mark.parametrize(
    ("operator", "given", "expected"),
    [
        ("ConstantOfShape", [ints(HUGE)], HUGE_BYTES),
        ("Expand", [None, ints(HUGE)], HUGE_BYTES),
        ("Tile", [None, ints(HUGE)], HUGE_BYTES),
        ("Resize", [None, None, None, ints(HUGE)], HUGE_BYTES),
        ("Resize", [None, None, floats(HUGE)], HUGE_BYTES),
        ("OneHot", [None, ints(10**10), None], HUGE_BYTES),
        ("Pad", [None, ints([0, -(10**10), 0, 0])], HUGE_BYTES),
        ("Range", [ints(0), ints(10**10), ints(1)], HUGE_BYTES),
        ("Range", [floats(1e10), floats(0), floats(-1)], HUGE_BYTES),
        ("Range", [floats(0), floats(math.inf), floats(1)], math.inf),
        ("Range", [ints(0), ints(5), ints(0)], math.inf),
    ],
)
def test_a_size_is_read_from_the_input_that_says_it(operator: str, given: list[Any], expected: float) -> None:
    assert asked(operator, *given) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("operator", ["Expand", "Tile", "Resize", "OneHot"])
def test_the_values_of_data_say_nothing_of_its_size(operator: str) -> None:
    """Positions 0, 1, 2, ... of an embedding are small, though their product is beyond all memory."""
    assert asked(operator, np.arange(24), ints([2, 24])) <= 4 * 48


def test_what_is_not_known_asks_for_nothing() -> None:
    assert asked("Expand", None, None) == 0
    assert asked("Range", ints(0), None, ints(1)) == 0
    assert asked("Pad", None) == 0
    assert asked("Tile") == 0
    assert asked("Add", ints(HUGE), ints(HUGE)) == 0


def test_sizes_that_come_from_elsewhere_count_as_one() -> None:
    assert asked("Expand", None, ints([-1, 0, 8])) == 4 * 8


def test_a_shape_of_very_many_axes_is_read_too() -> None:
    assert asked("ConstantOfShape", ints([1] * 500 + list(HUGE))) == HUGE_BYTES


def test_products_beyond_all_numbers_are_infinite_and_no_error() -> None:
    assert asked("ConstantOfShape", ints([2**62] * 40)) == math.inf


WAYS: list[tuple[dict[str, Any], float]] = [
    ({"value_ints": list(HUGE)}, HUGE_BYTES),
    ({"value_int": 10**10}, HUGE_BYTES),
    ({"value_floats": [1e5, 1e5]}, HUGE_BYTES),
    ({"value_float": 1e10}, HUGE_BYTES),
    ({"value_string": "hello"}, 0.0),
]


@pytest.mark.parametrize(("attributes", "sizes"), WAYS, ids=[next(iter(way)) for way, _ in WAYS])
def test_a_constant_node_can_say_its_value_in_any_way(attributes: dict[str, Any], sizes: float) -> None:
    nodes = [
        helper.make_node("Constant", [], ["s"], **attributes),
        helper.make_node("ConstantOfShape", ["s"], ["y"]),
    ]
    known = constant_numbers([graphs.model(nodes).graph], nodes)
    assert asked_bytes(nodes[1], known) == pytest.approx(sizes)


@pytest.mark.parametrize("order", [1, -1])
def test_a_small_constant_does_not_hide_a_large_one_of_the_same_name(order: int) -> None:
    made = graphs.model([], initializers=[const("s", ints(HUGE)), const("s", ints([1]))][::order])
    node = helper.make_node("ConstantOfShape", ["s"], ["y"])
    assert asked_bytes(node, constant_numbers([made.graph], [])) == HUGE_BYTES


def test_weights_and_texts_and_damaged_tensors_are_passed_over() -> None:
    damaged = const("damaged", ints([1, 2, 3]))
    damaged.raw_data = b"12345"
    words = const("words", np.array(["a"], object))
    weight = const("weight", np.ones((2, 2), np.float32))
    made = graphs.model([], initializers=[damaged, words, weight, const("nothing", ints([]))])
    assert constant_numbers([made.graph], []) == {}
