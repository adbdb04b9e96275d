"""The server program: `python -m fiat.serving.main --release FOLDER/release.json --port N [--workers K]`. Start here.

With one worker this process becomes the worker; with more it starts them, starts those anew that die, and hands SIGTERM
on. It loads nothing heavy itself.
"""

import os
import sys
from collections.abc import Sequence

from fiat.serving.options import parse
from fiat.serving.workers import WORKER, supervise


def main(arguments: Sequence[str]) -> int:
    """Run the server until it is told to end.

    Args:
        arguments: of the command line, see `options.py`.
    """
    options = parse(arguments)
    if options.workers == 1:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", WORKER, *arguments])  # noqa: S606 - the same program
    return supervise(options, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
