import math

import pytest

from fiat.spec.yaml_scalars import resolve_plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        ("-.5", -0.5),
        ("3.", 3.0),
        ("42", 42),
        ("-7", -7),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        (".inf", math.inf),
        ("-.INF", -math.inf),
    ],
)
def test_a_scalar_of_the_core_schema_has_its_value_and_type(text: str, value: object) -> None:
    found = resolve_plain(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    ["on", "off", "yes", "no", "y", "n", "Null", "1:30", "190:20:30", "2024-05-01", "1_000", "0b11", "1.2.3", "+", ".",
     "-", "e5", "2h", "١٢"],
)  # fmt: skip
def test_what_yaml_1_1_reads_as_something_else_stays_text(text: str) -> None:
    assert resolve_plain(text) == text


def test_not_a_number_is_read() -> None:
    found = resolve_plain(".nan")
    assert isinstance(found, float)
    assert math.isnan(found)


@pytest.mark.parametrize(
    "text", ["9223372036854775808", "1e999", "1" * 65, "0x" + "f" * 40, "-1e400", "1" * 200_000]
)
def test_a_number_that_64_bits_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"64"):
        resolve_plain(text)


def test_the_limits_of_64_bits_are_read() -> None:
    assert resolve_plain("9223372036854775807") == 2**63 - 1
    assert resolve_plain("-9223372036854775808") == -(2**63)
