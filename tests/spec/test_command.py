import pytest

from fiat.spec.command import CommandError, Placeholder, fill, references


def test_placeholders_are_found_once_each_in_their_order() -> None:
    found = references("python a.py {data.images} {clean.clean} > {out.o} && cat {data.images}")
    assert [str(each) for each in found] == ["data.images", "clean.clean", "out.o"]
    assert found[0] == Placeholder("data", "images")


def test_placeholders_become_paths_and_doubled_braces_single_ones() -> None:
    run = "awk '{{print $1}}' {data.images} > { out.o }"
    assert fill(run, {"data.images": "'a b'", "out.o": "/x"}) == "awk '{print $1}' 'a b' > /x"


def test_a_command_without_braces_stays_as_it_is() -> None:
    assert references("echo $HOME") == []
    assert fill("echo $HOME", {}) == "echo $HOME"


@pytest.mark.parametrize(
    "run", ["{", "}", "{}", "{data}", "{data.}", "{a b}", "{a.b", "{Data.x}", "a } b", "{a.b.c}"]
)
def test_a_single_brace_is_an_error_that_shows_it(run: str) -> None:
    with pytest.raises(CommandError, match="is no placeholder such as"):
        references(run)
    with pytest.raises(CommandError):
        fill(run, {})


def test_what_fill_is_not_given_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"data\.x"):
        fill("{data.x}", {})
