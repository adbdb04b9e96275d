"""Secrets in every form that programs print them in, cut at every place."""

import base64
import html
import json
import os
import re
import time
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.redaction import MASK, Redactor

TOKEN = "ghp_x9Kq27LmZbV0tR4yWcD8nE5sAu1oJf6H"
ODD = "pä$$ \"w0rd'/\\+&=<é> %"

FORMS: dict[str, Callable[[str], str]] = {
    "raw": lambda value: value,
    "json": lambda value: json.dumps({"token": value}),
    "json as UTF-8": lambda value: json.dumps([value], ensure_ascii=False),
    "json with slashes escaped": lambda value: json.dumps(value).replace("/", "\\/"),
    "repr": repr,
    "repr of bytes": lambda value: repr(value.encode()),
    "html": html.escape,
    "url": lambda value: f"https://x.example/?t={quote(value, safe='')}&u=1",
    "url path": lambda value: f"https://x.example/{quote(value)}",
    "url form": lambda value: f"t={quote_plus(value)}",
    "url in small letters": lambda value: re.sub(
        "%..", lambda found: found[0].lower(), quote(value, safe="")
    ),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 at the second place": lambda value: base64.b64encode(b"u" + value.encode() + b"!").decode(),
    "base64 at the third place": lambda value: base64.b64encode(b"u:" + value.encode() + b"!!").decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(b"me:" + value.encode()).decode(),
    "hex": lambda value: value.encode().hex(),
    "HEX": lambda value: value.encode().hex().upper(),
}


def shown(text: str, value: str) -> bool:
    """Whether somebody who reads the text learns the value, as far as these forms go."""
    forms = {form(value).strip("'\"b[]") for form in FORMS.values()}
    inner = base64.b64encode(value.encode()).decode().rstrip("=")[:-2]
    return any(form in text for form in forms | {inner, value})


@pytest.mark.parametrize("value", [TOKEN, ODD], ids=["token", "odd"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_masked_and_the_text_around_it_stays(form: str, value: str) -> None:
    text = f"before {FORMS[form](value)} behind\n"
    masked = Redactor([value]).text(text)
    assert masked.startswith("before ")
    assert masked.endswith(" behind\n")
    assert MASK in masked
    assert not shown(masked, value)
    assert len(masked) < len(text) - len(value) + 12


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_masked_wherever_the_chunks_are_cut(form: str) -> None:
    data = f"x {FORMS[form](ODD)} y\nnext {TOKEN} z\n".encode()
    redactor = Redactor([ODD, TOKEN])
    whole = redactor.data(data)
    for at in range(len(data)):
        stream = redactor.stream()
        assert stream.feed(data[:at]) + stream.feed(data[at:]) + stream.close() == whole
    one_by_one = redactor.stream()
    assert b"".join(one_by_one.feed(data[i : i + 1]) for i in range(len(data))) + one_by_one.close() == whole


def test_colours_titles_and_line_breaks_within_a_secret_do_not_hide_it() -> None:
    redactor = Redactor([TOKEN])
    head, tail = TOKEN[:9], TOKEN[9:]
    for between in ("\x1b[1;31m", "\x1b[0m\x1b[K", "\x1b]0;title\x07", "\r\n", "\n", "\x1b(B"):
        masked = redactor.text(f"a {head}{between}{tail} b")
        assert head not in masked, repr(between)
        assert tail not in masked, repr(between)
        assert masked.startswith("a ***")
        assert masked.endswith(" b")


def test_base64_that_is_wrapped_into_lines_is_masked_and_lines_stay_lines() -> None:
    secret = "k" + TOKEN * 5
    wrapped = base64.encodebytes(b"key: " + secret.encode() + b"\n").decode()
    assert wrapped.count("\n") > 2
    stream = Redactor([secret]).stream()
    lines = wrapped.splitlines(keepends=True)
    masked = (b"".join(stream.feed(line.encode()) for line in lines) + stream.close()).decode()
    assert masked.count("\n") == wrapped.count("\n")
    inner = base64.b64encode(TOKEN.encode()).decode()
    assert not any(inner[at : at + 12] in masked for at in range(len(inner) - 12))


def test_each_line_of_a_key_is_a_secret_too() -> None:
    lines = [base64.b64encode(os.urandom(48)).decode() for _ in range(4)]
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])
    redactor = Redactor([key])
    assert lines[2] not in redactor.text(f"grep says {lines[2]}")
    masked = redactor.text(f"{key}\n{json.dumps(key)}\n{key.encode().hex()}")
    assert not any(line in masked for line in lines)


