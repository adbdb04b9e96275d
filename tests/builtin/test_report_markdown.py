import re
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from markdown_reader import FOUND_BY_FORGES, read

from fiat.builtin.report_markdown import Part, block, code, cut, details, join, link, prose, table
from fiat.builtin.view_text import output_line, visible

# Pieces that mean something to Markdown, HTML, GitHub, GitLab, Gitea or a terminal, glued in every order.
PIECES = st.sampled_from(
    [
        *"`*_{}[]()#+-.!|<>~&$:@/\\\"'=^% \n\t",
        *(
            "```",
            "~~~",
            "---",
            "===",
            "1.",
            "- ",
            "> ",
            "    ",
            "\n\n",
            "a",
            "7",
            "word",
            "é",
            "漢字",
            "\u202e",
            "\u200b",
        ),
        *(
            "@octocat",
            "@org/team",
            "#12",
            "owner/repo#1",
            "GH-12",
            "!34",
            "~bug",
            "%v1",
            "abc1234def",
            "ABC-7",
        ),
        *("https://evil.example/x", "www.evil.example", "a@b.example", "javascript:alert(1)", "mailto:a@b.c"),
        *(
            "<script>",
            "</details>",
            "<!--",
            "-->",
            "<img src=x>",
            "![x](y)",
            "[x](y)",
            "[x]: y",
            "[^1]",
            ":tada:",
        ),
        *(
            "$x$",
            "$`x`$",
            "| a | b |",
            "|---|",
            "/merge",
            "/fiat run",
            "&#64;octocat",
            "&lt;",
            "\\",
            "\x1b[31m",
            "\ud83d",
        ),
        *(
            "0.85",
            "[0.81,",
            "0.89]",
            "-0.3",
            "accuracy",
            ">=",
            "train.py",
            "e.g.",
            "[TOC]",
            "[!NOTE]",
            "{+x+}",
        ),
    ]
)
HOSTILE = st.one_of(st.text(st.characters()), st.lists(PIECES, max_size=12).map("".join))
QUIET = {"paragraph_open", "paragraph_close", "text", "text_special", "code_inline"}


SET_OFF = re.compile(r"(?<!\S)(\(?)`([^`|\s](?:[^`|]*[^`|\s])?)`([,.;:!?)]*)(?!\S)")


def collapsed(text: str) -> str:
    """What a reader of a sentence sees: names that stand between backticks are code, without them."""
    return SET_OFF.sub(r"\1\2\3", " ".join(visible(text).split()))


@settings(max_examples=400)
@given(HOSTILE)
def test_a_sentence_is_only_text_and_says_what_was_written(text: str) -> None:
    shown = prose(text, 2000)
    found = read(shown)
    assert set(found.tokens) <= QUIET
    assert found.references == []
    assert found.text == collapsed(text)
    assert "\n" not in shown


@settings(max_examples=400)
@given(HOSTILE)
def test_a_name_is_only_code_and_what_ends_code(text: str) -> None:
    found = read(code(text, 2000))
    assert set(found.tokens) <= QUIET
    if text.strip():
        assert "".join(found.words).rstrip() == visible(text).rstrip()
    assert all(not set(piece) - set("`|") for piece in found.texts if text)


@settings(max_examples=200)
@given(HOSTILE, HOSTILE)
@example("", "`0`")
def test_a_table_keeps_its_cells(name: str, reason: str) -> None:
    found = read(
        table(
            ("gate", "why", "n"),
            [(code(name, 999), prose(reason, 999), "1"), ("a", "b", "c")],
            frozenset({2}),
        )
    )
    assert [len(row) for row in found.rows] == [3, 3, 3]
    assert found.rows[0] == ["gate", "why", "n"]
    assert found.rows[1][1] == collapsed(reason)
    assert found.rows[1][2] == "1"
    assert found.rows[2] == ["a", "b", "c"]
    assert found.references == []
    assert found.links == []
    assert found.html == []


@settings(max_examples=200)
@given(st.lists(HOSTILE, min_size=1, max_size=5))
def test_output_stays_in_its_block(lines: list[str]) -> None:
    text = f"before\n\n{block(lines)}\n\nafter"
    found = read(text)
    assert found.tokens.count("fence") == 1
    assert found.html == []
    assert found.links == []
    assert found.texts == ["before", "after"]
    assert all(line.startswith("│") for line in found.blocks[0].splitlines())
    assert not any(line.startswith("/") for line in text.splitlines())


