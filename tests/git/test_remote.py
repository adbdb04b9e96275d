"""Which URLs are fetched from, and what is shown there."""

import base64

import pytest

from fiat.errors import SpecError
from fiat.git.remote import Address, Remote, read_url

GOOD = {
    "https://git.example/acme/models.git": Address("https", "git.example"),
    "https://git.example:8443/a": Address("https", "git.example", 8443),
    "https://[2001:db8::1]:80/a": Address("https", "[2001:db8::1]", 80),
    "ssh://git@git.example:2222/a.git": Address("ssh", "git.example", 2222),
    "ssh://git.example/~me/a": Address("ssh", "git.example"),
    "git@GitHub.com:acme/models.git": Address("ssh", "github.com"),
    "git.example:acme/models": Address("ssh", "git.example"),
}
BAD = {
    "": "no URL has",
    "-oProxyCommand=id": "no URL has",
    "--upload-pack=touch x": "no URL has",
    "https://git.example/a b": "no URL has",
    "https://git.example/\nx": "no URL has",
    "https://git.example/\u202e": "no URL has",
    "https://git.example\\@evil.example/a": "no URL has",
    "https://git.example/" + "a" * 3000: "no URL has",
    "ext::sh -c id": "no URL has",
    "ext::sh%20-c%20id": "helper program",
    "fd::17": "helper program",
    "file:///etc": "file is not spoken",
    "/etc/passwd": "is not spoken",
    "../elsewhere": "is not spoken",
    "git://git.example/a": "git is not spoken",
    "http://git.example/a": "http is not spoken",
    "ftp://git.example/a": "ftp is not spoken",
    "https://me@git.example/a": "user or password",
    "https://me:pass-word@git.example/a": "user or password",
    "ssh://git:pass-word@git.example/a": "user or password",
    "ssh://-oProxyCommand=id/a": "its host is none",
    "ssh://git@-oProxyCommand=id/a": "its host is none",
    "ssh://-l@git.example/a": "its user is none",
    "-l@git.example:a": "no URL has",
    "git@-oProxyCommand=id:a": "its host is none",
    "https:///a": "its host is none",
    "https://git.example:99999/a": "host or port",
    "https://git.example:x/a": "host or port",
    "https://[::1/a": "host or port",
    "https://git.example/a?x": "? or #",
    "https://git.example/a#x": "? or #",
}


@pytest.mark.parametrize("url", GOOD)
def test_addresses_of_repositories_are_taken_apart(url: str) -> None:
    assert read_url(url) == GOOD[url]


@pytest.mark.parametrize("url", BAD)
def test_what_could_run_something_or_reach_another_place_is_refused(url: str) -> None:
    with pytest.raises(SpecError, match=None) as caught:
        read_url(url)
    assert BAD[url] in str(caught.value)
    assert "pass-word" not in str(caught.value)


def test_other_protocols_are_spoken_only_where_the_operator_says_so() -> None:
    protocols = frozenset({"http", "file"})
    assert read_url("http://127.0.0.1:80/a", protocols) == Address("http", "127.0.0.1", 80)
    assert read_url("file:///srv/a", protocols) == Address("file", "")
    for url in ("https://git.example/a", "file://host/a", "file:a", "ext::id"):
        with pytest.raises(SpecError):
            read_url(url, protocols)
    with pytest.raises(SpecError):
        read_url("ext://x/a", frozenset({"ext"}))


def test_the_token_goes_to_its_own_host_and_shows_nowhere() -> None:
    remote = Remote("https://git.example:8443/acme/models", user="me", token="s3cret-token")
    basic = base64.b64encode(b"me:s3cret-token").decode()
    assert remote.config()["http.https://git.example:8443/.extraHeader"] == f"Authorization: Basic {basic}"
    assert "s3cret" not in repr(remote)
    assert "s3cret" not in str(remote.variables())
    assert remote.secrets == ("s3cret-token",)
    assert Remote("https://git.example/a", proxy="http://me:pr0xy-word@proxy:3128").secrets == ("pr0xy-word",)
    assert not any("extraHeader" in key for key in Remote("ssh://git.example/a", token="x").config())


def test_ssh_asks_nobody_reads_no_settings_and_knows_its_hosts() -> None:
    command = Remote("git@git.example:a", ssh_key="/keys/my key", known_hosts="/keys/hosts").variables()[
        "GIT_SSH_COMMAND"
    ]
    for part in (
        "ssh -F none",
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ProxyCommand=none",
        "-i '/keys/my key'",
        "UserKnownHostsFile=/keys/hosts",
        "IdentitiesOnly=yes",
    ):
        assert part in command
