"""The store of the checkout that the user stands in, for commands that name no spec."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fiat.errors import EnvironmentFault
from fiat.spec.load import find_root
from fiat.store.store import Store, open_store
from fiat.wiring.desk import utc_now
from fiat.wiring.opened import Opened
from fiat.wiring.settings import Settings


@dataclass
class Shelf(Opened):
    """A checkout and its store.

    Attributes:
        root: the checkout.
        state_dir: folder of the store.
        settings: of the machine.
    """

    root: Path
    state_dir: Path
    settings: Settings

    @cached_property
    def store(self) -> Store:
        """The store.

        Raises:
            EnvironmentFault: there is none here yet.
        """
        if self.settings.database_url is None and not (self.state_dir / "store.db").exists():
            raise EnvironmentFault(
                f"there is no store in {self.state_dir}", hint="`fiat run SPEC` makes one; or set FIAT_STORE"
            )
        return open_store(self.state_dir, url=self.settings.database_url, now=utc_now, checkout=self.root)


def open_shelf(here: Path, settings: Settings) -> Shelf:
    """Find the store for a folder: `FIAT_STORE`, or `.fiat` at the top of its checkout."""
    root = find_root(here)
    return Shelf(root, settings.state_dir(root), settings)
