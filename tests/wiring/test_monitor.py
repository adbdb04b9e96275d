"""One look at a service: a webhook told once over real HTTP, actions given until they are settled, nothing done twice."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from fiat.builtin.http_client import HttpClient, HttpPolicy
from fiat.serving.place import Place
from fiat.wiring.monitor import WatchOutcome, settle, watch_service, watched_of
from tests.monitor.watch_stage import OTHER, logged, reference, release, two_columns, write_log

DRAW = np.random.default_rng(5)


class Receiver:
    """A webhook's receiver.

    Attributes:
        told: (headers, body) of each request.
        status: what it answers.
    """

    def __init__(self) -> None:
        self.told: list[tuple[dict[str, str], dict]] = []
        self.status = 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.told.append((dict(self.headers), json.loads(body)))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alarms"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "service")
    release(place, reference(two_columns(DRAW, 5000)))
    return place


def spec(receiver: Receiver, **more: object) -> dict[str, object]:
    drift = {"max": 0.1, "window": 100, "metric": "js"}
    return {"drift": drift, "webhook": receiver.url, **more}


CLIENT = HttpClient(HttpPolicy(allow_private_hosts=True, timeout_s=5.0))


def drifted(place: Place, number: int, shift: float = 2.0) -> None:
    write_log(place, logged(two_columns(DRAW, 100, shift=shift), first=100 * number), number=number)


def test_an_alarm_is_told_once_and_its_end_once(place: Place, receiver: Receiver) -> None:
    settings = spec(receiver)
    for number, shift in enumerate([0.0, 2.0, 2.0, 0.0, 0.0, 0.0]):
        drifted(place, number, shift)
        for _ in range(2):
            outcome = watch_service(place, settings, 1000.0 + number, client=CLIENT)
            for action in outcome.actions:
                settle(place, action, 1000.0 + number)
    assert [body["event"] for _, body in receiver.told] == ["alarm", "cleared"]
    headers, body = receiver.told[0]
    assert headers["Idempotency-Key"] == body["key"] == "webhook-drift-aaaaaaaa-2"
    assert body["columns"][0]["name"] == "amount"
    assert "amount" in body["sentence"]
    assert body["commit"] == "c0ffee"


def test_what_others_have_to_do_is_given_until_it_is_settled(place: Place, receiver: Receiver) -> None:
    settings = spec(receiver, on_drift="retrain", cool_down="1h", max_retrains=2)
    drifted(place, 0)
    first = watch_service(place, settings, 0.0)
    assert [item.kind for item in first.actions] == ["status", "retrain"]
    assert watch_service(place, settings, 1.0).actions == first.actions
    for action in first.actions:
        settle(place, action, 2.0)
    assert watch_service(place, settings, 3.0).actions == ()
    assert [alarm.about for alarm in watch_service(place, settings, 3.0).alarms] == ["drift"]
    later = watch_service(place, settings, 3700.0)
    assert [item.kind for item in later.actions] == ["retrain"]
    settle(place, later.actions[0], 3700.0)
    assert watch_service(place, settings, 1e6).actions == ()


def test_a_receiver_that_fails_is_told_again_later_under_the_same_key(
    place: Place, receiver: Receiver
) -> None:
    receiver.status = 500
    drifted(place, 0)
    watch_service(place, spec(receiver), 0.0, client=CLIENT)
    watch_service(place, spec(receiver), 1.0, client=CLIENT)
    assert len(receiver.told) == 1
    receiver.status = 200
    for now_s in (61.0, 62.0, 500.0):
        watch_service(place, spec(receiver), now_s, client=CLIENT)
    assert len(receiver.told) == 2
    assert receiver.told[0][1]["key"] == receiver.told[1][1]["key"]


def test_a_webhook_that_the_operator_does_not_grant_is_not_called(place: Place, receiver: Receiver) -> None:
    drifted(place, 0)
    outcome = watch_service(place, spec(receiver), 0.0, client=HttpClient(HttpPolicy()))
    assert receiver.told == []
    assert outcome.alarms


def test_nothing_is_read_while_nothing_is_new(place: Place, receiver: Receiver) -> None:
    drifted(place, 0, shift=0.0)
    assert len(watch_service(place, spec(receiver), 0.0).windows) == 1
    times = []
    for now_s in range(1, 6):
        started = time.perf_counter()
        assert watch_service(place, spec(receiver), float(now_s)) == WatchOutcome()
        times.append(time.perf_counter() - started)
    assert min(times) < 0.05  # to start the child that reads takes ten times as long


def test_whoever_watches_loads_neither_arrow_nor_polars() -> None:
    code = "import sys, fiat.wiring.monitor; print([n for n in ('pyarrow', 'polars', 'scipy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_another_model_ends_an_alarm(place: Place, receiver: Receiver) -> None:
    drifted(place, 0)
    watch_service(place, spec(receiver), 0.0, client=CLIENT)
    release(place, reference(two_columns(DRAW, 5000, shift=2.0)), OTHER)
    outcome = watch_service(place, spec(receiver), 1.0, client=CLIENT)
    assert outcome.alarms == ()
    assert [body["event"] for _, body in receiver.told] == ["alarm", "cleared"]


DYING = """
import os, signal, sys
left = [int(sys.argv[1])]
flush = os.fsync
def dying(file):
    flush(file)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
