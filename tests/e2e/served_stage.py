"""Examples that stand as services in a repository of their own, wrk that puts them under load, and what is left of them."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from checkout import Done, ExampleCheckout

FAILURES = ("connect", "read", "write", "status", "timeout")
_LOAD = """\
local bodies, turn, threads = {}, 0, {}
answers = {}
for line in io.lines("BODIES") do bodies[#bodies + 1] = line end
function setup(thread) table.insert(threads, thread) end
function request()
  turn = turn % #bodies + 1
  return wrk.format("POST", nil, nil, bodies[turn])
end
function delay() return 4 end
function response(status, headers, body)
  local version = body:match('"model_version":"([^"]*)"') or "none"
  if status ~= 200 then version = "status " .. status end
  answers[version] = (answers[version] or 0) + 1
end
function done(summary)
  for name, count in pairs(summary.errors) do print("FOUND fault " .. name .. "=" .. count) end
  for _, thread in ipairs(threads) do
    for version, count in pairs(thread:get("answers")) do print("FOUND answer " .. version .. "=" .. count) end
  end
end
"""


@dataclass
class Load:
    """What wrk was told.

    Attributes:
        faults: kind of failure to how often; `status` are answers that are neither 2xx nor 3xx.
        answers: version to how many answers it gave; answers that are not 200 under their status.
    """

    faults: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)

    def assert_whole(self) -> None:
        """Many requests, and none that failed."""
        assert self.faults == dict.fromkeys(FAILURES, 0)
        assert all(version.isdigit() for version in self.answers), self.answers
        assert sum(self.answers.values()) > 200, self.answers


@contextmanager
def under_load(url: str, bodies: Sequence[str], folder: Path) -> Iterator[Load]:
    """Four connections of wrk that ask these JSON bodies, one after another, until the block ends.

    Without wrk the test is skipped at a desk and fails in CI.
    """
    program = shutil.which("wrk")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("wrk is not installed: tests/setup_debian.sh")
        pytest.skip("wrk is not installed: tests/setup_debian.sh")
    (folder / "bodies").write_text("".join(f"{body}\n" for body in bodies))
    script = folder / "load.lua"
    script.write_text(_LOAD.replace("BODIES", str(folder / "bodies")))
    command = [program, "-t1", "-c4", "-d600s", "--timeout", "10s", "-s", str(script), url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    load = Load()
    try:
        yield load
        # wrk ends in order on an interrupt and tells what it counted.
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    for line in out.splitlines():
        if line.startswith("FOUND "):
            kind, _, told = line.removeprefix("FOUND ").partition(" ")
            name, _, count = told.rpartition("=")
            (load.faults if kind == "fault" else load.answers)[name] = int(float(count))
    assert load.faults, out


@dataclass(frozen=True)
class Served:
    """A repository whose models are served at a desk."""

    checkout: ExampleCheckout

    @property
    def folder(self) -> Path:
        """Its top."""
        return self.checkout.folder

    def fiat(self, *words: str, code: int | None = 0) -> Done:
        """Run the program; it must end with this code, or None for any."""
        done = self.checkout.fiat(*words, env={"FIAT_COMPUTE": "local"})
        assert code in (done.code, None), f"{words} ended with {done.code}\n{done.out}\n{done.err}"
        return done

    def run(self, spec: str, *overrides: str) -> dict[str, Any]:
        """The document of a run."""
        document: dict[str, Any] = self.fiat("run", spec, *overrides, "--json").document
        return document

    def git(self, *words: str) -> str:
        """What git says."""
        command = [
            "git",
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@example.org",
            "-C",
            str(self.folder),
            *words,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, path: str, text: str, message: str) -> str:
        """Write one file and commit it; gives the commit."""
        (self.folder / path).write_text(text)
        self.git("add", path)
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def sight(self, place: str) -> dict[str, Any]:
        """What `fiat status` says of a place, whether or not it is as it should be."""
        shown = self.fiat("status", "--json", code=None).document
        found: dict[str, Any] = next(one for one in shown if one["place"] == place)
        return found

    def wait(
        self, place: str, true: Callable[[dict[str, Any]], bool], patience_s: float = 60
    ) -> dict[str, Any]:
        """Look at a place until it is so."""
        deadline = time.monotonic() + patience_s
        while not true(found := self.sight(place)):
            assert time.monotonic() < deadline, f"still {found}"
            time.sleep(0.2)
        return found

    def artifacts(self, run: dict[str, Any], outputs: dict[str, str], to: Path) -> dict[str, Path]:
        """Folders that steps of a run made, step to output, copied out of the store (DVC's layout)."""
        shown = self.fiat("show", run["run"], "--json").document
        cache = self.folder / ".fiat" / "cache" / "files" / "md5"

        def held(digest: str) -> Path:
            return cache / digest[:2] / digest[2:]

        for step in shown["steps"]:
            if step["name"] in outputs:
                digest = step["outputs"][outputs[step["name"]]]["digest"]
                for entry in json.loads(held(digest).read_text()):
                    path = to / step["name"] / entry["relpath"]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(held(entry["md5"]), path)
        return {name: to / name for name in outputs}

    def processes(self) -> list[psutil.Process]:
        """Whoever works for a model of this repository: its folder is among their words, or they stand in it."""
        found = []
        for process in psutil.process_iter(["cmdline", "cwd"]):
            words = [*(process.info["cmdline"] or []), process.info["cwd"] or ""]
            if process.pid != os.getpid() and any(str(self.folder) in word for word in words):
                found.append(process)
        return found

    def end(self) -> None:
        """End what a failed test has left."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
