"""A version that can answer: its session, how its requests are read and its answers written, and what it counts."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from fiat.errors import EnvironmentFault, FiatError
from fiat.model.warmup import Row, read_warmup
from fiat.serving.answers import Answerer
from fiat.serving.decode import InferDecoder
from fiat.serving.encode import InferEncoder
from fiat.serving.mlflow_forms import InvocationReader
from fiat.serving.package_files import check_unchanged, read_package
from fiat.serving.release import Version
from fiat.serving.session import Session
from fiat.serving.tally import Tally
from fiat.serving.tensors import ModelInfo, read_model_info


@dataclass(frozen=True)
class Origin:
    """Where a package comes from, as its manifest says.

    Attributes:
        commit: of git; empty outside.
        spec: that made it.
    """

    commit: str = ""
    spec: str = ""


@dataclass(frozen=True)
class LoadedVersion:
    """A version in memory.

    Attributes:
        version: as the release manifest names it.
        info: what it takes and gives.
        origin: where it comes from.
        session: its graph.
        decoder: of its requests.
        invocations: reads its requests in MLflow's forms.
        encoder: of its answers.
        answers: adds labels and probabilities.
        row: inputs of one made-up row; None when its package has none.
        load_s: how long it took to load and to warm up.
        tally: what it counts.
    """

    version: Version
    info: ModelInfo
    origin: Origin
    session: Session
    decoder: InferDecoder
    invocations: InvocationReader
    encoder: InferEncoder
    answers: Answerer
    row: Row | None
    load_s: float
    tally: Tally = field(default_factory=Tally)


def load_version(
    model: str,
    version: Version,
    folder: Path,
    *,
    threads: int,
    check: Callable[[], None] | None = None,
) -> LoadedVersion:
    """Load a version, prove that it is what its digest says, and let it answer once.

    Args:
        model: name that clients use.
        version: what is wanted; an empty digest takes any package.
        folder: of the package.
        threads: of one operator.
        check: more that must hold of the package, such as its signature.

    Raises:
        EnvironmentFault: it is not the package of its digest, can't be loaded, or does not answer.
    """
    started = perf_counter()
    files = read_package(folder)
    if version.digest and files.digest != version.digest:
        raise EnvironmentFault(
            f"the package in {folder} is {files.digest}, not {version.digest}: its files were changed",
            hint="deploy it again",
        )
    if check is not None:
        check()
    info, row, origin = read_model_info(folder, model), read_warmup(folder), _origin(folder)
    check_unchanged(folder, files)
    session = Session(files.graph, threads=threads)
    _check_names(session, info)
    answers = Answerer(info)
    outputs = session.warm_up(row)
    if outputs is not None:
        try:
            answers.add(outputs)
        except (FiatError, ValueError, KeyError, IndexError, TypeError) as error:
            raise EnvironmentFault(
                f"the model's warm-up gives no answer: {error}", hint="package the model again"
            ) from error
    return LoadedVersion(
        version=version,
        info=info,
        origin=origin,
        session=session,
        decoder=InferDecoder(info),
        invocations=InvocationReader(info),
        encoder=InferEncoder(info, version.name),
        answers=answers,
        row=row,
        load_s=perf_counter() - started,
    )


def _check_names(session: Session, info: ModelInfo) -> None:
    """The graph must have the names that its signature says: requests are checked by the signature alone."""
    said = {tensor.name for tensor in info.inputs}, {tensor.name for tensor in info.outputs}
    if (set(session.inputs), set(session.outputs)) != said:
        raise EnvironmentFault(
            "the model's graph has other inputs or outputs than its signature says", hint="package it again"
        )


def _origin(folder: Path) -> Origin:
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        return Origin(str(manifest.get("commit") or ""), str(manifest.get("spec") or ""))
    except (OSError, ValueError, AttributeError) as error:
        raise EnvironmentFault(
            f"the manifest of {folder} can't be read: {error}", hint="package it again"
        ) from error
