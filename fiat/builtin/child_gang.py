"""Workers that share a step: which of them this process is, how they find each other, what each of them leaves."""

import importlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from fiat.builtin.gang_door import listen_at
from fiat.errors import SpecError

_PATIENCE_S = 1800.0
_SAY_AFTER_S = 60.0


@dataclass(frozen=True)
class Gang:
    """One of the processes that share the work of a step.

    Attributes:
        rank: its number, from 0; the first one's model is the result.
        size: how many there are.
        store_fd: socket that the first one's store listens at already; None lets it open one of its own.
    """

    rank: int = 0
    size: int = 1
    store_fd: int | None = None


def gang_of(env: Mapping[str, str] = os.environ) -> Gang:
    """This process among the workers of its step, by the variables that torch's launchers use.

    Source: PyTorch documentation, torch.distributed.elastic, environment variables.
    """
    store_fd = env.get("FIAT_STORE_FD")
    return Gang(
        int(env.get("RANK", "0")), int(env.get("WORLD_SIZE", "1")), int(store_fd) if store_fd else None
    )


def own_request(request: dict[str, Any], gang: Gang, env: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The request as this worker has to fulfil it: only the first one writes to the places of the outputs.

    Args:
        request: see `fiat.builtin.child`.
        gang: which worker this is.
        env: its environment; HOME is a folder of its own.
    """
    if gang.rank == 0:
        return request
    home = Path(env["HOME"])
    outputs = {name: str(home / "out" / name) for name in request["outputs"]}
    return {**request, "outputs": outputs, "result": str(home / Path(request["result"]).name)}


@contextmanager
def joined(
    gang: Gang,
    env: Mapping[str, str] = os.environ,
    *,
    patience_s: float = _PATIENCE_S,
    say_after_s: float = _SAY_AFTER_S,
) -> Iterator[Any]:
    """Within, torch's collectives reach the other workers: NCCL between GPUs, gloo between CPUs.

    Gives the store that all of them share, None where one is alone. A failure leaves them without a farewell: it is
    written down first, and the others see our sockets close.

    Args:
        gang: which worker this is.
        env: its environment.
        patience_s: how long it waits for the others at most; one that does not come at all ends them long before.
        say_after_s: when it says on its log that it waits.

    Raises:
        SpecError: torch is not there.
    """
    if gang.size == 1:
        yield None
        return
    torch = _torch("workers")
    dist = torch.distributed
    address, port = env["MASTER_ADDR"], int(env["MASTER_PORT"])
    said = f"[fiat] worker {gang.rank} of {gang.size} still waits for the others at {address}:{port}\n"
    timer = threading.Timer(say_after_s, sys.stdout.write, [said])
    timer.daemon = True
    timer.start()
    try:
        fd = None
        if gang.rank == 0:  # torch by itself would listen at every address of the machine
            fd = listen_at(address, port) if gang.store_fd is None else gang.store_fd
        patience = timedelta(seconds=patience_s)
        store = dist.TCPStore(address, port, gang.size, gang.rank == 0, patience, master_listen_fd=fd)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=gang.rank, world_size=gang.size)
    finally:
        timer.cancel()
    yield store
    if dist.is_initialized():
        dist.destroy_process_group()


def leave(gang: Gang, code: int) -> None:
    """End this process at once when it failed among others: what it shares with them may wait for them to the end.

    Args:
        gang: which worker this is.
        code: the exit code; 0 returns.
    """
    if gang.size > 1 and code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def spread(model: Any, gang: Gang, device: str, **options: Any) -> Any:
    """A model whose gradients are averaged over all workers; the model itself where it is alone.

    Args:
        model: a `torch.nn.Module`; its parameters become those of the first worker everywhere.
        gang: which worker this is.
        device: where it is moved to.
        **options: for `torch.nn.parallel.DistributedDataParallel`.

    Raises:
        SpecError: it is no torch module.
    """
    if gang.size == 1:
        return model.to(device) if hasattr(model, "to") else model
    torch = _torch("run.parallel")
    if not isinstance(model, torch.nn.Module):
        raise SpecError(f"run.parallel was given a {type(model).__name__}", hint="give it a torch.nn.Module")
    model = model.to(device)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        return model
    devices = [torch.cuda.current_device()] if device == "cuda" else None
    spread_model = torch.nn.parallel.DistributedDataParallel(model, device_ids=devices, **options)
    # Its states are those of the model itself: a checkpoint fits any number of workers.
    spread_model.state_dict = model.state_dict
    spread_model.load_state_dict = model.load_state_dict
    return spread_model


def unwrapped(model: Any) -> Any:
    """The model inside what `spread` put around it."""
    kind = type(model)
    around = (kind.__module__, kind.__qualname__) == (
        "torch.nn.parallel.distributed",
        "DistributedDataParallel",
    )
    return model.module if around else model


def _torch(what: str) -> Any:
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise SpecError(
            f"{what}: several workers talk to each other through torch, which is not installed",
            hint="pip install torch, or take `workers` out of `resources`",
        ) from None
