"""Texts are cut where it hurts least, and never open what they don't close."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat.builtin.forge_text import CUT_NOTE, clean, cut_markdown, one_line, url_path, without_astral

LINES = st.lists(
    st.sampled_from(
        [
            "text",
            "```",
            "````python",
            "~~~",
            "  ```",
            "<details><summary>x</summary>",
            "</details>",
            "",
            "| a | b |",
            "w" * 60,
        ]
    )
)


def test_a_short_text_stays_as_it_is() -> None:
    assert cut_markdown("a\n\n```\nb", 100) == "a\n\n```\nb"


def test_a_long_text_is_cut_after_a_line_and_says_so() -> None:
    assert cut_markdown("one\ntwo\nthree", 8 + 3, "...") == "one\ntwo\n..."
    assert cut_markdown("one\ntwo\nthree", 7 + 3, "...") == "one\n..."


def test_an_open_fence_is_closed_by_its_own_kind() -> None:
    text = "top\n````md\n```\n~~~\nx\n" + "y" * 500
    assert cut_markdown(text, 100, "cut") == "top\n````md\n```\n~~~\nx\n````\ncut"


def test_open_details_are_closed_and_those_in_a_fence_are_text() -> None:
    text = "<details><summary>s</summary>\n\n```\n<details>\n```\n" + "y" * 500
    assert cut_markdown(text, 100, "cut").endswith("```\n\n</details>\ncut")
    assert cut_markdown(text, 100, "cut").count("</details>") == 1


def test_a_first_line_that_is_too_long_is_cut_within() -> None:
    assert cut_markdown("y" * 50, 10, "...") == "yyyyyyy..."


@given(LINES, st.integers(min_value=len(CUT_NOTE) + 1, max_value=400))
def test_what_is_cut_fits_and_leaves_nothing_open(lines: list[str], limit: int) -> None:
    text = "\n".join(lines)
    cut = cut_markdown(text, limit)
    assert len(cut) <= limit
    if cut == text:
        return
    assert cut.endswith(CUT_NOTE)
    kept = cut.removesuffix(CUT_NOTE).split("\n")
    assert kept[0] == lines[0][: len(kept[0])]
    assert _fence_after(cut.split("\n")) == ""


def _fence_after(lines: list[str]) -> str:
    fence = ""
    for line in (item.strip() for item in lines):
        mark = line[:1] * (len(line) - len(line.lstrip(line[:1]))) if line[:1] in ("`", "~") else ""
        if fence and mark.startswith(fence) and mark == line:
            fence = ""
        elif not fence and len(mark) >= 3:
            fence = mark
    return fence


def test_one_line_is_one_line() -> None:
    assert one_line("a\r\n\tb\u2028c\x00\x1b[31md\ud800 ", 100) == "a b c [31md"
    assert one_line("a\u202eb\u2067c", 100) == "a b c"
    assert one_line("abcdef", 6) == "abcdef"
    assert one_line("abcdefg", 6) == "abcde…"
    assert one_line("", 6) == ""


def test_what_some_fields_refuse_is_replaced() -> None:
    assert without_astral("ok 🐛 ü ✓") == "ok \ufffd ü ✓"
    assert clean("a\r\nb\rc\x00\ud800\td") == "a\nb\nc\ufffd\ufffd\td"


@pytest.mark.parametrize(
    ("part", "encoded"),
    [
        ("a/b", "a%2Fb"),
        ("?x=1#", "%3Fx%3D1%23"),
        ("ü", "%C3%BC"),
        ("..x", "..x"),
        ("%2e%2e", "%252e%252e"),
        ("\ud800", "%3F"),
    ],
)
def test_a_part_of_a_path_can_not_leave_its_place(part: str, encoded: str) -> None:
    assert url_path("/u/{name}/p", {"name": part}) == f"/u/{encoded}/p"


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_a_part_that_servers_would_resolve_is_refused(part: str) -> None:
    with pytest.raises(ValueError, match="no part of a path"):
        url_path("/u/{name}/p", {"name": part})
