"""What goes into a sandbox and what comes out of it: inputs, links, secrets, and the spec's own wish."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.engine.sandbox import SandboxPolicy
from fiat.engine.silent import SilentReporter
from fiat.errors import EnvironmentFault, SpecError

sys.path.insert(0, str(Path(__file__).parent))
from box_stage import need_sandbox
from machine_stage import CANARY, Machine, guard, make_machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with make_machine(tmp_path) as machine:
        yield machine


def test_a_secret_that_is_not_granted_is_said_and_the_desk_s_own_are_not_taken(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIVEN", "from the runner's own environment")
    spec = machine.spec('  a: {run: "env > {out.o}", out: {o: file}, code: [], secrets: [GIVEN]}\n')
    desk = guard(machine.desk(spec), SandboxPolicy(), {})
    with pytest.raises(SpecError, match="secret GIVEN of step a is not granted here"):
        desk.apply(desk.new_run(), SilentReporter(), compute="local")


def test_a_link_that_a_step_leaves_for_us_to_follow_is_refused(machine: Machine) -> None:
    need_sandbox()
    target = machine.home / ".ssh"
    attacks = {
        "file": f"ln -s {target}/id_ed25519 {{out.id_ed25519}}",
        "folder": f"mkdir {{out.id_ed25519}}; ln -s {target} {{out.id_ed25519}}/x",
        "whole": f"ln -s {target} {{out.id_ed25519}}",
        "log": f"ln -s {machine.root}/.fiat/runs/other/train.log {{out.id_ed25519}}",
        "parent": f"cd ..; rm -rf out; ln -s {target} out; test -e out/id_ed25519",
    }
    for name, attack in attacks.items():
        command = f'cd "$TMPDIR/../out"; {attack}'
        spec = machine.spec(f"  a: {{run: '{command}', out: {{id_ed25519: file}}, code: []}}\n")
        desk = guard(machine.desk(spec), SandboxPolicy())
        run = desk.apply(desk.new_run(), SilentReporter(), compute="local")
        assert run.verdict == "error", name
        assert desk.store.artifacts.cache.exists() is False or not any(
            CANARY in path.read_text() for path in desk.store.artifacts.cache.rglob("*") if path.is_file()
        )


def test_large_inputs_are_seen_and_handed_on_but_not_their_neighbours_in_the_cache(machine: Machine) -> None:
    need_sandbox()
    (machine.root / "make.py").write_text(
        "import os, sys\n"
        "os.mkdir(sys.argv[1])\n"
        "for i in range(int(sys.argv[2])): open(f'{sys.argv[1]}/{i}', 'wb').write(bytes([i]) * 1048577)\n"
    )
    (machine.root / "use.py").write_text(
        "import os, sys\n"
        "source, target = sys.argv[1:]\n"
        "names = sorted(os.listdir(source))\n"
        "assert all(os.path.islink(f'{source}/{name}') for name in names)\n"
        "assert all(open(f'{source}/{name}', 'rb').read(2) == bytes([int(name)]) * 2 for name in names)\n"
        "object = os.path.realpath(f'{source}/0')\n"
        "shown = [name for _, _, found in os.walk(os.path.dirname(os.path.dirname(object))) for name in found]\n"
        "assert len(shown) == len(names), shown\n"
        "for path in (object, f'{source}/1'):\n"
        "    for act in (lambda: open(path, 'ab'), lambda: os.chmod(path, 0o777), lambda: os.unlink(path)):\n"
        "        try: act()\n"
        "        except OSError as error: assert error.errno in (13, 16, 30), error\n"
        "        else: raise SystemExit('an input could be changed')\n"
        "os.mkdir(target)\n"
        "os.symlink(object, f'{target}/first')\n"
    )
    for count in (3, 120):
        spec = machine.spec(
            f"  other: {{run: 'head -c 2000000 /dev/zero > {{out.o}}', out: {{o: file}}, code: []}}\n"
            f"  make: {{run: 'python make.py {{out.o}} {count}', out: {{o: folder}}}}\n"
            "  use: {run: 'python use.py {make.o} {out.o}', out: {o: folder}}\n"
        )
        desk = guard(machine.desk(spec), SandboxPolicy())
        run = desk.apply(desk.new_run(), SilentReporter(), compute="local")
        assert run.verdict == "pass", (run.reason, run.id)
        work = desk.store.root / "work"
        assert [path for path in work.glob("*/*") if path.name.endswith(".box")] == []


def test_a_spec_at_a_desk_may_ask_for_the_sandbox_and_then_gets_it_or_an_error(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_sandbox()
    step = '  a: {run: "id -u > {out.o}", out: {o: file}, code: []}\n'
    for asked, user in (("bubblewrap", "65534"), ("none", str(os.getuid())), ("auto", str(os.getuid()))):
        desk = machine.desk(machine.spec(step, f", sandbox: {asked}, vars: {{A: {asked}}}"))
        run = desk.apply(desk.new_run(), SilentReporter(), compute="local")
        text = desk.store.artifacts.object_path(run.steps[0].outputs["o"].digest).read_text()
        assert (run.verdict, text.strip()) == ("pass", user)
        assert run.steps[0].resources["sandbox"] == ("bubblewrap" if asked == "bubblewrap" else "none")
    programs = machine.home / "bin"
    programs.mkdir()
    (programs / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(programs))
    desk = machine.desk(machine.spec(step, ", sandbox: bubblewrap, vars: {A: gone}"))
    with pytest.raises(
        EnvironmentFault, match="no sandbox can be made: bubblewrap is not installed"
    ) as caught:
        desk.apply(desk.new_run(), SilentReporter(), compute="local")
    assert "install the package bubblewrap" in caught.value.hint
    ran = machine.home / "ran"
    spec = machine.spec(f'  a: {{run: "touch {ran}; id -u > {{out.o}}", out: {{o: file}}, code: []}}\n')
    runner = guard(machine.desk(spec), SandboxPolicy())
    with pytest.raises(EnvironmentFault, match="no sandbox can be made"):
        runner.apply(runner.new_run(), SilentReporter(), compute="local")
    assert not ran.exists()
