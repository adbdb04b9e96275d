"""Lineage both ways: what made this model, and what came from this data. Read from releases, runs and results alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fiat.run.deployment import Deployment
from fiat.run.model import Result, Run
from fiat.run.registry import ModelVersion
from fiat.store.store import Store
from fiat.wiring.registry_names import Named

DATA = "data."


@dataclass(frozen=True)
class StepOrigin:
    """Work that a model came from.

    Attributes:
        name: of the step in its run.
        kind: of the step.
        call: function or command; empty for our own steps.
        run: id of the run that did the work; another one than the release's when it was reused.
        made_at: aware UTC.
        inputs: role to artifact digest.
        outputs: name to artifact digest.
        sources: files and addresses that it read, to the digest of their content.
        code: file of the checkout to digest.
        params: JSON values.
        sandbox: how it was shut off, such as `bubblewrap`; empty for our own steps.
    """

    name: str
    kind: str
    call: str
    run: str
    made_at: datetime | None
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    sources: Mapping[str, str]
    code: Mapping[str, str]
    params: Mapping[str, Any]
    sandbox: str = ""


@dataclass(frozen=True)
class Ancestry:
    """What made a model.

    Attributes:
        model: its name.
        digest: of its package.
        version: among those of the model.
        run: that made it, with the spec's config, gates and metrics; None when the store does not know it any more.
        steps: that it came from, in plan order.
        data: dataset to the digest of what was read.
    """

    model: str
    digest: str
    version: ModelVersion
    run: Run | None
    steps: tuple[StepOrigin, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Descendant:
    """A model version that came from some data.

    Attributes:
        model: its name.
        number: of the version.
        digest: of its package.
        aliases: that mean it now.
        commit: of its first release.
        run: of its first release.
        dataset: name of the dataset in its spec.
        dataset_digest: of what was read.
        standings: places where it stands now.
        deployments: everywhere it was ever put, the newest first.
    """

    model: str
    number: int
    digest: str
    aliases: tuple[str, ...]
    commit: str
    run: str
    dataset: str
    dataset_digest: str
    standings: tuple[Deployment, ...]
    deployments: tuple[Deployment, ...]


def trace(store: Store, named: Named) -> Ancestry | None:
    """What made a model; None for a package that was never released."""
    version = named.version
    if version is None:
        return None
    run = _find_run(store, version.first.run)
    steps = _ancestors(store, run, named.digest) if run else ()
    data = {step.name: digest for step in steps if step.kind == "data" for digest in step.outputs.values()}
    return Ancestry(named.model, named.digest, version, run, steps, data)


def descend(store: Store, wanted: str) -> list[Descendant]:
    """Every released version that came from some data.

    Args:
        store: what is remembered.
        wanted: a dataset's name (`scans` or `data.scans`), the digest of a dataset or of a file that it was read from or the
            beginning of it (6 digits or more), or the path or address that the spec names.

    Returns:
        Versions by model and number; each once for each dataset that fits.
    """
    found = []
    for model in store.registry.names():
        for version in store.registry.versions(model):
            ancestry = trace(store, Named(model, version.digest, version))
            if ancestry is None:
                continue
            found += [
                _descendant(store, version, step)
                for step in ancestry.steps
                if step.kind == "data" and _fits(step, wanted)
            ]
    return found


def _descendant(store: Store, version: ModelVersion, step: StepOrigin) -> Descendant:
    return Descendant(
        model=version.model,
        number=version.number,
        digest=version.digest,
        aliases=version.aliases,
        commit=version.first.commit,
        run=version.first.run,
        dataset=step.name,
        dataset_digest=next(iter(step.outputs.values()), ""),
        standings=version.standings,
        deployments=tuple(store.deployments.newest(digest=version.digest)),
    )


def _fits(step: StepOrigin, wanted: str) -> bool:
    if wanted in (step.name, step.name.removeprefix(DATA)):
        return True
    digests = [*step.outputs.values(), *step.sources.values()]
    if len(wanted) >= 6 and any(digest.startswith(wanted) for digest in digests):
        return True
    plain = wanted.removeprefix("./")
    return plain in {source.removeprefix("./") for source in step.sources}


def _find_run(store: Store, run: str) -> Run | None:
    return store.runs.find(run) if store.runs.state_of(run) is not None else None


def _ancestors(store: Store, run: Run, digest: str) -> tuple[StepOrigin, ...]:
    """The steps of a run that its package came from, found backwards by the digests of their inputs."""
    results = store.results.find_many(step.fingerprint for step in run.steps if step.fingerprint)
    origins = {
        step.name: _origin(step.name, step.kind, results[step.fingerprint], step.resources)
        for step in run.steps
        if step.fingerprint in results
    }
    makers = {made: name for name, origin in origins.items() for made in origin.outputs.values()}
    wanted, seen = [digest], set[str]()
    while wanted:
        maker = makers.get(wanted.pop())
        if maker is not None and maker not in seen:
            seen.add(maker)
            wanted += origins[maker].inputs.values()
    return tuple(origin for name, origin in origins.items() if name in seen)


def _origin(name: str, kind: str, result: Result, resources: Mapping[str, object]) -> StepOrigin:
    def part(key: str) -> dict[str, Any]:
        value = result.parts.get(key)
        return dict(value) if isinstance(value, Mapping) else {}

    return StepOrigin(
        name=name,
        kind=kind,
        call=str(result.parts.get("call") or ""),
        run=result.run,
        made_at=result.made_at,
        inputs=part("inputs"),
        outputs={key: artifact.digest for key, artifact in result.outputs.items()},
        sources=part("sources"),
        code=part("code"),
        params=part("params"),
        sandbox=str(resources.get("sandbox") or ""),
    )
