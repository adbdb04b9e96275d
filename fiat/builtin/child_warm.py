"""What a training starts from under `warm_start: baseline`: the argument `baseline`, and `run.warm_start(model)`."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fiat.builtin.child_exporter import saved_exporter
from fiat.errors import SpecError

WARM = "warm"
_NAMED = 3
_HINT = "set `train.warm_start: baseline` in the spec, or leave it out"


def offered(request: Mapping[str, Any]) -> dict[str, Callable[[], Any]]:
    """Further arguments that a training may name: `baseline`, when its spec says what it is."""
    return {"baseline": lambda: load_baseline(request)} if WARM in request else {}


def load_baseline(request: Mapping[str, Any]) -> Any:
    """The baseline's model as its framework saved it (a torch module on the CPU, an estimator, the bytes of an ONNX file).

    None when there is no baseline yet.

    Args:
        request: see `fiat.builtin.child`; `warm` is the folder of the model, or None.

    Raises:
        SpecError: the spec says no `warm_start`, or the code of today can't read that model.
    """
    if WARM not in request:
        raise SpecError("there is no baseline to start from: the spec names none", hint=_HINT)
    if request[WARM] is None:
        return None
    folder = Path(request[WARM])
    exporter = saved_exporter(folder)
    try:
        return exporter.load(folder)
    except (AttributeError, ImportError) as error:
        raise SpecError(
            f"the baseline's model can't be read with the code of now: {error}",
            hint="keep its class under its name at the top level of its module, or start anew without `warm_start`",
        ) from None


def warm_start(request: Mapping[str, Any], model: Any, say: Callable[[str], None]) -> bool:
    """Give a torch module the baseline's weights where they have its names and shapes.

    Args:
        request: see `load_baseline`.
        model: changed in place, wherever its weights lie; what data parallel training put around it is looked through.
        say: is told how many weights fitted, and which did not.

    Returns:
        Whether it has any weight of the baseline now.

    Raises:
        SpecError: it is no torch module; or see `load_baseline`.
    """
    module = _module(model)
    baseline = load_baseline(request)
    if baseline is None:
        say("starts anew: there is no baseline yet")
        return False
    if not hasattr(baseline, "state_dict"):
        kind = type(baseline).__qualname__
        say(f"starts anew: the baseline is no torch module but a {kind}")
        return False
    own, given = module.state_dict(), baseline.state_dict()
    fitting = {
        name: given[name] for name in own if name in given and _shape(own[name]) == _shape(given[name])
    }
    module.load_state_dict(fitting, strict=False)
    say(_said(own, given, len(fitting)))
    return bool(fitting)


def _module(model: Any) -> Any:
    torch = sys.modules.get("torch")
    # What DistributedDataParallel and torch.compile put around a module.
    for wrapping in ("module", "_orig_mod"):
        inner = getattr(model, wrapping, None)
        if (
            torch is not None
            and isinstance(inner, torch.nn.Module)
            and type(model).__module__.startswith("torch.")
        ):
            model = inner
    if torch is None or not isinstance(model, torch.nn.Module):
        raise SpecError(
            f"run.warm_start takes a torch module, not a {type(model).__qualname__}",
            hint="for another framework name the argument `baseline`: it is the baseline's model, or None",
        )
    return model


def _said(own: Mapping[str, Any], given: Mapping[str, Any], n_fitting: int) -> str:
    others = [
        f"{name} is {_shape(own[name])}, was {_shape(given[name])}"
        for name in own
        if name in given and _shape(own[name]) != _shape(given[name])
    ]
    others += [f"{name} is new" for name in own if name not in given]
    others += [f"{name} is gone" for name in given if name not in own]
    start = "starts from the baseline" if n_fitting else "starts anew, no weight of the baseline fits"
    counted = f"{start}: {n_fitting} of {len(own)} weights"
    if not others:
        return counted
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return f"{counted}; {'; '.join(others[:_NAMED])}{more}"


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))
