"""Processes are known for good, and those of other containers are not taken for dead."""

import os
import socket
import subprocess
import sys

from fiat.wiring.processes import host_name, kill_process, process_alive, process_name


def test_a_process_lives_until_it_ends_and_its_number_alone_says_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        name = process_name(process.pid)
        assert process_alive(name) is True
        host, pid, ticks = name.rsplit(":", 2)
        assert process_alive(f"{host}:{pid}:{int(ticks) + 1}") is False
        kill_process(name)
        assert process.wait(10) == -9
        assert process_alive(name) is False


def test_nothing_is_said_of_processes_of_other_hosts_boots_and_containers() -> None:
    host, boot, space = host_name().rsplit(".", 2)
    assert host == socket.gethostname()
    pid_and_start = process_name(os.getpid()).partition(":")[2]
    for other in (host, f"{host}.00000000.{space}", f"{host}.{boot}.1", f"x{host}.{boot}.{space}"):
        assert process_alive(f"{other}:{pid_and_start}") is None
        kill_process(f"{other}:{pid_and_start}")
    assert process_alive(process_name(os.getpid())) is True
    assert host_name().count(":") == 0
