import io

from rich.console import Console

from fiat.builtin.view_rich import print_sheet
from fiat.builtin.view_sheet import Cell, Sheet, Table, plain_text

TABLE = Table(
    ("step", "n", "why"),
    (
        (Cell("train"), Cell("5"), Cell("because a rather long sentence says so and goes on")),
        (Cell("x", "bad"), Cell("1,000"), Cell("")),
    ),
    frozenset({1}),
)


def test_columns_stand_under_each_other() -> None:
    assert plain_text(Sheet((TABLE,))) == (
        "STEP       N  WHY\ntrain      5  because a rather long sentence says so and goes on\nx      1,000\n"
    )


def test_the_last_column_folds_to_the_width() -> None:
    assert plain_text(Sheet((TABLE,)), 44).splitlines() == [
        "STEP       N  WHY",
        "train      5  because a rather long sentence",
        "              says so and goes on",
        "x      1,000",
    ]


def test_in_a_narrow_terminal_it_stands_below_its_row() -> None:
    assert plain_text(Sheet((TABLE,)), 30).splitlines() == [
        "STEP       N  WHY",
        "train      5",
        "    because a rather long",
        "    sentence says so and goes",
        "    on",
        "x      1,000",
    ]


def test_tables_are_set_apart_and_empty_ones_left_out() -> None:
    sheet = Sheet(((Cell("a"),), Table(("", ""), ()), TABLE, (Cell("b"),)))
    assert plain_text(sheet).splitlines()[:3] == ["a", "", "STEP       N  WHY"]


def test_text_of_users_stays_on_its_line() -> None:
    assert plain_text(Sheet(((Cell("a\nb\x1b[31m\t"),),))) == "a␊b␛[31m␉\n"


def test_a_terminal_gets_the_same_text_and_no_markup_of_users() -> None:
    sheet = Sheet((TABLE, (Cell("[red]x[/red] \x1b]8;;http://a\x07"),)))
    stream = io.StringIO()
    print_sheet(sheet, Console(file=stream, width=44, color_system=None))
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == plain_text(sheet, 44).splitlines()


def test_a_terminal_with_colour_gets_colour() -> None:
    stream = io.StringIO()
    print_sheet(
        Sheet(((Cell("x", "bad"),),)), Console(file=stream, force_terminal=True, color_system="standard")
    )
    assert stream.getvalue() == "\x1b[1;31mx\x1b[0m\n"
