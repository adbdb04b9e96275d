"""Names that other people choose."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.errors import SpecError
from fiat.git.refs import check_oid, check_ref, is_oid, is_ref, read_advertised, refspecs

A, B, C = "a" * 40, "b" * 40, "c" * 64


def test_what_a_remote_advertises_is_read_and_odd_lines_are_left_out() -> None:
    output = (
        (
            f"{A}\tHEAD\n{A}\trefs/heads/main\n{B}\trefs/heads/--upload-pack=x\n{B}\trefs/heads/$(id)\n"
            f"{A}\trefs/tags/v1\n{B}\trefs/tags/v1^{{}}\n{A}\trefs/tags/light\n{B}\trefs/tags/ghost^{{}}\n"
            f"{A}\trefs/pull/7/head\n{B}\trefs/pull/7/merge\n{C}\trefs/merge-requests/3/head\n"
            f"{A}\trefs/pull/x/head\n{A}\trefs/notes/commits\n{A}\trefs/heads/a..b\n{A}\trefs/heads/\u202eevil\n"
            f"{A} refs/heads/no-tab\nxyz\trefs/heads/short\nERR no such service\n\n{A}\t\n{A.upper()}\trefs/heads/up\n"
        ).encode()
        + b"\xff" * 40
        + b"\trefs/heads/bytes\n"
        + A.encode()
        + b"\trefs/heads/\xff\n"
    )
    assert read_advertised(output) == {
        "refs/heads/main": A,
        "refs/heads/--upload-pack=x": B,
        "refs/heads/$(id)": B,
        "refs/tags/v1": B,
        "refs/tags/light": A,
        "refs/pull/7/head": A,
        "refs/merge-requests/3/head": C,
    }


@given(st.text(st.characters(min_codepoint=1, max_codepoint=0x2FF), max_size=12))
@settings(max_examples=60, deadline=None)
def test_what_git_refuses_as_a_ref_we_refuse(tail: str) -> None:
    name = f"refs/heads/{tail}"
    if is_ref(name):
        done = subprocess.run(["git", "check-ref-format", name], check=False)
        assert done.returncode == 0


@pytest.mark.parametrize(
    "name", ["main", "refs/heads", "HEAD", "refs/heads/a.lock", "refs/heads/a b", "-x", ""]
)
def test_a_ref_is_given_in_full(name: str) -> None:
    with pytest.raises(SpecError, match="is no ref"):
        check_ref(name)


@pytest.mark.parametrize("text", ["", "main", "a" * 39, "A" * 40, "a" * 41, "--all", f"{A}^", f"{A}\n"])
def test_a_commit_is_given_by_all_its_digits(text: str) -> None:
    assert not is_oid(text)
    with pytest.raises(SpecError, match="is no commit"):
        check_oid(text)


def test_refs_are_fetched_into_their_own_names_and_patterns_are_few() -> None:
    assert refspecs(["refs/heads/*", "refs/pull/1/head"]) == [
        "+refs/heads/*:refs/heads/*",
        "+refs/pull/1/head:refs/pull/1/head",
    ]
    for ref in ("refs/*", "refs/pull/*/head", "refs/heads/a:refs/heads/b", "^refs/heads/a", "main"):
        with pytest.raises(SpecError):
            refspecs([ref])