os.fsync = dying
"""
"""A program that kills itself at its n-th flush to the disk, so that every step in between is met."""


def test_a_watcher_that_is_killed_anywhere_tells_nothing_twice(place: Place, receiver: Receiver) -> None:
    drifted(place, 0)
    code = f"""{DYING}
from pathlib import Path
from fiat.builtin.http_client import HttpClient, HttpPolicy
from fiat.serving.place import Place
from fiat.wiring.monitor import watch_service
client = HttpClient(HttpPolicy(allow_private_hosts=True))
settings = {{"drift": {{"max": 0.1, "window": 100}}, "webhook": {receiver.url!r}}}
watch_service(Place(Path({str(place.folder)!r})), settings, 5.0, client=client)
"""
    # At flush 2 the receiver has been told, and that it was is on the disk.
    ends = [
        subprocess.run([sys.executable, "-c", code, str(step)], check=False).returncode for step in (2, 1, 9)
    ]
    assert ends == [-signal.SIGKILL, 0, 0]
    assert len(receiver.told) == 1
    assert watch_service(place, spec(receiver), 6.0, client=CLIENT).windows == ()
    assert len(receiver.told) == 1


@pytest.mark.slow
def test_a_reader_that_is_killed_anywhere_judges_no_window_twice(place: Place) -> None:
    for number, shift in enumerate([0.0, 2.0, 2.0, 0.0]):
        drifted(place, number, shift)
    watched = watched_of(place, {"drift": {"max": 0.1, "window": 100}})
    folders = {name: str(getattr(watched, name)) for name in ("predictions", "labels", "releases")}
    asked = {**folders, "drift": {"max": 0.1, "window": 100}, "quality": None}
    question = json.dumps({"ask": "windows", "watched": asked, "memory": str(place.watch)})
    code = f"{DYING}\nfrom fiat.monitor.child import main\nsys.exit(main())"
    ends = [
        subprocess.run(
            [sys.executable, "-c", code, str(step)], input=question, text=True, check=False
        ).returncode
        for step in (1, 2, 9)
    ]
    assert ends == [-signal.SIGKILL, -signal.SIGKILL, 0]
    found = [json.loads(line) for line in (place.watch / "windows.jsonl").read_text().splitlines()]
    assert [line["serial"] for line in found] == [1, 2, 3, 4]
    assert [line["episode"] and line["episode"]["since"] for line in found] == [None, 2, 2, 2]
