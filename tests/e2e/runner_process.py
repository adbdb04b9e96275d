"""The runner as a process: started, asked, stopped and killed as an operator does it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from fiat.store.store import Store, open_store

PROGRAM = Path(sys.executable).with_name("fiat")
API_TOKEN = "an-api-token-for-tests"


@dataclass
class Answer:
    """What the runner's web server said."""

    status: int
    body: Any


@dataclass
class RunnerProcess:
    """`fiat runner` and its API.

    Attributes:
        folder: of the test.
        settings: what `runners/*.yaml` says, changed before `start`.
        environment: of the runner's process.
        port: that it listens on.
    """

    folder: Path
    settings: dict[str, Any]
    environment: dict[str, str]
    port: int
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Path:
        """Folder of the runner's store."""
        return self.folder / "state"

    @property
    def shelf(self) -> Path:
        """Folder that deploys go below."""
        return self.folder / "shelf"

    @property
    def log(self) -> str:
        """What the runner said so far."""
        path = self.folder / "runner.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self, *, ready_s: float = 60.0, config: str = "runner.yaml") -> None:
        """Start `fiat runner` and wait until it answers."""
        path = self.folder / config
        path.write_text(json.dumps(self.settings))
        with (self.folder / "runner.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(PROGRAM), "runner", "--config", str(path)],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait(self._answers, "the runner to answer", ready_s)

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
            self.process = None

    def kill(self) -> None:
        """SIGKILL to the main process alone: its workers notice by their lifelines."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def _answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the runner ended with {self.process.returncode}:\n{self.log}")
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    @contextmanager
    def opened_store(self) -> Iterator[Store]:
        """The runner's store, as another process of it would open it."""
        with open_store(self.store, now=lambda: datetime.now(UTC)) as store:
            yield store

    # The API.

    def get(self, path: str) -> Answer:
        """A reading call."""
        return self.ask("GET", path, None, {"Authorization": f"Bearer {API_TOKEN}"})

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """A call that asks for something."""
        headers = {"Authorization": f"Bearer {API_TOKEN}", "Content-Type": "application/json"}
        return self.ask("POST", path, json.dumps(body).encode(), headers)

    def runs(self, query: str = "limit=200") -> list[dict[str, Any]]:
        """Runs of the queue, the newest first."""
        found: list[dict[str, Any]] = self.get(f"/api/v1/runs?{query}").body["items"]
        return found

    def step_log(self, run: str, step: str) -> str:
        """What a step printed."""
        return str(self.get(f"/api/v1/runs/{run}/logs/{step}?limit=1000000").body)

    def ask(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Any request."""
        request = urllib.request.Request(f"{self.url}{path}", data=data, headers=dict(headers), method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Answer(response.status, _parsed(response.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, _parsed(error.read()))

    def fiat(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """The command line on another machine: its own home, nothing of the runner's environment."""
        home = self.folder / "elsewhere"
        home.mkdir(exist_ok=True)
        kept = {"PATH": os.environ["PATH"], "HOME": str(home), "FIAT_RUNNER_TOKEN": API_TOKEN}
        return subprocess.run(
            [str(PROGRAM), *words],
            cwd=home,
            env={**kept, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def wait(self, happened: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
        """Look again until something has happened."""
        give_up = time.monotonic() + timeout_s
        while not happened():
            if time.monotonic() > give_up:
                raise AssertionError(f"waited {timeout_s:.0f} s for {what}\n{self.log}")
            time.sleep(0.05)


def sleepers(seconds: str) -> list[psutil.Process]:
    """Processes that sleep for so many seconds: a number that no other test has."""
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if seconds in (process.info["cmdline"] or ())]


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode("utf-8", "replace")
