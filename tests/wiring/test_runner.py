"""A whole runner in this process: what it shares, wakes and gives back."""

import json
import os
import time
from pathlib import Path

from fiat.store.store import open_store
from fiat.wiring.desk import utc_now
from fiat.wiring.runner import Runner
from fiat.wiring.runner_parts import credential_lines, make_parts
from fiat.wiring.runner_reading import read_runner_settings
from fiat.wiring.runner_settings import RunnerSettings


def settings(folder: Path, *repositories: dict[str, object]) -> RunnerSettings:
    path = folder / "runner.yaml"
    given = {
        "fiat_runner": 1,
        "store": "state",
        "compute": "local",
        "workers": 1,
        "sandbox": {"kind": "none"},
        "repositories": repositories,
    }
    path.write_text(json.dumps(given))
    return read_runner_settings(path, {"ONE": "token-one", "TWO": "token-two"})


def repository(name: str, token: str = "", **entry: object) -> dict[str, object]:
    credential = {"credential": {"token": {"env": token}}} if token else {}
    url = "https://127.0.0.1:9/x.git"
    return {"name": name, "forge": "gitea", "url": url, "webhooks": False, **credential, **entry}


def test_repositories_of_one_api_and_credential_are_on_one_line(tmp_path: Path) -> None:
    lines = credential_lines(
        settings(
            tmp_path,
            repository("a/a", "ONE"),
            repository("a/b", "ONE"),
            repository("a/c", "TWO"),
            repository("a/d", "ONE", api="https://other.example/api/v1"),
            repository("a/e"),
        )
    )
    assert lines == {"a/a": "a/a", "a/b": "a/a", "a/c": "a/c", "a/d": "a/d"}


def test_a_runner_that_stops_in_order_leaves_its_seats(tmp_path: Path) -> None:
    given = settings(tmp_path, repository("a/a"))
    runner = Runner(make_parts(given), dict(os.environ))
    with open_store(given.store, now=utc_now) as store:
        runner.start()
        try:
            while not store.seats.look("reconciler").holder or not store.seats.look("sender").holder:
                time.sleep(0.05)
        finally:
            runner.stop()
        assert [store.seats.look(name).holder for name in ("reconciler", "sender", "cleaner")] == [""] * 3


def test_a_webhook_wakes_who_reconciles_and_who_sends_only(tmp_path: Path) -> None:
    runner = Runner(make_parts(settings(tmp_path, repository("a/a"))), {})
    runner._loops = [runner._reconcile_loop(), runner._send_loop(), runner._keep_loop(), runner._clean_loop()]
    runner.wake("a/a")
    woken = {loop.name: loop.wake.is_set() for loop in runner._loops}
    assert woken == {"reconciler": True, "sender": True, "keeper": False, "cleaner": False}
    runner.stop()
