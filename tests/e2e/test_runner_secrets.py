"""Secrets, the network and the sandbox on a runner: only what is granted and named, and nothing of it is kept."""

import base64
import json
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.repo_stage import RepoStage
from tests.e2e.runner_stage import RunnerStage, runner_stage
from tests.e2e.tiny_specs import tiny

pytestmark = pytest.mark.slow
PUSH, PULL = "fiat/push", "fiat/pr"
SECRET = "s3cr3t/of+the~hub&0123456789"
OTHER = "another-secret-of-somebody-else"
HEAD = "env: {secrets: [HUB_TOKEN]}\n"
GIVEN = ", secrets: [HUB_TOKEN]"
SPEAK = """\
import base64, json, os, sys, time, urllib.parse
s = os.environ["HUB_TOKEN"]
for word in (s, json.dumps(s), repr(s), urllib.parse.quote(s, ""), s.encode().hex(), s.encode().hex().upper()):
    print("said", word, flush=True)
for before in ("", "x", "xy"):
    print("said", base64.b64encode((before + s).encode()).decode(), flush=True)
for piece in (s[:9], s[9:]):
    os.write(1, piece.encode()); time.sleep(0.2)
print(flush=True)
print("\\x1b[31m" + s + "\\x1b[0m", file=sys.stderr, flush=True)
print("FIAT_METRIC " + s + "=1", flush=True)
print("FIAT_METRIC fine=1", flush=True)
open(os.environ["HUB_OUT"], "w").write("nothing")
raise RuntimeError("can't log in with " + s)
"""
KNOCK = """\
import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2).close()
open(sys.argv[2], "w").write("heard")
"""


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerStage]:
    with runner_stage(tmp_path_factory.mktemp("secrets"), workers=2) as stage:
        stage.environment |= {"HUB": SECRET, "OTHER": OTHER}
        stage.settings["secrets"] = {"HUB_TOKEN": {"env": "HUB"}, "OTHER_TOKEN": {"env": "OTHER"}}
        stage.entry["secrets"] = ["HUB_TOKEN"]
        stage.add("acme/wide", secrets=["HUB_TOKEN"], network=True)
        stage.add("acme/shut")
        # Each test its own: a forge is told one thing a second after the first twenty.
        stage.add("acme/heard", network=True)
        stage.add("acme/unheard")
        stage.start()
        stage.pushed({"README.md": "words"})
        yield stage


