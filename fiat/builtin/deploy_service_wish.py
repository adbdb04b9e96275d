"""What a deploy asks of a service: a request's settings as the file that the keeper follows."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fiat.builtin.service_plan import log_plan, rollout_plan, server_limits
from fiat.builtin.service_wanted import Candidate, ServerWish, Wanted
from fiat.errors import EnvironmentFault
from fiat.ports.deploy import DeployRequest
from fiat.serving.release import LogPlan

_NAMES_KEPT = 1000


def wish_of(before: Wanted | None, request: DeployRequest, folder: str) -> Wanted:
    """What is wanted now; equal to what was wanted before when nothing is new."""
    settings = request.settings
    names = dict(before.names) if before else {}
    given = settings.get("version")
    name = str(given) if given else names.get(request.digest) or _next_name(names)
    if any(name == taken and digest != request.digest for digest, taken in names.items()):
        name = f"{name}-{request.digest[:8]}"  # what clients call a version means one package
    names[request.digest] = name
    generation = request.generation
    if before and generation == 0 and before.version.digest == request.digest:
        generation = before.version.generation
    port, workers = settings.get("port"), settings.get("workers")
    rollout, limits = settings.get("rollout"), settings.get("limits")
    plan, log = rollout_plan(rollout if isinstance(rollout, Mapping) else None), log_plan(request.monitor)
    if log is None and "quality_drop" in plan.limits:
        log = LogPlan()  # labels can only be joined to what was written down
    wish = Wanted(
        serial=before.serial if before else 1,
        model=str(settings["model"]),
        version=Candidate(name, request.digest, folder, generation, request.commit),
        plan=plan,
        server=ServerWish(
            port=int(str(port)) if port is not None else None,
            workers=int(str(workers)) if workers is not None else 1,
            limits=server_limits(limits if isinstance(limits, Mapping) else None),
        ),
        log=log,
        key=key_of(request),
        names=dict(list(names.items())[-_NAMES_KEPT:]),
    )
    return wish if before is None or wish == before else replace(wish, serial=before.serial + 1)


def key_of(request: DeployRequest) -> str:
    """The key that packages must be signed with here; empty when none is asked for.

    Raises:
        EnvironmentFault: signatures are asked for, and no key is known.
    """
    if not request.settings.get("signed"):
        return ""
    key = request.settings.get("key")
    if not key:
        raise EnvironmentFault(
            f"target {request.target} takes only signed packages, and no key is known to check them with",
            hint="name the public key's file in the operator's settings",
        )
    return str(Path(str(key)).absolute())


def _next_name(names: dict[str, str]) -> str:
    return str(max((int(name) for name in names.values() if name.isdecimal()), default=0) + 1)
