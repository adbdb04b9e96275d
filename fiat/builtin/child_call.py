"""Call the user's function with what its signature names."""

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fiat.builtin.child_gang import gang_of, joined
from fiat.builtin.child_seed import seed_everything
from fiat.builtin.run_handle import RunHandle, make_handle
from fiat.errors import SpecError
from fiat.journal import log


class Params(Mapping[str, Any]):
    """Parameters of a step, as items and as attributes: `params["lr"]`, `params.lr`."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {
            key: Params(item) if isinstance(item, Mapping) else item for key, item in values.items()
        }

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"there is no parameter {name}{_near(name, self._values)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Params({self._values!r})"


def work(request: Mapping[str, Any]) -> None:
    """Role `step`: call the function; a mapping of numbers that it returns is logged."""
    returned = call(request, {})
    if isinstance(returned, Mapping):
        log(**{str(name): float(value) for name, value in returned.items()})


def call(request: Mapping[str, Any], more: Mapping[str, Callable[[], Any]]) -> Any:
    """Import the function and call it.

    Args:
        request: see `fiat.builtin.child`.
        more: further arguments that it may name, each made only when it does.

    Raises:
        SpecError: module or function is missing, or it asks for something that there is not.
    """
    seed, deterministic = request["seed"], bool(request.get("deterministic"))
    seed_everything(seed, deterministic=deterministic)  # for what its module draws as it is loaded
    function = find_function(request["call"])
    seed_everything(seed, deterministic=deterministic)  # whatever that was, the function begins at the seed
    # Before the others are met: what checkpoints there are is the same for all of them then.
    handle = make_handle(request)
    with handle.parting(), joined(gang_of()) as store, handle.at_work(store):
        return function(**_arguments(function, request, handle, more))


def find_function(target: str) -> Callable[..., Any]:
    """The function `pkg.mod:func`.

    Raises:
        SpecError: it is not there, or is not callable.
    """
    module_name, _, name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise SpecError(
                f"there is no module {module_name}",
                hint="modules are found in the spec's folder, then at the top",
            ) from None
        raise
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise SpecError(f"{module_name} has no function {name}{_near(name, vars(module))}")
        found = getattr(found, part)
    if not callable(found):
        raise SpecError(f"{target} is not a function")
    return found  # type: ignore[no-any-return]  # callable() says so


def open_data(request: Mapping[str, Any], handle: RunHandle | None = None) -> Any:
    """The dataset that the step was given, or a mapping of all when it was given several.

    Args:
        request: see `fiat.builtin.child`.
        handle: counts the rows that are read batch by batch.
    """
    folders = {name: Path(path) for name, path in request.get("datasets", {}).items()}
    if not folders:
        raise SpecError("the function asks for `data`, but the step reads no dataset")
    module, gang = importlib.import_module("fiat.data.dataset"), gang_of()
    options = {"part": (gang.rank, gang.size), "on_rows": None if handle is None else handle.count_rows}
    chosen = request.get("data")
    if chosen:
        return module.open_dataset(folders[chosen], **options)
    return {
        name.removeprefix("data."): module.open_dataset(folder, **options) for name, folder in folders.items()
    }


def _arguments(
    function: Callable[..., Any],
    request: Mapping[str, Any],
    handle: RunHandle,
    more: Mapping[str, Callable[[], Any]],
) -> dict[str, Any]:
    params, target = request.get("params", {}), request["call"]
    offers: dict[str, Callable[[], Any]] = {
        "data": lambda: open_data(request, handle),
        "params": lambda: Params(params),
        "run": lambda: handle,
        "seed": lambda: request["seed"],
        "inputs": lambda: {name: Path(path) for name, path in request.get("inputs", {}).items()},
        "out": lambda: {name: Path(path) for name, path in request.get("outputs", {}).items()},
        **more,
    }
    arguments: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments |= {key: value for key, value in params.items() if key not in arguments}
        elif name in params:
            arguments[name] = params[name]
        elif name in offers:
            arguments[name] = offers[name]()
        elif parameter.default is parameter.empty:
            known = {**dict.fromkeys(params), **dict.fromkeys(offers)}
            raise SpecError(
                f"{target} asks for `{name}`, which there is not{_near(name, known)}",
                hint=f"it can have {', '.join(known)}",
            )
    return arguments


def _near(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, [str(key) for key in known], n=1)
    return f"; did you mean `{close[0]}`?" if close else ""
