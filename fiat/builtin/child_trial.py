"""Role `trial`: call the function as for a training, for what it logs; the model that it returns is not kept."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from fiat.builtin.child_call import call, find_function
from fiat.builtin.child_warm import offered
from fiat.errors import SpecError

_TAKES_ALL, _SEED = "params", "seed"


def work(request: Mapping[str, Any]) -> None:
    """Train with the parameters of one trial.

    Raises:
        SpecError: the function can't see one of them: all trials would be the same.
    """
    function = find_function(request["call"])
    for name in request["searched"]:
        if name != _SEED:  # everything is seeded with that
            _look_for(name, function, request["call"])
    call(request, offered(request))


def _look_for(name: str, function: Callable[..., Any], target: str) -> None:
    parameters = inspect.signature(function).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return
    if name in parameters or _TAKES_ALL in parameters:
        return
    close = difflib.get_close_matches(name, list(parameters), n=1)
    near = f"; did you mean `{close[0]}`?" if close else ""
    raise SpecError(
        f"{target} takes no `{name}`, which `tune.search` varies{near}",
        hint=f"give it an argument `{name}` or `{_TAKES_ALL}`, or search for another parameter",
    )
