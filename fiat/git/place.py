"""Where a mirror lies on disk, and how git is run there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from fiat.errors import EnvironmentFault
from fiat.git.hardened import DEFAULT_PATH, Said, Surroundings, run_git
from fiat.git.remote import Remote


@dataclass(frozen=True)
class Place:
    """A mirror's folder: `git` is the bare repository, `home` an empty folder, `lock` and `damaged` are files.

    Attributes:
        folder: the mirror's own.
        remote: where it is fetched from.
        path: where programs are found.
        token: gives a token that is fresh, asked for each time; None takes the remote's own.
        name: of the repository in it.
    """

    folder: Path
    remote: Remote
    path: str = DEFAULT_PATH
    token: Callable[[], str] | None = None
    name: str = "git"

    @property
    def git_dir(self) -> Path:
        """The bare repository."""
        return self.folder / self.name

    @property
    def lock(self) -> Path:
        """Who holds this file is the only one that writes."""
        return self.folder / "lock"

    @property
    def damaged(self) -> Path:
        """A file that is there when somebody found an object missing or unreadable."""
        return self.folder / "damaged"

    def renamed(self, name: str) -> "Place":
        """The same mirror with another repository in it."""
        return replace(self, name=name)

    def make_home(self) -> Path:
        """The empty folder that git has for a home.

        Raises:
            EnvironmentFault: the disk refuses.
        """
        home = self.folder / "home"
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentFault(
                f"can't make the mirror's folder {self.folder}: {error.strerror}"
            ) from error
        return home

    def here(self, *, inside: bool = True) -> Surroundings:
        """For commands that talk to nobody.

        Args:
            inside: in the repository; else in none.
        """
        return Surroundings(self.make_home(), self.git_dir if inside else None, self.path)

    def afar(self, *, inside: bool = True) -> Surroundings:
        """For commands that talk to the remote.

        Raises:
            SpecError: its URL is refused.
        """
        remote = self.remote
        _ = remote.address
        if self.token is not None:
            remote = replace(remote, token=self.token())
        return Surroundings(
            self.make_home(),
            self.git_dir if inside else None,
            self.path,
            protocols=remote.protocols,
            config=remote.config(),
            variables=remote.variables(),
            secrets=remote.secrets,
        )

    def look(self, *arguments: str, given: str = "") -> Said:
        """Run a command that reads the repository, with what it is given on its standard input."""
        return run_git(arguments, self.here(), given=given.encode())

    def report_damage(self) -> None:
        """Have the next fetch make the repository anew."""
        self.damaged.touch()
