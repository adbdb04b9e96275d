"""`python -m fiat`: the same as the program `fiat`."""

import sys

from fiat.cli.main import main

sys.exit(main())
