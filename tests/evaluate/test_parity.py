"""How far two models' outputs are apart."""

import math

import numpy as np
import pytest

from fiat.errors import SpecError
from fiat.evaluate.parity import compare_outputs


def test_the_largest_and_the_mean_difference_are_over_all_floats():
    ours = {"scores": np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)}
    theirs = {"scores": np.array([[0.0, 0.5], [0.0, 1.0]], np.float32)}
    found = compare_outputs(ours, theirs)
    assert (found.max_abs, found.mean_abs, found.label_mismatches, found.n_rows) == (1, 0.625, 1, 2)


def test_labels_are_compared_row_by_row():
    ours = {"label": np.array(["a", "b", "c"], object), "p": np.zeros((3, 2), np.float32)}
    theirs = {"p": np.zeros((3, 2), np.float32), "label": np.array(["a", "x", "c"], object)}
    found = compare_outputs(ours, theirs)
    assert (found.max_abs, found.label_mismatches, found.has_floats) == (0, 1, True)
    only = compare_outputs({"y": np.array([1, 2])}, {"y": np.array([1, 3])})
    assert (only.label_mismatches, only.has_floats) == (1, False)


def test_outputs_of_other_names_are_compared_in_order():
    found = compare_outputs({"a": np.array([1.0, 2.0])}, {"output_0": np.array([[1.0], [2.5]])})
    assert found.max_abs == 0.5


def test_numbers_that_are_not_finite_agree_only_with_themselves():
    ours = {"y": np.array([np.nan, np.inf, 1.0])}
    assert compare_outputs(ours, {"y": np.array([np.nan, np.inf, 1.0])}).max_abs == 0
    assert compare_outputs(ours, {"y": np.array([0.0, np.inf, 1.0])}).max_abs == math.inf
    assert compare_outputs(ours, {"y": np.array([np.nan, -np.inf, 1.0])}).max_abs == math.inf


def test_outputs_of_other_sizes_are_refused():
    with pytest.raises(SpecError, match="output y"):
        compare_outputs({"y": np.zeros((2, 3))}, {"y": np.zeros((2, 4))})
    with pytest.raises(SpecError, match="the exported graph a, b"):
        compare_outputs({"y": np.zeros(2)}, {"a": np.zeros(2), "b": np.zeros(2)})


def test_no_rows_have_no_difference():
    assert compare_outputs({"y": np.zeros((0, 3))}, {"y": np.zeros((0, 3))}).max_abs == 0
