import pytest

from fiat.builtin.usage_line import read_usage, usage_text


def test_what_is_written_is_read_again() -> None:
    assert read_usage(usage_text(3 << 30, 0.934) + "\n") == {
        "gpu_memory_bytes": float(3 << 30),
        "gpu_load_ratio": 0.934,
    }
    assert read_usage(usage_text(7, None)) == {"gpu_memory_bytes": 7.0}


def test_other_names_and_what_is_no_number_are_left_out() -> None:
    assert read_usage("FIAT_USAGE gpu_memory_bytes=many gpu_load_ratio=nan cpu=3") == {}


@pytest.mark.parametrize(
    "text", ["FIAT_USAGE", "FIAT_USAGEx gpu_load_ratio=1", "usage", "FIAT_USAGE a=1" + "b" * 1000]
)
def test_other_lines_are_none(text: str) -> None:
    assert read_usage(text) is None
