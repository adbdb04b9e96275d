"""Whether this machine can make a sandbox, and what to do when it can't."""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from fiat.builtin.sandbox_landlock import landlock_version
from fiat.builtin.sandbox_seccomp import filter_program
from fiat.builtin.sandbox_system import system_options

FLOOR = (0, 8, 0)
_PROBE_S = 20.0
_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
_INSTALL = "install the package bubblewrap (apt-get install bubblewrap, dnf install bubblewrap)"
_PROFILE = (
    "Ubuntu's AppArmor keeps programs from making user namespaces; write /etc/apparmor.d/bwrap with the lines "
    "`abi <abi/4.0>,`, `include <tunables/global>`, `profile bwrap /usr/bin/bwrap flags=(unconfined) {`, `  userns,`, "
    "`}`, then run `apparmor_parser -r /etc/apparmor.d/bwrap` as root"
)
_SWITCHES = (
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000, as root"),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "sysctl -w kernel.unprivileged_userns_clone=1, as root",
    ),
    (_APPARMOR, "1", _PROFILE),
)
_CONTAINER = (
    "in a container user namespaces, mounts and a fresh /proc must be allowed: for Docker and Podman "
    "`--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined`"
)
_ELSE = "see whether `bwrap --unshare-all --ro-bind / / --proc /proc true` works for the user that runs Fiat"


class Probe(NamedTuple):
    """What was found.

    Attributes:
        ok: sandboxes can be made.
        found: one sentence.
        mend: what to do; empty when nothing is to be done.
        program: path of bubblewrap, empty when there is none.
    """

    ok: bool
    found: str
    mend: str
    program: str = ""


def probe_sandbox(
    env: Mapping[str, str] | None = None, *, root: Path = Path("/"), user: int | None = None
) -> Probe:
    """Make a sandbox as jobs get it, around a program that does nothing.

    Args:
        env: where bubblewrap is looked for, by PATH; None is that of this process.
        root: where settings of the kernel are read that may forbid it.
        user: id of the user that runs jobs; None is that of this process.
    """
    program = shutil.which("bwrap", path=(os.environ if env is None else env).get("PATH", os.defpath))
    if program is None:
        return Probe(False, "bubblewrap is not installed", _INSTALL)
    program = os.path.abspath(program)  # noqa: PTH100 (a link stays one: it is what an AppArmor profile names)
    version = _version(program)
    if version < FLOOR:
        said = ".".join(map(str, version)) or "of unknown version"
        return Probe(False, f"bubblewrap {said} is too old, 0.8.0 is needed", _INSTALL, program)
    if Path(program).stat().st_mode & stat.S_ISUID:
        mend = f"chmod u-s {program}: it needs user namespaces instead"
        return Probe(False, "bubblewrap is set-user-id, which makes it a way to root", mend, program)
    options = system_options(network=False, gpus=(), shared_bytes=1 << 20, temp_bytes=1 << 20)
    try:
        done = subprocess.run(
            [program, *options, "--", "/bin/sh", "-c", ":"],
            env={},
            capture_output=True,
            text=True,
            timeout=_PROBE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Probe(False, f"bubblewrap can't be run: {error}", _ELSE, program)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1].removeprefix("bwrap: ")
        mend = _mend(root, os.geteuid() if user is None else user, said)
        return Probe(False, f"bubblewrap can't make a sandbox: {said}", mend, program)
    layers = ["seccomp"] if filter_program() else []
    layers += ["Landlock"] if landlock_version() else []
    more = f" with {' and '.join(layers)}" if layers else ""
    return Probe(True, f"bubblewrap {'.'.join(map(str, version))} works{more}", "", program)


def _version(program: str) -> tuple[int, ...]:
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=_PROBE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(map(int, re.findall(r"\d+", done.stdout)))


def _mend(root: Path, user: int, said: str) -> str:
    """What to do about a refusal: the first setting that is known to forbid it, else what the words suggest."""
    for name, refusing, mend in _SWITCHES:
        try:
            value = (root / name.lstrip("/")).read_text().strip()
        except OSError:
            continue
        if value == refusing and (user != 0 or refusing == "0"):
            return mend
    if any((root / name).exists() for name in (".dockerenv", "run/.containerenv")) or "proc" in said:
        return _CONTAINER
    return _ELSE
