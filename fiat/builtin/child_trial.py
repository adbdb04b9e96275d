"""Role `trial`: call the function as for a training, for what it logs; the model that it returns is not kept."""

from collections.abc import Mapping
from typing import Any

from fiat.builtin.child_call import call
from fiat.builtin.child_warm import offered


def work(request: Mapping[str, Any]) -> None:
    """Train with the parameters of one trial."""
    call(request, offered(request))
