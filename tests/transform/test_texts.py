import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from graph_runs import Ran, texts

from fiat.transform.texts import Lower, Strip

QUICK = settings(max_examples=25, deadline=None)
ROWS = st.lists(st.text(), max_size=20)
SPACED = st.lists(st.text(st.sampled_from(" \t\n\x0b\x1c\x85\xa0\u2003\u3000abÄ日😀\0")), max_size=20)


def lower() -> Ran:
    return Ran([(Lower(), True)], "text")


def strip() -> Ran:
    return Ran([(Strip(), True)], "text")


LOWER, STRIP = lower(), strip()


@QUICK
@given(ROWS)
def test_lower_lowers_each_letter_as_python_does(rows: list[str]) -> None:
    assert texts(LOWER(rows)) == ["".join(letter.lower() for letter in text) for text in rows]


@QUICK
@given(st.one_of(ROWS, SPACED))
def test_strip_leaves_words_with_single_spaces(rows: list[str]) -> None:
    assert texts(STRIP(rows)) == [" ".join(text.split()) for text in rows]


def test_lower_knows_letters_beyond_ascii() -> None:
    rows = ["ÄÖÜ ẞ Straße", "ΑΒΓΣ", "İSTANBUL", "ПРИВЕТ", "\U00010400", "日本 ABC"]
    assert texts(LOWER(rows)) == ["äöü ß straße", "αβγσ", "i̇stanbul", "привет", "\U00010428", "日本 abc"]


@pytest.mark.parametrize("ran", [LOWER, STRIP])
@pytest.mark.parametrize("rows", [[], [""], ["", ""], ["", "a"]])
def test_empty_texts_and_no_rows_stay_what_they_are(ran: Ran, rows: list[str]) -> None:
    assert texts(ran(rows)) == rows


def test_a_text_of_ten_thousand_words_goes_through_both() -> None:
    long = "  ÄB \t" * 10_000
    assert texts(LOWER([long, "A"])) == [long.lower(), "a"]
    assert texts(STRIP([long, " A "])) == [" ".join(["ÄB"] * 10_000), "A"]


def test_both_keep_what_the_column_is_called() -> None:
    assert (LOWER.value.names, STRIP.value.names) == (("x",), ("x",))
    assert (LOWER.value.kind, STRIP.value.kind) == ("text", "text")


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8", "xx_XX.UTF-8"])
def test_lower_gives_the_same_whatever_the_locale_of_the_machine(locale: str) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from graph_runs import Ran, texts\n"
        "from fiat.transform.texts import Lower\n"
        "print(ascii(texts(Ran([(Lower(), True)], 'text')(['\\u00c4Bc \\u0130']))))"
    )
    env = {**os.environ, "LC_ALL": locale, "LANG": locale}
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ascii(["äbc i̇"])


def test_one_row_gives_alone_what_it_gives_among_others() -> None:
    rows = ["  Ä  b", "C", "", " d e  f ÖÖÖ "]
    for ran in (LOWER, STRIP):
        together = ran(rows)
        assert np.array_equal(together, np.concatenate([ran([row]) for row in rows]))
