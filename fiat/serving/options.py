"""The command line of the server program, shared by the one who supervises and those who work."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from fiat.serving.release import ServerLimits


@dataclass(frozen=True)
class FixedModel:
    """A model that is served without a manifest.

    Attributes:
        name: that clients use.
        version: name of the version.
        digest: of the package; empty takes any.
        folder: of the package.
    """

    name: str
    version: str
    digest: str
    folder: Path


@dataclass(frozen=True)
class ServerOptions:
    """What a server is started with.

    Attributes:
        releases: manifests that are followed.
        models: models that are served as they are.
        host: address.
        port: 0 takes a free one.
        workers: processes.
        threads: of one operator of a model; 0 shares the cores among the workers.
        counts: folder for counts of models without a manifest; None for none.
        log: folder that requests and answers of models without a manifest are written to; None writes nothing.
        limits: of each worker.
        worker: number of this process; None is the one who supervises.
        lifeline: pipe whose end means that the supervisor is gone; None for none.
        pulse: pipe that a worker writes a byte to each second, so that its supervisor sees that it moves; None for none.
        late: listen only when the models are loaded, since others answer meanwhile.
    """

    releases: tuple[Path, ...]
    models: tuple[FixedModel, ...]
    host: str
    port: int
    workers: int
    threads: int
    counts: Path | None
    log: Path | None
    limits: ServerLimits
    worker: int | None = None
    lifeline: int | None = None
    pulse: int | None = None
    late: bool = False


def parse(arguments: Sequence[str]) -> ServerOptions:
    """Read the arguments.

    Raises:
        SystemExit: they are wrong; argparse says why.
    """
    parser = argparse.ArgumentParser(
        prog="python -m fiat.serving.main", description="Serve models over HTTP (Open Inference Protocol)."
    )
    parser.add_argument("--release", type=Path, action="append", default=[], help="manifest to follow")
    parser.add_argument(
        "--model",
        nargs=4,
        action="append",
        default=[],
        metavar=("NAME", "VERSION", "DIGEST", "FOLDER"),
        help="model to serve as it is; an empty DIGEST takes any package. Of models with the same name the first one "
        "answers requests that name no version",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--threads", type=int, default=0, help="of one operator; 0 shares the cores")
    parser.add_argument("--counts", type=Path, help="folder for counts of --model")
    parser.add_argument("--log", type=Path, help="folder for requests and answers of --model")
    for item in fields(ServerLimits):
        kind = type(item.default)
        parser.add_argument(f"--{item.name.replace('_', '-')}", type=kind, default=item.default)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--lifeline", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--pulse", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--late", action="store_true", help=argparse.SUPPRESS)
    found = parser.parse_args(arguments)
    if not found.release and not found.model:
        parser.error("nothing to serve: give --release or --model")
    if found.workers < 1 or not 0 <= found.port <= 65535:
        parser.error("--workers is 1 or more, --port 0 to 65535")
    return ServerOptions(
        releases=tuple(found.release),
        models=tuple(FixedModel(item[0], item[1], item[2], Path(item[3])) for item in found.model),
        host=found.host,
        port=found.port,
        workers=found.workers,
        threads=found.threads,
        counts=found.counts,
        log=found.log,
        limits=ServerLimits(**{item.name: getattr(found, item.name) for item in fields(ServerLimits)}),
        worker=found.worker,
        lifeline=found.lifeline,
        pulse=found.pulse,
        late=found.late,
    )
