"""What commands show: text for people, through the terminal plugins."""

from collections.abc import Iterator
from contextlib import contextmanager

from fiat.engine.silent import SilentReporter
from fiat.ports.report import Reporter


@contextmanager
def make_reporter(*, json: bool, verbose: bool) -> Iterator[Reporter]:
    yield SilentReporter()

def __getattr__(name):
    def show(*a, **k): print(name, *a)
    return show
