"""The port at which several workers meet."""

import socket

import pytest

from fiat.builtin.gang_door import find_port, hold_port, listen_at

HOST = "127.0.0.1"


def test_a_port_is_free_also_at_an_address_that_only_leads_here_from_outside() -> None:
    for address in (HOST, "203.0.113.77"):
        with socket.socket() as door:
            door.bind((HOST, find_port(address)))


def test_nobody_else_is_given_a_held_port_and_the_first_worker_listens_there() -> None:
    port = find_port(HOST)
    with hold_port(HOST, port), socket.socket() as other:
        with pytest.raises(OSError, match="in use"):
            other.bind((HOST, port))
        fd = listen_at(HOST, port)
        assert fd is not None
        with socket.socket(fileno=fd) as door, socket.create_connection((HOST, port)) as caller:
            door.accept()[0].close()
            assert caller.recv(1) == b""


def test_a_port_that_somebody_has_is_not_listened_at_twice() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        assert listen_at(HOST, port) is None
        hold_port(HOST, port).close()
    assert listen_at("203.0.113.77", find_port(HOST)) is None
