"""Commands of a CI job: escaped, and never made by what strangers write."""

import re

import pytest

from fiat.errors import Where
from fiat.wiring.ci_words import LONGEST_REMARK, command, harmless, remark


def test_values_and_properties_are_escaped_as_the_jobs_own_tools_do() -> None:
    assert command("error", "50% off\r\nnow", file="a,b:c.yaml", line=3, title="") == (
        "::error file=a%2Cb%3Ac.yaml,line=3::50%25 off%0D%0Anow"
    )
    assert command("endgroup") == "::endgroup::"


def test_a_remark_names_file_line_and_column() -> None:
    text = remark("warning", "too low", title="gate", where=Where("specs/a/spec.yaml", 12, 5, "gates[0]"))
    assert text == "::warning file=specs/a/spec.yaml,line=12,col=5,title=gate::too low"
    assert remark("error", "no place") == "::error::no place"


@pytest.mark.parametrize(
    "hostile",
    ["x\n::set-output name=verdict::pass", "x\r\n::add-mask::a", "a\u2028::error::b", "\x1b[31m::error::"],
)
def test_a_hostile_message_stays_one_line_and_one_command(hostile: str) -> None:
    text = remark("error", hostile, title=hostile, where=Where("spec.yaml", 1, 1))
    assert len(re.split(r"[\n\r\u2028]", text)) == 1
    assert text.startswith("::error file=spec.yaml,line=1,col=1,title=")
    assert "\x1b" not in text


def test_a_long_message_is_cut() -> None:
    text = remark("error", "x" * 100_000)
    assert len(text) == len("::error::") + LONGEST_REMARK
    assert text.endswith("…")


@pytest.mark.parametrize(
    "line",
    ["::error::no", "   ::add-mask::x", "\t::group::x", "text ##[add-path]/evil", "##[command]x", "a\n::x::"],
)
def test_no_line_of_text_is_taken_for_a_command(line: str) -> None:
    text = harmless(line)
    assert "\n" not in text
    assert not text.lstrip().startswith("::")
    assert "##[" not in text


def test_plain_text_stays_as_it_is() -> None:
    assert harmless("accuracy = 0.9 :: fine") == "accuracy = 0.9 :: fine"