def forms(secret: str) -> list[bytes]:
    """How a secret can be found again in what was kept."""
    found = [secret, json.dumps(secret)[1:-1], urllib.parse.quote(secret, ""), secret.encode().hex()]
    for before in range(3):
        # The characters of base64 that hold bits of the secret alone.
        coded = base64.b64encode(b"x" * before + secret.encode()).decode()
        found.append(coded[(before * 8 + 5) // 6 : (before + len(secret)) * 8 // 6])
    return [form.encode() for form in found] + [secret.encode().hex().upper().encode()]


def spoken(folder: Path) -> bytes:
    """What the speaking step prints where nothing is masked."""
    (folder / "speak.py").write_text(SPEAK)
    done = subprocess.run(
        [sys.executable, "speak.py"],
        cwd=folder,
        env={"HUB_TOKEN": SECRET, "HUB_OUT": "out"},
        capture_output=True,
        check=False,
    )
    return done.stdout + done.stderr


def kept_in(folder: Path, wanted: list[bytes]) -> list[str]:
    """Files below a folder that hold one of these."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(form in path.read_bytes() for form in wanted)
    ]


def logs(repo: RepoStage, commit: str, step: str = "a") -> str:
    return repo.runner.step_log(repo.runs_of(commit)[0]["id"], step)


def test_a_secret_reaches_the_step_that_names_it_and_no_other(runner: RunnerStage) -> None:
    spec = tiny("1", run='test "$HUB_TOKEN" && touch {{out.o}}', head=HEAD, more=GIVEN)
    other = (
        "  b: {run: 'test -z \"$HUB_TOKEN$OTHER_TOKEN\" && env | tee {out.p}', out: {p: file}, code: []}\n"
    )
    commit = runner.pushed({"spec.yaml": spec + other})
    assert runner.said(commit, PUSH).startswith("success"), logs(runner, commit) + logs(runner, commit, "b")
    seen = logs(runner, commit, "b")
    assert "FIAT_OUTPUTS" in seen
    for name in ("API_TOKEN", "FORGE_TOKEN", "HOOK_SECRET", "HUB", "OTHER"):
        assert f"\n{name}=" not in seen


def test_a_printed_secret_is_in_no_log_page_comment_database_or_file_whatever_its_coding(
    runner: RunnerStage, tmp_path: Path
) -> None:
    plain, wanted = spoken(tmp_path), forms(SECRET)
    assert [form for form in wanted if form not in plain] == []
    run = "HUB_OUT={{out.o}} python3 speak.py"
    spec = tiny("2", run=run, head=HEAD, code="speak.py", more=GIVEN)
    commit = runner.propose(1, {"spec.yaml": spec, "speak.py": SPEAK})
    assert runner.said(commit, f"{PULL}/tiny").startswith("error: step a failed")
    log = logs(runner, commit)
    assert log.count("said") == 9
    assert log.count("***") >= 12
    assert "can't log in with ***" in log
    runner.wait(lambda: "can't log in with" in "".join(runner.forge.world.texts(1)), "the comment")
    run_id = runner.runs_of(commit)[0]["id"]
    pages = [runner.get(path).body for path in (f"/runs/{run_id}", f"/api/v1/runs/{run_id}", "/runs")]
    report = runner.get(f"/runs/{run_id}/report").body
    told = json.dumps(
        [pages, report, runner.forge.world.texts(1), [vars(seen) for seen in runner.forge.world.seen]]
    )
    assert [form for form in wanted if form in told.encode()] == []
    assert kept_in(runner.store, wanted) == []
    assert SECRET not in runner.log


def test_a_secret_that_is_not_granted_is_an_error_that_says_so(runner: RunnerStage) -> None:
    shut = runner.others["acme/shut"]
    commit = shut.pushed({"spec.yaml": tiny("3", head=HEAD, more=GIVEN)})
    assert "secret HUB_TOKEN of step a is not granted here" in shut.said(commit, f"{PUSH}/tiny")
    ours = runner.pushed(
        {
            "specs/other/spec.yaml": tiny(
                "3", name="other", head="env: {secrets: [OTHER_TOKEN]}\n", more=", secrets: [OTHER_TOKEN]"
            )
        }
    )
    assert "secret OTHER_TOKEN of step a is not granted here" in runner.said(ours, f"{PUSH}/other")


def test_a_fork_gets_no_secret_and_no_network_though_the_spec_in_force_names_them(
    runner: RunnerStage,
) -> None:
    wide = runner.others["acme/wide"]
    call = f"python3 knock.py {runner.git.port} {{{{out.o}}}}"
    files = {
        "knock.py": KNOCK,
        "spec.yaml": tiny("4", run=call, head="env: {network: true}\n", code="knock.py"),
        "specs/told/spec.yaml": tiny("4", name="told", run=call, head=HEAD, code="knock.py", more=GIVEN),
    }
    wide.pushed(files)
    theirs = wide.propose(1, {"knock.py": KNOCK + "# by a stranger\n"}, fork=True)
    wide.runner.wait(lambda: "approve" in wide.description(theirs, f"{PULL}/tiny"), "the wait for approval")
    wide.tell_comment(1, f"/fiat approve {theirs}")
    assert wide.said(theirs, f"{PULL}/tiny").startswith("error: step a failed")
    (log,) = [runner.step_log(run["id"], "a") for run in wide.runs_of(theirs) if run["spec"] == "tiny"]
    assert "the network, which is not granted here" in log
    assert "secret HUB_TOKEN of step a is not granted here" in wide.said(theirs, f"{PULL}/told")


def test_a_step_reaches_the_network_only_where_the_spec_asks_and_the_operator_allows(
    runner: RunnerStage,
) -> None:
    asked = "env: {network: true}\n"
    run = f"python3 knock.py {runner.git.port} {{{{out.o}}}}"
    heard, unheard = runner.others["acme/heard"], runner.others["acme/unheard"]
    for repo, head, works in ((heard, "", False), (heard, asked, True), (unheard, asked, False)):
        spec = tiny("5", name="knock", run=run, head=head, code="knock.py")
        commit = repo.pushed({"specs/knock/spec.yaml": spec, "knock.py": KNOCK})
        said = repo.said(commit, f"{PUSH}/knock")
        assert said.startswith("success" if works else "error"), (repo.name, head, said, logs(repo, commit))
        if not works:
            assert "refused" in logs(repo, commit) or "unreachable" in logs(repo, commit)
    assert "the network, which is not granted here" in logs(unheard, commit)


def test_a_result_that_took_a_grant_is_not_reused_where_it_is_not_granted(runner: RunnerStage) -> None:
    wide, shut = runner.others["acme/wide"], runner.others["acme/shut"]
    spec = {"specs/same/spec.yaml": tiny("6", name="same", head=HEAD, more=GIVEN)}
    assert wide.said(wide.pushed(spec), f"{PUSH}/same").startswith("success")
    assert "secret HUB_TOKEN of step a is not granted here" in shut.said(shut.pushed(spec), f"{PUSH}/same")


def test_without_a_sandbox_every_check_and_comment_says_so(tmp_path: Path) -> None:
    with runner_stage(tmp_path) as stage:
        stage.settings["sandbox"] = {"kind": "none"}
        stage.start()
        first = stage.pushed({"spec.yaml": tiny("1"), "specs/two/spec.yaml": tiny("2", name="two")})
        assert stage.said(first, PUSH).startswith("success")
        files = {"spec.yaml": tiny("3"), "specs/two/spec.yaml": "fiat: 1\nname: two\nstep: {}\n"}
        commit = stage.propose(1, files)
        assert stage.said(commit, PULL).startswith("failure")
        stage.wait(lambda: len(stage.forge.world.texts(1)) == 2, "the comments")
        assert [
            seen for seen in stage.forge.world.seen if not seen.description.endswith("(sandbox off)")
        ] == []
        assert [text for text in stage.forge.world.texts(1) if "**sandbox off**" not in text] == []
        assert "the sandbox is off" in stage.log
        assert "sandbox" in json.dumps(stage.get(f"/api/v1/runs/{stage.runs_of(commit)[0]['id']}").body)
