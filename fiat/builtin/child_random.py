"""Where the random numbers of this process stand: taken with a checkpoint, put back when it is gone on from."""

import random
import sys
from collections.abc import Mapping
from typing import Any


def random_state() -> dict[str, Any]:
    """The global generators of Python, and of NumPy and torch where they are loaded."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    state: dict[str, Any] = {"python": random.getstate()}
    if numpy is not None:
        state["numpy"] = numpy.random.get_state()
    if torch is not None:
        state["torch"] = torch.get_rng_state()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put back what `random_state` gave; who has read it has loaded the libraries that it is from."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    random.setstate(state["python"])
    if numpy is not None and "numpy" in state:
        numpy.random.set_state(state["numpy"])
    if torch is not None and "torch" in state:
        torch.set_rng_state(state["torch"])
        if "cuda" in state and torch.cuda.is_available():
            # Each worker has its own GPU, and there may be more or fewer than when they were saved.
            for device, one in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
                torch.cuda.set_rng_state(one, device)
