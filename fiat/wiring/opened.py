"""Something that opens a store when it first needs it, and gives it back at the end."""

from abc import ABC, abstractmethod
from typing import Self

from fiat.store.store import Store


class Opened(ABC):
    """Use it as a context manager, or call `close`. A subclass keeps `store` as a cached property."""

    @property
    @abstractmethod
    def store(self) -> Store:
        """The store, opened at first use."""

    def close(self) -> None:
        """Give the store back, when it was opened; its stat cache is saved then."""
        store = self.__dict__.get("store")
        if isinstance(store, Store):
            store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
