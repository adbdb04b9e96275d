"""What `fiat serve` starts: models found by name, looked at, and the command line of the server that serves them."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fiat.errors import SpecError
from fiat.serving.release import ServerLimits
from fiat.spec.deploy_section import Limits
from fiat.spec.section import duration_s, size_bytes
from fiat.wiring.models import ShownModel, find_model
from fiat.wiring.shelf import Shelf

PROGRAM = "fiat.serving.main"
_CHECK = "fiat.serving.package_check"
_CHECK_S = 300.0


@dataclass(frozen=True)
class ServeRequest:
    """What shall be served, and how.

    Attributes:
        models: names, aliases, versions, digests or folders.
        host: address to listen on.
        port: 0 takes a free one.
        workers: processes.
        limits: words of the spec's `limits` and their values.
        log: folder for requests and answers; None writes nothing.
    """

    models: Sequence[str]
    host: str
    port: int
    workers: int
    limits: Mapping[str, str]
    log: Path | None = None


def server_command(shelf: Shelf, request: ServeRequest) -> list[str]:
    """The command line of a server; a folder given by hand is looked at first, in a process that may die of it.

    Args:
        shelf: where models are found.
        request: what shall be served.

    Raises:
        SpecError: there is no such model, it must not be loaded, or a limit is none.
        EnvironmentFault: there is no store, or the package is gone.
    """
    command = [sys.executable, "-m", PROGRAM, "--host", request.host, "--port", str(request.port)]
    command += ["--workers", str(request.workers)]
    limits = read_limits(request.limits)
    command += ["--body-bytes", str(limits.body_bytes), "--concurrency", str(limits.concurrency)]
    command += ["--queue", str(limits.queue), "--timeout-s", str(limits.timeout_s)]
    command += ["--batch-rows", str(limits.batch_rows)]
    if request.log is not None:
        command += ["--log", str(request.log)]
    taken: set[tuple[str, str]] = set()
    for name in request.models:
        model = find_model(shelf, name)
        if model is None:
            raise SpecError(
                f"there is no model {name!r}",
                hint="`fiat models` lists those that were released; a folder works too",
            )
        if not model.digest:
            _look_at(model.path)
        words = _words(model, taken)
        command += ["--model", *words]
    return command


def read_limits(words: Mapping[str, str]) -> ServerLimits:
    """Limits in the words of the spec.

    Raises:
        SpecError: a word or a value is none of them.
    """
    values: dict[str, object] = {
        word: int(value) if value.isdecimal() else value for word, value in words.items()
    }
    try:
        found = Limits.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        word = str(first["loc"][0]) if first["loc"] else ""
        raise SpecError(
            f"--limit {word}={words.get(word, '')}: " + _fault(first),
            hint=f"known limits are {', '.join(Limits.model_fields)}",
        ) from None
    return ServerLimits(
        body_bytes=size_bytes(found.body),
        concurrency=found.concurrency,
        queue=found.queue,
        timeout_s=duration_s(found.timeout),
        batch_rows=found.batch,
    )


def _fault(error: Mapping[str, Any]) -> str:
    return "there is no such limit" if error["type"] == "extra_forbidden" else str(error["msg"])


def _words(model: ShownModel, taken: set[tuple[str, str]]) -> list[str]:
    name = str(model.manifest.get("name") or model.name or model.path.name)
    version = str(model.version.number) if model.version else "1"
    if (name, version) in taken:
        raise SpecError(f"model {name} is named twice", hint="name each model once")
    taken.add((name, version))
    return [name, version, model.digest, str(model.path.absolute())]


def _look_at(folder: Path) -> None:
    command = [sys.executable, "-m", _CHECK, str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_CHECK_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise SpecError(f"{folder} could not be looked at in {_CHECK_S:g} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"the look at it ended with {done.returncode}"]
        raise SpecError(f"{folder} is not served: {lines[-1]}", hint="package the model again")