def test_a_secret_that_holds_another_one_is_masked_whole() -> None:
    assert Redactor(["secret", "my-secret-key"]).text("a my-secret-key b secret") == "a *** b ***"


def test_the_beginning_of_a_long_line_does_not_end_within_a_secret() -> None:
    redactor = Redactor([TOKEN])
    for size in range(90, 100):
        for known in range(len(TOKEN)):
            head = redactor.head(b"." * 95 + TOKEN[:known].encode(), size)
            assert set(head) <= set(b".*")
            assert head.count(b".") == min(95, size)


def test_a_prompt_is_not_held_back_for_what_may_follow() -> None:
    stream = Redactor([TOKEN]).stream()
    assert stream.feed(b"name: g\n") == b"name: g\n"
    assert stream.feed(b"gh") == b""
    assert stream.feed(b"ost\n") == b"ghost\n"


def test_endless_line_breaks_within_a_secret_hold_nothing_back_for_ever() -> None:
    stream = Redactor([TOKEN]).stream()
    held = 0
    for _ in range(40):
        chunk = b"\n" * 10_000
        held += len(chunk) - len(stream.feed(TOKEN[:20].encode() + chunk if held == 0 else chunk))
        assert held < 100_000


def test_values_in_a_document_are_masked_with_its_keys() -> None:
    document = {"error": {"message": f"bad {TOKEN}", TOKEN: [1, None, True, f"x{TOKEN}"]}}
    assert Redactor([TOKEN]).values(document) == {
        "error": {"message": "bad ***", "***": [1, None, True, "x***"]}
    }


def test_what_is_too_short_to_hide_is_left_and_nothing_is_masked_without_secrets() -> None:
    assert Redactor(["abc", ""]).text("abc abcd") == "abc abcd"
    assert Redactor(["abcd"]).text("abc abcd") == "abc ***"
    assert not Redactor([])
    assert Redactor([]).stream().feed(b"any\x1b[0m") == b"any\x1b[0m"


@settings(max_examples=150, deadline=None)
@given(
    value=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=8, max_size=40).filter(str.strip),
    before=st.binary(max_size=5),
    form=st.sampled_from(sorted(FORMS)),
    cuts=st.lists(st.integers(0, 200), max_size=4),
)
def test_any_secret_in_any_form_over_any_cuts_is_gone(
    value: str, before: bytes, form: str, cuts: list[int]
) -> None:
    printed = FORMS[form](value).encode()
    data = before.hex().encode() + b" " + printed + b" ."
    stream = Redactor([value]).stream()
    ends = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    pieces = [data[start:end] for start, end in pairwise(ends)]
    masked = b"".join(map(stream.feed, pieces)) + stream.close()
    assert MASK.encode() in masked
    assert value.encode() not in masked
    assert len(masked) < len(data)


def test_logs_are_masked_faster_than_they_are_written() -> None:
    line = b"2026-01-01 12:00:00 INFO step=1 loss=0.25 accuracy=0.98 d41d8cd98f00b204e9800998ecf8427e\n"
    data = line * 40_000
    stream = Redactor([TOKEN, ODD, "another-secret-0123456789"]).stream()
    started = time.perf_counter()
    for at in range(0, len(data), 1 << 18):
        stream.feed(data[at : at + (1 << 18)])
    rate = len(data) / 1e6 / (time.perf_counter() - started)
    assert rate > 20  # hundreds of MB/s on a quiet machine: this only catches a pass for each byte in Python
