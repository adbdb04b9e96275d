import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fiat.builtin.compute_local import LocalCompute
from fiat.builtin.sandbox_probe import probe_sandbox
from fiat.ports.compute import JobResult, Sandbox
from fiat.testing.compute_jobs import WAIT_S, Jobs

ROOT = Path(__file__).parents[2]


def plant(folder: Path, version: str, act: str) -> dict[str, str]:
    """An environment whose bubblewrap says this version and then does this."""
    folder.mkdir()
    program = folder / "bwrap"
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = --version ]; then echo "bubblewrap {version}"; exit; fi\n{act}\n'
    )
    program.chmod(0o755)
    return {"PATH": str(folder)}


FAILING = 'echo "bwrap: No permissions to create a new namespace" >&2; exit 1'


def test_a_working_sandbox_is_good_and_says_its_layers() -> None:
    probe = probe_sandbox()
    if not probe.ok:
        if os.environ.get("CI"):
            pytest.fail(f"{probe.found}; CI must test the sandbox")
        pytest.skip(probe.found)
    assert probe.found.startswith("bubblewrap ")
    assert " works" in probe.found
    assert probe.mend == ""
    assert Path(probe.program).is_absolute()


def test_a_missing_one_is_to_be_installed(tmp_path: Path) -> None:
    probe = probe_sandbox({"PATH": str(tmp_path)})
    assert (probe.ok, probe.found, probe.program) == (False, "bubblewrap is not installed", "")
    assert "apt-get install bubblewrap" in probe.mend


@pytest.mark.parametrize(("version", "said"), [("0.4.1", "0.4.1"), ("", "of unknown version")])
def test_an_old_one_is_refused(tmp_path: Path, version: str, said: str) -> None:
    probe = probe_sandbox(plant(tmp_path / "bin", version, "exit 0"))
    assert (probe.ok, probe.found) == (False, f"bubblewrap {said} is too old, 0.8.0 is needed")


def test_a_set_user_id_one_is_refused(tmp_path: Path) -> None:
    env = plant(tmp_path / "bin", "0.9.0", "exit 0")
    (tmp_path / "bin" / "bwrap").chmod(0o4755)
    probe = probe_sandbox(env)
    assert not probe.ok
    assert "set-user-id" in probe.found


@pytest.mark.parametrize(
    ("setting", "value", "mend"),
    [
        ("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "profile bwrap /usr/bin/bwrap"),
        ("proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        ("proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces"),
        (".dockerenv", "", "--security-opt"),
        ("nothing", "", "see whether `bwrap"),
    ],
)
def test_what_forbids_it_is_found_and_the_mend_is_printed(
    tmp_path: Path, setting: str, value: str, mend: str
) -> None:
    path = tmp_path / "root" / setting
    path.parent.mkdir(parents=True)
    path.write_text(value + "\n")
    probe = probe_sandbox(plant(tmp_path / "bin", "0.9.0", FAILING), root=tmp_path / "root", user=1000)
    assert not probe.ok
    assert probe.found == "bubblewrap can't make a sandbox: No permissions to create a new namespace"
    assert mend in probe.mend


def test_a_kernel_that_really_forbids_user_namespaces_is_recognized() -> None:
    code = "from fiat.builtin.sandbox_probe import probe_sandbox; print(*probe_sandbox()[:3], sep='\\n')"
    block = f'echo 0 > /proc/sys/user/max_user_namespaces && exec {sys.executable} -c "$0"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", block, code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode or not probe_sandbox().program:
        reason = f"can't forbid user namespaces here: {done.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    ok, found, mend = done.stdout.splitlines()
    assert ok == "False"
    assert found.startswith("bubblewrap can't make a sandbox: ")
    assert mend == "sysctl -w user.max_user_namespaces=15000, as root"


class TestJobs:
    @pytest.fixture
    def marker(self, tmp_path: Path) -> Path:
        return tmp_path / "ran"

    def submit(self, env: dict[str, str], folder: Path, marker: Path) -> Iterator[JobResult]:
        compute = LocalCompute(cpus=1, gpus=0, env=env)
        compute.start([])
        job = Jobs(folder).python("import sys; open(sys.argv[1], 'w')", str(marker))
        assert job.command is not None
        boxed = Sandbox("bubblewrap", writable=(folder,))
        try:
            for _ in range(2):
                yield compute.submit(replace(job, command=replace(job.command, sandbox=boxed))).result(WAIT_S)
        finally:
            compute.close()

    def test_never_run_without_the_sandbox_that_they_ask_for(self, tmp_path: Path, marker: Path) -> None:
        for result in self.submit({"PATH": "/nowhere"}, tmp_path, marker):
            assert (result.state, result.reason) == (
                "failed",
                "no sandbox can be made: bubblewrap is not installed",
            )
            assert "install the package bubblewrap" in result.mend
        assert not marker.exists()

    def test_do_not_run_when_the_sandbox_fails_after_it_was_tried(self, tmp_path: Path, marker: Path) -> None:
        act = f'case "$*" in *--args*) {FAILING};; esac'
        for result in self.submit(plant(tmp_path / "bin", "0.9.0", act), tmp_path, marker):
            assert result.state == "failed"
            assert result.reason.startswith("could not start in its sandbox: bwrap: No permissions")
            assert result.exit_code == 127
            assert "fiat doctor" in result.mend
        assert not marker.exists()

    def test_run_as_soon_as_the_machine_is_mended(self, tmp_path: Path, marker: Path) -> None:
        program = probe_sandbox().program
        if not probe_sandbox().ok:
            pytest.skip("no sandbox here")
        bin_folder = tmp_path / "bin"
        bin_folder.mkdir()
        results = self.submit({"PATH": str(bin_folder)}, tmp_path, marker)
        assert next(results).state == "failed"
        (bin_folder / "bwrap").symlink_to(program)
        assert next(results).state == "done"
        results.close()  # type: ignore[attr-defined]  # a generator
