"""A step prints its secret in every way: nothing that Fiat keeps, shows or sends has it.

Reversed, encrypted, or a letter a line is out of scope, as `fiat/redaction.py` says: whoever is given a secret can pass
it on.
"""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from fiat.engine.silent import SilentReporter
from fiat.ports.report import Line
from fiat.run.model import Run, StepResult
from fiat.wiring.desk import open_desk
from fiat.wiring.settings import read_settings

TOKEN = "tok_/+9vKq27\"LmZb'0tR4yW & é=%"
PEM = "\n".join(
    ["-----BEGIN PRIVATE KEY-----", *(base64.b64encode(bytes([n] * 48)).decode() for n in (7, 8, 9))]
)

_LEAK = r"""
import base64, html, json, os, sys, time
from urllib.parse import quote, quote_plus
token, key = os.environ["TOKEN"], os.environ["KEY"]
raw = token.encode()
print("raw", token)
print("in the middle of a lin" + token + "e")
print(json.dumps({"token": token}), json.dumps(token, ensure_ascii=False), repr(token), repr(raw), html.escape(token))
print(quote(token), quote(token, safe=""), quote_plus(token), f"https://me:{quote(token, safe='')}@host/")
for before in (b"", b"u", b"u:"):
    print(base64.b64encode(before + raw + b"tail").decode(), base64.urlsafe_b64encode(before + raw).decode())
print(raw.hex(), raw.hex().upper())
print(key, json.dumps(key))
print(base64.encodebytes(key.encode()).decode())
for half in (raw[:9], raw[9:], b"\n"):
    os.write(1, half); time.sleep(0.15)
for one in raw:
    os.write(2, bytes([one]))
os.write(1, b"\n" + raw[:7] + b"\x1b[31m" + raw[7:] + b"\x1b[0m\n")
print("x" * 65520 + token + "y" * 500)
print(f"FIAT_METRIC tok_{raw.hex()}=1")
print("FIAT_METRIC fine=2", flush=True)
sys.stdout.flush()
"""

_MODULE = """
import os

def leak(out):
    exec(open("leak.py").read())
    out["numbers"].write_text('{"of %s": 1, "ok": 2}' % os.environ["TOKEN"].encode().hex())

def fail(out):
    token = os.environ["TOKEN"]
    try:
        open(token.replace("/", "_"))
        open(token.encode().hex())
    except OSError:
        pass
    raise ValueError(f"bad credential {token} / {token.encode().hex()}")
"""

SPEC = """
fiat: 1
name: leaky
env: {secrets: [TOKEN, KEY]}
steps:
  shell:
    run: python leak.py; echo 1 > {out.o}; set -x; test -n "$TOKEN"
    out: {o: file}
    secrets: [TOKEN, KEY]
    code: []
  call: {call: "leaky:leak", out: {numbers: metrics}, secrets: [TOKEN, KEY]}
  fail: {call: "leaky:fail", out: {o: file}, secrets: [TOKEN, KEY], retries: 1}
"""


class Listener(SilentReporter):
    """Remembers every word that it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def stepped(self, run: Run, result: StepResult) -> None:
        self.heard.append(repr(result))

    def printed(self, run: Run, line: Line) -> None:
        self.heard.append(line.text)

    def ended(self, run: Run) -> None:
        self.heard.append(repr(run))


def forms() -> list[bytes]:
    """What must be found nowhere."""
    raw = TOKEN.encode()
    texts = [TOKEN, json.dumps(TOKEN)[1:-1], json.dumps(TOKEN, ensure_ascii=False)[1:-1], repr(TOKEN)[1:-1]]
    texts += [
        repr(raw)[2:-1],
        quote(TOKEN),
        quote(TOKEN, safe=""),
        quote_plus(TOKEN),
        raw.hex(),
        raw.hex().upper(),
    ]
    for before in (b"", b"u", b"u:"):
        inner = base64.b64encode(before + raw).decode()[4 * bool(before) : -4]
        texts += [inner, inner.replace("+", "-").replace("/", "_")]
    texts += PEM.splitlines()[1:]
    return [text.encode() for text in texts] + [base64.b64encode(PEM.encode())[80:130]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "leak.py").write_text(_LEAK)
    (tmp_path / "leaky.py").write_text(_MODULE)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", ["none", "bubblewrap"])
def test_a_secret_is_in_no_log_no_database_no_page_and_no_answer(project: Path, sandbox: str) -> None:
    environment = {**os.environ, "TOKEN": TOKEN, "KEY": PEM, "NO_COLOR": "1"}
    override = f"env.sandbox={sandbox}"
    desk = open_desk(str(project / "spec.yaml"), [override], read_settings(environment))
    listener = Listener()
    run = desk.apply(desk.new_run(), listener, compute="local")
    assert {step.name: step.state for step in run.steps} == {"shell": "ran", "call": "ran", "fail": "failed"}
    assert "bad credential *** / ***" in run.reason
    log = (project / ".fiat/runs" / run.id / "shell.log").read_text()
    assert log.count("***") > 25
    assert "in the middle of a lin***e" in log
    assert "line cut after 65536 bytes" in log
    names = {metric.name for _, metric in desk.store.metrics.of_steps(run.id)}
    assert {"fine", "ok", "tok_***", "of ***"} <= names
    desk.store.close()

    shown = [" ".join(listener.heard).encode()]
    fiat = [sys.executable, "-m", "fiat"]
    for command in (
        ["logs", run.id],
        ["show", run.id, "--json"],
        ["show", run.id],
        ["runs"],
        ["report", run.id],
    ):
        done = subprocess.run(
            [*fiat, *command], cwd=project, env=environment, capture_output=True, check=False
        )
        assert done.returncode in (0, 1), (command, done.stderr)
        shown.append(done.stdout + done.stderr)
    kept = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    assert any(path.suffix == ".html" for path in kept)
    assert any(path.name == "store.db" for path in kept)
    outputs = project / ".fiat/cache"  # what a step writes into its outputs is its own
    for form in forms():
        for text in shown:
            assert form not in text, form
        for path, content in kept.items():
            if not path.is_relative_to(outputs):
                assert form not in content, (form, path)


def test_a_secret_of_one_step_is_masked_in_what_others_say_of_its_outputs(project: Path) -> None:
    (project / "spec.yaml").write_text(
        "fiat: 1\nname: handed\nenv: {secrets: [TOKEN]}\nsteps:\n"
        '  a: {run: "printf %s \\"$TOKEN\\" > {out.o}", out: {o: file}, secrets: [TOKEN], code: []}\n'
        "  b: {run: 'python name.py {a.o} {out.m}', out: {m: metrics}, code: [name.py]}\n"
    )
    (project / "name.py").write_text(
        "import json, sys\nname = open(sys.argv[1], 'rb').read().hex()\njson.dump({name: 1}, open(sys.argv[2], 'w'))\n"
    )
    environment = {**os.environ, "TOKEN": TOKEN}
    desk = open_desk(str(project / "spec.yaml"), [], read_settings(environment))
    run = desk.apply(desk.new_run(), SilentReporter(), compute="local")
    assert run.verdict == "pass", run.reason
    assert [metric.name for _, metric in desk.store.metrics.of_steps(run.id)] == ["***"]
