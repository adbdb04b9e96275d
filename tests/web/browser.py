"""A real Chromium, led over its debugging pipe: opens pages, runs our questions in them, hears what it complains of.

Source: https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

TIMEOUT_S = 30.0


class Moved(Exception):
    """The page went to another one while it was asked."""


class Browser:
    """One page of one browser.

    Attributes:
        events: everything that it said by itself, as (method, parameters).
    """

    def __init__(self, process: subprocess.Popen[bytes], commands: int, answers: int) -> None:
        self._process = process
        self._commands = commands
        self._answers = answers
        self._held = b""
        self._last = 0
        self._session = ""
        self.events: list[tuple[str, dict[str, Any]]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command and its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + TIMEOUT_S
        while True:
            answer = self._next(until)
            if answer.get("id") == self._last:
                if "navigated" in str(answer.get("error")) or "context" in str(answer.get("error")):
                    raise Moved
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append((answer.get("method", ""), answer.get("params", {})))

    def open(self, url: str) -> None:
        """Go to a page and wait until it is there."""
        loader = self.call("Page.navigate", url=url)["loaderId"]
        loaded = ("Page.lifecycleEvent", "load", loader)
        self.wait(
            lambda: any(
                (name, said.get("name"), said.get("loaderId")) == loaded for name, said in self.events
            )
        )

    def run(self, script: str) -> Any:
        """What an expression gives in the page."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait until something is so, on this page or the next."""
        until = time.monotonic() + TIMEOUT_S
        while True:
            try:
                if condition():
                    return
                self.run("1")  # so that events come in
            except Moved:
                pass
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.02)

    def picture(self, path: Path, width: int = 1200, *, dark: bool = False) -> None:
        """The whole page as a PNG file."""
        self.look(width, dark=dark)
        height = int(self.run("document.documentElement.scrollHeight"))
        self.look(width, height, dark=dark)
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def look(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Set the size of the window and the colours that its user likes."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 700,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def complaints(self) -> list[str]:
        """Dialogs, refused scripts and errors, in words."""
        found = []
        for name, said in self.events:
            if name == "Page.javascriptDialogOpening":
                found.append(f"dialog: {said['message']}")
            elif name == "Log.entryAdded" and said["entry"]["level"] == "error":
                found.append(f"log: {said['entry']['text']} {said['entry'].get('url', '')}")
            elif name == "Runtime.exceptionThrown":
                found.append(f"exception: {said['exceptionDetails']}")
            elif name == "Audits.issueAdded" and said["issue"]["code"] == "ContentSecurityPolicyIssue":
                found.append(f"policy: {said['issue']}")
        return found

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._held:
            answers = select.poll()  # unlike select, it takes descriptors of any number
            answers.register(self._answers, select.POLLIN)
            assert answers.poll(1000 * max(0.0, until - time.monotonic())), "the browser says nothing"
            piece = os.read(self._answers, 1 << 20)
            assert piece, "the browser is gone"
            self._held += piece
        message, _, self._held = self._held.partition(b"\0")
        return dict(json.loads(message))


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with an empty profile; without Chromium a reason to skip at a desk and to fail in CI."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed; CI must look at the pages with it")
        pytest.skip("Chromium is not installed")
    commands_in, commands_out = os.pipe()
    answers_in, answers_out = os.pipe()
    arguments = [
        *(
            "--headless=new",
            "--remote-debugging-pipe",
            f"--user-data-dir={folder / 'profile'}",
            "--no-first-run",
        ),
        *("--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server", "--disable-background-networking"),
        # As root, as in many a container, Chromium has no sandbox of its own; it opens our own pages only.
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    script = f'exec "$0" "$@" 3<&{commands_in} 4>&{answers_out}'
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", script, program, *arguments, "about:blank"],
            pass_fds=(commands_in, answers_out),
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(folder)},
        )
    os.close(commands_in)
    os.close(answers_out)
    try:
        yield Browser(process, commands_out, answers_in)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        os.close(commands_out)
        os.close(answers_in)
