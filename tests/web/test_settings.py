"""Doors that must not be opened, and names by which we may be reached."""

import pytest
from web_stage import SECRET, Stage, app_of, settings

from fiat.errors import EXIT_SPEC, SpecError
from fiat.web.settings import is_loopback


def test_a_short_webhook_secret_opens_no_door() -> None:
    with pytest.raises(SpecError, match="fewer than 16 characters") as caught:
        app_of(Stage(secrets={"github": (SECRET, "fifteen letters")}))
    assert caught.value.exit_code == EXIT_SPEC
    assert "fifteen" not in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.7", "::", "fiat.example", ""])
def test_unsigned_webhooks_stay_on_loopback(host: str) -> None:
    with pytest.raises(SpecError, match="can't be taken"):
        app_of(Stage(secrets={}), host=host, insecure=True)
    assert app_of(Stage(secrets={}), host="127.0.0.1", insecure=True)


def test_a_short_key_signs_no_sessions() -> None:
    with pytest.raises(SpecError, match="32 bytes"):
        app_of(Stage(), key=b"short")


def test_the_key_is_not_printed() -> None:
    assert "kkkk" not in repr(settings())


def test_our_names_are_those_of_the_address_the_operator_and_loopback() -> None:
    names = settings(url="https://Fiat.example:8443", host="10.0.0.7", allowed_hosts=("inner.example",)).hosts
    assert names == {"fiat.example", "10.0.0.7", "inner.example", "localhost", "127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("x", False),
    ],
)
def test_what_loopback_is(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
