import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from graph_runs import Ran

from fiat.errors import SpecError
from fiat.transform.images import Normalize, Resize
from fiat.transform.numbers import Scale

SIZES = [(7, 9), (10, 15), (20, 30), (41, 33), (7, 60), (1, 1), (40, 15)]


def pixels(*shape: int, dtype: str = "uint8") -> np.ndarray:
    random = np.random.default_rng(5)
    return random.integers(0, 256, shape).astype(dtype)


def ran(operation: Any, setting: Any, rows: np.ndarray) -> Ran:
    return Ran([(operation, setting)], "tensor", rows, shape=rows.shape[1:], dtype=rows.dtype.name)


def by_pillow(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Of one channel `(height, width)`."""
    return np.asarray(Image.fromarray(image.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_resize_is_that_of_pillow(size: tuple[int, int], dtype: str) -> None:
    rows = pixels(2, 20, 30, 3, dtype=dtype)
    resize = ran(Resize(), list(size), rows)
    expected = np.stack(
        [np.stack([by_pillow(row[:, :, channel], size) for channel in range(3)], 2) for row in rows]
    )
    np.testing.assert_allclose(resize(rows), expected, atol=2e-3)
    assert (resize.value.shape, resize.value.dtype) == ((*size, 3), "float32")


def test_resize_of_grey_images_and_of_channels_that_come_first() -> None:
    rows = pixels(2, 20, 30)
    grey = ran(Resize(), [7, 9], rows)
    expected = np.stack([by_pillow(row, (7, 9)) for row in rows])
    np.testing.assert_allclose(grey(rows), expected, atol=2e-3)
    first = ran(Resize(), [7, 9], rows[:, None])
    np.testing.assert_allclose(first(rows[:, None]), expected[:, None], atol=2e-3)
    assert (grey.value.shape, first.value.shape) == ((7, 9), (1, 7, 9))


def test_what_is_no_image_can_not_be_resized() -> None:
    with pytest.raises(
        SpecError, match=r"`resize` takes images, but column 'x' holds tensors of shape \(4,\)"
    ):
        ran(Resize(), [2, 2], pixels(3, 4))


@pytest.mark.parametrize(
    ("shape", "axes"), [((8, 9, 3), (0, 1, 2)), ((3, 8, 9), (0, 2, 3)), ((8, 9), (0, 1, 2)), ((5,), (0, 1))]
)
def test_normalize_gives_each_channel_mean_0_and_standard_deviation_1(
    shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    rows = pixels(600, *shape)
    found = ran(Normalize(), {}, rows)(rows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.mean(axis=axes), 0, atol=1e-4)
    np.testing.assert_allclose(found.std(axis=axes), 1, atol=1e-4)


def test_normalize_learns_the_same_as_numpy_also_where_the_mean_is_large() -> None:
    rows = pixels(600, 4, 4, 3, dtype="float64") / 255 + np.array([0, 1e6, -3])
    state = ran(Normalize(), {}, rows).states[0]
    np.testing.assert_allclose(state["mean"], rows.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(state["sd"], rows.std(axis=(0, 1, 2)), rtol=1e-6)


def test_normalize_takes_what_the_spec_gives() -> None:
    rows = np.array([[[[10, 20]]]], np.uint8)
    given = ran(Normalize(), {"mean": [5, 10], "sd": [5, 2]}, rows)
    assert given(rows).tolist() == [[[[1.0, 5.0]]]]
    one = ran(Normalize(), {"mean": [10], "sd": [10]}, rows)
    assert one(rows).tolist() == [[[[0.0, 1.0]]]]


def test_normalize_makes_0_of_a_channel_that_is_the_same_everywhere() -> None:
    rows = np.full((3, 2, 2, 1), 7, np.uint8)
    assert (ran(Normalize(), {}, rows)(rows) == 0).all()


def test_normalize_refuses_numbers_that_do_not_fit() -> None:
    rows = pixels(2, 4, 4, 3)
    with pytest.raises(SpecError, match="has 2 means, but column 'x' has 3 channels"):
        ran(Normalize(), {"mean": [1, 2], "sd": [1, 2]}, rows)
    with pytest.raises(SpecError, match="not above 0"):
        ran(Normalize(), {"mean": [1], "sd": [0]}, rows)
    with pytest.raises(SpecError, match="no row of train has a pixel of column 'x'"):
        ran(Normalize(), {}, rows[:0])


def test_pixels_that_are_not_finite_teach_nothing_and_stay_what_they_are() -> None:
    rows = np.array([[[[1.0]]], [[[3.0]]], [[[np.nan]]], [[[np.inf]]]], np.float32)
    found = ran(Normalize(), {}, rows)
    assert found.states[0] == {"mean": [2.0], "sd": [1.0]}
    assert found(rows).reshape(-1).tolist()[:2] == [-1.0, 1.0]
    assert np.isnan(found(rows)[2]).all()


def test_resize_scale_and_normalize_follow_one_another_and_rows_stand_alone() -> None:
    rows = pixels(5, 9, 9, 3)
    steps = [(Resize(), [4, 5]), (Scale(), 1 / 255), (Normalize(), {})]
    chain = Ran(steps, "tensor", rows, shape=(9, 9, 3), dtype="uint8")
    together = chain(rows)
    assert together.shape == (5, 4, 5, 3)
    np.testing.assert_allclose(together.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([chain(row[None]) for row in rows]), together, atol=1e-6)
    assert chain(rows[:0]).shape == (0, 4, 5, 3)
