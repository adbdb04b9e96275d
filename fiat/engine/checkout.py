"""The working tree that a spec lies in: its commit, its branch, and the files that are code."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path, PurePosixPath

from fiat.errors import EnvironmentFault, SpecError

GIT_TIMEOUT_S = 60.0
_SKIP_FOLDERS = {
    ".git",
    ".fiat",
    ".venv",
    "__pycache__",
    "node_modules",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
}
# Repository settings can name programs to run; none of these is needed to read.
_HARDENED = (
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "safe.bareRepository=explicit",
)


@dataclass(frozen=True)
class GitState:
    """Where the checkout stands.

    Attributes:
        commit: 40 hex digits, empty outside git or before the first commit.
        branch: short name, empty when detached.
        dirty: the working tree differs from the commit (ignored files aside).
    """

    commit: str = ""
    branch: str = ""
    dirty: bool = False


class Checkout:
    """A folder with code, in git or not.

    Args:
        root: the top folder, absolute.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def git(self) -> GitState:
        """Commit, branch and dirtiness, read once."""
        if not (self.root / ".git").exists():
            return GitState()
        text = self.run_git("status", "--porcelain=v2", "--branch", "--untracked-files=normal", check=False)
        commit = branch = ""
        dirty = False
        for line in text.splitlines():
            if line.startswith("# branch.oid "):
                commit = line.removeprefix("# branch.oid ")
            elif line.startswith("# branch.head "):
                branch = line.removeprefix("# branch.head ")
            elif not line.startswith("#"):
                dirty = True
        return GitState(
            commit="" if commit == "(initial)" else commit,
            branch="" if branch == "(detached)" else branch,
            dirty=dirty,
        )

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Files that git tracks or would track, relative to the root, sorted; outside git all files."""
        if (self.root / ".git").exists():
            text = self.run_git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
            names = {name for name in text.split("\0") if name}
            return tuple(sorted(name for name in names if not _skipped(name)))
        return tuple(sorted(self._walk()))

    def code_files(
        self, globs: tuple[str, ...] | None, data: Iterable[str], exclude: Iterable[str]
    ) -> tuple[Path, ...]:
        """The files that are the code of a `run:` step.

        Args:
            globs: patterns such as `src/**`; None is every file of the checkout that is not data.
            data: files and folders that hold data, relative to the root.
            exclude: files that are neither (the spec itself).

        Raises:
            SpecError: a pattern matches no file.
        """
        unwanted = set(exclude)
        if globs is None:
            folders = tuple(f"{name.rstrip('/')}/" for name in data)
            names: Iterable[str] = (
                name
                for name in self.files
                if name not in unwanted and not f"{name}/".startswith(folders) and not name.endswith(".dvc")
            )
            return tuple(self.root / name for name in names if (self.root / name).is_file())
        chosen: set[str] = set()
        for pattern in globs:
            matched = {name for name in self.files if _matches(name, pattern)}
            if not matched:
                raise SpecError(
                    f"code pattern {pattern!r} matches no file of the checkout",
                    hint="patterns are relative to the top of the checkout, such as src/**",
                )
            chosen |= matched
        return tuple(self.root / name for name in sorted(chosen))

    def run_git(self, *arguments: str, check: bool = True) -> str:
        """Run git without hooks, monitors or prompts and give its output.

        Raises:
            EnvironmentFault: git is missing or refused.
        """
        command = ["git", *_HARDENED, "-C", str(self.root), *arguments]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=GIT_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
            )
        except FileNotFoundError:
            raise EnvironmentFault("git is not installed", hint="install git and try again") from None
        except subprocess.TimeoutExpired:
            raise EnvironmentFault(f"git {arguments[0]} took longer than {GIT_TIMEOUT_S:.0f} s") from None
        if done.returncode and check:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise EnvironmentFault(f"git {arguments[0]} failed: {said[-1] if said else done.returncode}")
        return done.stdout.decode("utf-8", "surrogateescape")

    def _walk(self) -> Iterable[str]:
        waiting = [self.root]
        while waiting:
            for entry in sorted(waiting.pop().iterdir()):
                if entry.name in _SKIP_FOLDERS or entry.is_symlink():
                    continue
                if entry.is_dir():
                    waiting.append(entry)
                elif entry.is_file():
                    yield entry.relative_to(self.root).as_posix()


def _skipped(name: str) -> bool:
    return any(part in _SKIP_FOLDERS for part in PurePosixPath(name).parts)


def _matches(name: str, pattern: str) -> bool:
    if pattern.endswith("/**"):
        return name.startswith(pattern[:-2])
    if name == pattern or name.startswith(f"{pattern.rstrip('/')}/"):
        return True
    return fnmatchcase(name, pattern.replace("**/", "*")) or fnmatchcase(name, pattern)
