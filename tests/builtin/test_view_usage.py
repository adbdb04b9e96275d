import math

import pytest

from fiat.builtin.view_usage import gpu_text, pace_text, usage_pairs


@pytest.mark.parametrize(
    ("rate", "text"),
    [(12345.678, "12,346 samples/s"), (123.4, "123 samples/s"), (12.34, "12.34 samples/s"), (math.nan, "")],
)
def test_a_pace_has_no_more_decimals_than_it_needs(rate: float, text: str) -> None:
    assert pace_text(rate) == text


def test_what_is_not_known_of_gpus_is_left_out() -> None:
    assert gpu_text({}) == ""
    assert gpu_text({"gpu_memory_bytes": 3 << 30}) == "GPU 3.0 GiB"
    assert gpu_text({"gpu_load_ratio": 0.0}) == "GPU 0 %"
    assert gpu_text({"gpu_memory_bytes": 3 << 30, "gpu_load_ratio": 0.934}) == "GPU 3.0 GiB 93 %"


def test_a_step_that_asked_for_nothing_used_nothing_of_interest() -> None:
    assert usage_pairs({"cpus": 1.0, "gpus": 0.0, "sandbox": "none", "workers": 1}) == []


def test_values_of_another_shape_are_no_error() -> None:
    odd = {"workers": "two", "gpu_ids": 3, "gpu_memory_bytes": None, "gpu_load_ratio": "x", "resumed": 7}
    assert usage_pairs(odd) == [("resumed", "7")]
