from typing import Any

import pytest

from fiat.spec.search_space import applies, grid, in_order, is_finite, n_combinations, values_of

DEEP: dict[str, dict[str, Any]] = {
    "width": {"int": [1, 3], "when": {"kind": "deep"}},
    "kind": {"choice": ["deep", "flat"]},
    "drop": {"choice": [0.1, 0.2], "when": {"width": [2, 3]}},
}


def test_a_parameter_comes_behind_those_that_its_condition_names() -> None:
    assert in_order(DEEP) == ["kind", "width", "drop"]
    assert in_order({"b": {"int": [1, 2]}, "a": {"int": [1, 2]}}) == ["b", "a"]


def test_parameters_in_a_circle_are_all_there() -> None:
    circle = {"a": {"int": [1, 2], "when": {"b": 1}}, "b": {"int": [1, 2], "when": {"a": 1}}}
    assert sorted(in_order(circle)) == ["a", "b"]


@pytest.mark.parametrize(
    ("chosen", "there"),
    [
        ({}, False),
        ({"kind": "flat"}, False),
        ({"kind": "deep"}, True),
    ],
)
def test_a_parameter_applies_when_each_other_has_its_value(chosen: dict[str, Any], there: bool) -> None:
    assert applies(DEEP, "width", chosen) is there


def test_a_list_of_values_means_one_of_them() -> None:
    assert applies(DEEP, "drop", {"kind": "deep", "width": 3})
    assert not applies(DEEP, "drop", {"kind": "deep", "width": 1})


def test_true_is_not_one() -> None:
    space = {"a": {"choice": [1, True]}, "b": {"int": [1, 2], "when": {"a": True}}}
    assert applies(space, "b", {"a": True})
    assert not applies(space, "b", {"a": 1})


def test_a_grid_has_each_combination_once_and_nothing_that_does_not_apply() -> None:
    assert list(grid({"a": {"choice": [1, 2]}, "b": {"choice": ["x", None]}})) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": None},
        {"a": 2, "b": "x"},
        {"a": 2, "b": None},
    ]
    assert list(grid(DEEP)) == [
        {"kind": "deep", "width": 1},
        {"kind": "deep", "width": 2, "drop": 0.1},
        {"kind": "deep", "width": 2, "drop": 0.2},
        {"kind": "deep", "width": 3, "drop": 0.1},
        {"kind": "deep", "width": 3, "drop": 0.2},
        {"kind": "flat"},
    ]


def test_combinations_are_counted_without_being_made_and_no_further_than_asked() -> None:
    assert n_combinations(DEEP, 100) == 6
    assert n_combinations(DEEP, 4) == 4
    huge = {name: {"int": [1, 10**6]} for name in "abc"}
    assert n_combinations(huge, 50) == 50


def test_only_lists_and_whole_numbers_end() -> None:
    assert is_finite(DEEP)
    assert not is_finite({"a": {"uniform": [0, 1]}, "b": {"choice": [1]}})
    assert values_of({"log": [1, 2]}) == ()
    assert values_of({"int": [3, 5]}) == (3, 4, 5)
