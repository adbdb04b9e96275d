"""Makes the stand-in, the server and the browser beside this file importable by the tests of the web."""

import importlib.util
import sys
from pathlib import Path

for name in ("stage", "server", "browser"):
    known = f"web_{name}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, Path(__file__).parent / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[known] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[known])
