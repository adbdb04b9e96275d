"""A process of its own with the stage behind the web doors: says its address on standard output, ends with its input."""

import importlib.util
import os
import sys
import threading
from pathlib import Path
from types import ModuleType


def load(name: str) -> ModuleType:
    """The module of that name beside this file."""
    spec = importlib.util.spec_from_file_location(f"web_{name}", Path(__file__).parent / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"web_{name}"] = module
    spec.loader.exec_module(module)
    return module


def end_with_parent() -> None:
    """Whoever started us holds our input open."""
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    """Serve the stage with the times of a runner, not of tests."""
    stage, server = load("stage"), load("server")
    listener = server.listening()
    app = stage.app_of(stage.filled(), url=server.address_of(listener), read_timeout_s=8.0, poll_s=0.5)
    threading.Thread(target=end_with_parent, daemon=True).start()
    print(server.address_of(listener), flush=True)
    server.make_server(app).run(sockets=[listener])


if __name__ == "__main__":
    main()