@settings(max_examples=200)
@given(HOSTILE)
def test_nothing_begins_a_line_as_a_command(text: str) -> None:
    for shown in (prose(text), code(text), block([text])):
        assert not any(line.startswith("/") for line in shown.splitlines())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("accuracy 0.85 [0.81, 0.89] is below 0.88", "accuracy 0.85 \\[0.81, 0.89\\] is below 0.88"),
        ("accuracy >= 0.88", "accuracy &gt;= 0.88"),
        ("params: lr 0.003 -> 0.01", "params: lr 0.003 -&gt; 0.01"),
        ("the baseline's 5% (12 of 1,234 rows)", "the baseline's 5% (12 of 1,234 rows)"),
        ("f1_macro of @octocat in train.py", "`f1_macro` of `@octocat` in `train.py`"),
        ("superseded by abc1234", "superseded by `abc1234`"),
        ("see https://evil.example now", "see `https://evil.example` now"),
        ("- 1. # x", "\\- 1. `#` x"),
        ("1. one", "1\\. one"),
        ("-0.3 worse than 0.5", "-0.3 worse than 0.5"),
        ("0.9722 is at least 0.95.", "0.9722 is at least 0.95."),
        ("run 20261119-081512-77ab01, then a_b: c", "run `20261119-081512-77ab01`, then `a_b`: c"),
        ("set `limits.time`, or @x `a`.", "set `limits.time`, or `@x` `a`."),
        ("`@octocat", "&#96;`@octocat`"),
        ("= x", "\\= x"),
        ("== x", "=\\= x"),
        ("Größe 東京 ±½", "Größe 東京 ±½"),
        ("", ""),
    ],
)
def test_sentences_read_well(text: str, shown: str) -> None:
    assert prose(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("recall by label", "`recall by label`"),
        ("a|b`c", "`a`&#124;`b`&#96;`c`"),
        ("|`", "&#124;&#96;"),
        (" x ", "`  x  `"),
        ("", "(empty)"),
    ],
)
def test_names_are_code(text: str, shown: str) -> None:
    assert code(text) == shown
    assert read(code(text)).text == (text.strip() or "(empty)")


def test_long_texts_are_cut_before_they_are_escaped() -> None:
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"
    assert len(read(prose("@x " * 1000, 50)).text) <= 50
    assert len(read(code("`" * 1000, 50)).text) == 50
    lines = block(["x" * 1000]).splitlines()
    assert len(lines) == 3
    assert len(lines[1]) < 210


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "https://a.example/x)[y](z",
        "https://a.example/ x",
        "https://a.example/<b>",
        "https://user@evil.example/",
        "//evil.example",
        "",
        "https://a.example/x\n/merge",
    ],
)
def test_an_address_that_could_end_its_link_is_not_linked(url: str) -> None:
    assert link("run", url) == "run"


def test_our_addresses_are_linked() -> None:
    found = read(
        link(code("20261121-061500-4f2a"), "https://fiat.example:8321/runs/20261121?tab=log&n=1#end")
    )
    assert found.links == ["https://fiat.example:8321/runs/20261121?tab=log&n=1#end"]
    assert found.codes == ["20261121-061500-4f2a"]


def test_folded_lines_hold_markdown() -> None:
    found = read(details("Gates: 3 passed", table(("a",), [("`x`",)]), is_open=True) + "\n\nafter")
    assert found.html == ["<details open>\n<summary>Gates: 3 passed</summary>\n", "</details>\n"]
    assert found.rows == [["a"], ["x"]]


def test_a_text_that_is_too_long_loses_its_lightest_parts_and_says_so() -> None:
    parts = [Part("head"), Part("s" * 900, "slices", 2), Part("p" * 900, "plots", 1), Part(""), Part("foot")]
    assert join(parts, 2000).split("\n\n") == ["head", "s" * 900, "p" * 900, "foot"]
    assert join(parts, 1500).split("\n\n") == [
        "head",
        "s" * 900,
        "foot",
        "Left out, because the text would be too long: plots.",
    ]
    assert "plots, slices" in join(parts, 900)


@given(st.lists(st.text("ab\n", max_size=3000), max_size=8))
def test_a_joined_text_keeps_its_limit(texts: list[str]) -> None:
    assert len(join([Part(text) for text in texts], 1000)) <= 1000


@pytest.mark.parametrize(
    "text", ["@octocat", "#12", "see GH-12", "www.x.y", "a@b.c", ":tada:", "0a1b2c3", "train.py"]
)
def test_the_reader_of_these_tests_finds_what_forges_find(text: str) -> None:
    assert read(text).references
    assert not re.search(FOUND_BY_FORGES, "accuracy 0.85 [0.81, 0.89] is below 5% of 1,234 rows: e")


def test_escape_codes_of_a_log_line_are_gone_or_visible() -> None:
    assert block(["\x1b[31mred\x1b[0m \u202e"]) == f"```text\n│ {output_line('red ')}<U+202E>\n```"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("expected `a`, found `b c d`", "expected `a`, found `b c d`"),
        ("such as `baseline: {from: main}`", "such as `baseline: {from: main}`"),
        ("one of (`a`, `b or c`).", "one of (`a`, `b or c`)."),
    ],
)
def test_what_a_sentence_sets_off_is_code_of_one_piece(said: str, told: str) -> None:
    assert prose(said) == told
