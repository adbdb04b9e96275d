import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat.builtin.command_words import LEAST_APPROVED, MOST_READ, Command, parse, says

FULL = "0b88f5562d1b4c2b9d1c6a3d2c8f9e7a1b2c3d4e"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/fiat run", Command("run")),
        ("/fiat run fashion specs/digits", Command("run", specs=("fashion", "specs/digits"))),
        ("/fiat run fashion fashion", Command("run", specs=("fashion",))),
        ("/fiat   run   ", Command("run")),
        ("/fiat cancel", Command("cancel")),
        (f"/fiat approve {FULL}", Command("approve", commit=FULL)),
        (f"/fiat approve {FULL[:16].upper()}", Command("approve", commit=FULL[:16])),
        (f"/fiat approve {'a1' * 32}", Command("approve", commit="a1" * 32)),
        ("/fiat rollback", Command("rollback")),
        ("Looks good to me.\n/fiat run\nThank you", Command("run")),
        ("Looks good\r\n\r\n/fiat cancel\r\n", Command("cancel")),
        ("/fiat cancel\n/fiat run", Command("cancel")),
        ("> /fiat cancel\n\n/fiat run", Command("run")),
        ("```\n/fiat cancel\n```\n/fiat run", Command("run")),
        ("/fiat run my\\_spec", Command("run", specs=("my_spec",))),
        ("/fiat run _a_", Command("run", specs=("_a_",))),
    ],
)
def test_a_command_is_read_from_the_start_of_a_line(text: str, command: Command) -> None:
    assert parse(text) == command


@pytest.mark.parametrize(
    "text",
    [
        "",
        "please /fiat run",
        "`/fiat run`",
        "**/fiat run**",
        "~~/fiat run~~",
        "> /fiat run",
        "> quoted\n/fiat run goes on with the quotation",
        "> > deep\n/fiat run",
        "- /fiat run",
        "- item\n/fiat run belongs to the item",
        "1. /fiat run",
        "    /fiat run",
        "```\n/fiat run",
        "~~~ text\n/fiat run\n~~~",
        "````\n```\n/fiat run\n````",
        "`code that\n/fiat run\ngoes on`",
        "<!--\n/fiat run\n-->",
        "text <!-- hidden\n/fiat run\n-->",
        "<details>\n/fiat run\n</details>",
        "<pre>\n/fiat run\n</pre>",
        "# /fiat run",
        "/fiat run\n===",
        "| /fiat run |\n|---|\n| /fiat run |",
        "[/fiat run](https://evil.example)",
        "[x]: https://evil.example\n'/fiat run'",
        "![/fiat run](x)",
        "\\/fiat run",
        "&#47;fiat run",
        "／fiat run",
        "/Fiat run",
        "/fiatrun",
        "/fiat-run",
        "/fiat/run",
        "//fiat run",
        "\u200b/fiat run",
        "x" * MOST_READ + "\n/fiat run",
    ],
)
def test_what_is_no_line_of_ordinary_text_is_no_command(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/fiat", "What should be done?"),
        ("/fiat deploy now", "deploy takes no more words"),
        ("/fiat promote", "no command promote here"),
        ("/fiat Run", "no command Run here"),
        ("/fiat\u3000run", "look like others"),
        ("/fiat\u00a0run", "look like others"),
        ("/fiat\trun", "can't be seen"),
        ("/fiat run\u202e", "look like others"),
        ("/fiat run f\u0430shion", "look like others"),
        ("/fiat run fashion <!-- hidden -->", "no name of a spec"),
        ("/fiat run ../../etc", "no name of a spec"),
        ("/fiat run --upload-pack=x", "no name of a spec"),
        ("/fiat run params.lr=0.1", "fiat trigger takes them"),
        ("/fiat run " + "a " * 21, "20 specs at most"),
        ("/fiat run $(id)", "no name of a spec"),
        ("/fiat cancel all", "no more words"),
        ("/fiat approve", "takes one commit"),
        (f"/fiat approve {FULL} now", "takes one commit"),
        (f"/fiat approve {FULL[:7]}", "too short"),
        (f"/fiat approve {FULL[: LEAST_APPROVED - 1]}", "too short"),
        ("/fiat approve HEAD", "no commit"),
        (f"/fiat approve {FULL}{FULL}", "no commit"),
        (f"/fiat approve `{FULL}`", "no commit"),
        ("/fiat rollback shelf", "no more words"),
    ],
)
def test_a_wrong_command_does_nothing_and_says_what_would_be_right(text: str, said: str) -> None:
    command = parse(text)
    assert command is not None
    assert command == Command("unclear", reply=command.reply)
    assert said in command.reply
    assert "Nothing was done." in command.reply
    assert len(command.reply) < 400


def test_the_first_command_counts_also_when_it_is_wrong() -> None:
    command = parse(f"/fiat aprove {FULL}\n/fiat run")
    assert command is not None
    assert command.verb == "unclear"


@given(
    st.one_of(
        st.text(st.characters()), st.lists(st.sampled_from(list("/fiat run`>\n*~<!-&\\|#"))).map("".join)
    )
)
def test_any_comment_is_read(text: str) -> None:
    for comment in (text, f"/fiat {text}"):
        command = parse(comment)
        assert command is None or (command.verb == "unclear") == bool(command.reply)


@pytest.mark.parametrize(
    "piece", ["[", "![", "*", "_", "`", "<", "> ", "- ", "&", "[a](", "<!--", "\n/fia", "\\"]
)
def test_a_comment_made_to_be_slow_is_not(piece: str) -> None:
    assert parse(piece * 30_000) is None


def test_a_phrase_of_a_spec_is_found_by_the_same_rules() -> None:
    assert says("/train it", "/train it")
    assert says("Hello\n/train it now", "/train it")
    assert not says("/train items", "/train it")
    assert not says("> /train it", "/train it")
    assert not says("```\n/train it\n```", "/train it")
    assert not says("anything", "")
