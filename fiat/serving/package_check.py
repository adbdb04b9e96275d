"""Looks at a package in a process of its own, which may die of it: `python -m fiat.serving.package_check FOLDER`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fiat.errors import FiatError
from fiat.model.package import damaged_files
from fiat.model.precheck import precheck_model
from fiat.model.probe import probe_model
from fiat.serving.package_files import GRAPH


def main(arguments: Sequence[str]) -> int:
    """Check a package; the last line of stderr says what is wrong with it.

    Its files must be those of its manifest, and its graph one that can be loaded without harm.
    """
    parser = argparse.ArgumentParser(prog="python -m fiat.serving.package_check")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    try:
        damaged = damaged_files(options.folder)
        if damaged:
            sys.stderr.write(
                f"{', '.join(damaged)} of {options.folder} is missing or not as its manifest says\n"
            )
            return 1
        precheck_model(options.folder / GRAPH)
        probe_model(options.folder / GRAPH)
    except FiatError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
