"""Steps of user code: what a `run:` or `call:` of the spec becomes."""

import math
import re
from collections.abc import Mapping

from fiat.plan.fingerprint import THREAD_VARIABLES
from fiat.plan.model import Limits, Ref, Step
from fiat.spec.data_section import DataSet
from fiat.spec.graph import reads_of
from fiat.spec.model import Spec
from fiat.spec.section import duration_s, size_bytes
from fiat.spec.work_section import Work

_SPAN_PART = re.compile(r"\{[A-Z]+\}")


def user_step(spec: Spec, name: str, work: Work, *, outputs: Mapping[str, str] | None = None) -> Step:
    """The step of a `run:` or `call:`.

    Args:
        spec: the whole spec.
        name: the step's name.
        work: its section.
        outputs: name to kind; left out: the section's own.
    """
    kinds = dict(work.out if outputs is None else outputs)
    inputs: dict[str, Ref] = {}
    for found in reads_of(work):
        data = found.step == "data"
        inputs[str(found)] = Ref(str(found), "dataset") if data else Ref(found.step, found.output)
    params: dict[str, object] = {}
    if work.run is not None:
        params = {"run": work.run, "with": work_params(spec, work)["params"]}
    else:
        params = {"request": {**work_params(spec, work), "role": "step", **_datasets(inputs)}}
    if work.resources.workers > 1:
        # Sums in another order are other numbers in the last digits, and code may ask how many there are.
        params["workers"] = work.resources.workers
    metric_outputs = [key for key, kind in kinds.items() if kind == "metrics"]
    if metric_outputs:
        params["metric_outputs"] = metric_outputs
    return Step(
        name=name,
        kind="run" if work.run is not None else "call",
        params=params,
        inputs=inputs,
        outputs=tuple(kinds),
        call=work.call or "",
        code=() if work.call else work.code,
        env=environment(spec, work),
        secrets=work.secrets,
        limits=limits_of(work),
        key="train" if name == "train" else f"steps.{name}",
    )


def work_params(spec: Spec, work: Work) -> dict[str, object]:
    """Parameters and seed of a section: `with:` where it stands, else all of the spec's `params`."""
    params = work.with_ if "with_" in work.model_fields_set else spec.params
    seed = spec.params.get("seed", 0)
    return {"params": dict(params), "seed": seed if isinstance(seed, int) else 0}


def environment(spec: Spec, work: Work) -> dict[str, str]:
    """Declared variables; asking for cores also says how many threads numeric libraries may start."""
    env: dict[str, str] = {}
    if "cpus" in work.resources.model_fields_set:
        threads = str(max(1, math.ceil(work.resources.cpus)))
        env = dict.fromkeys(THREAD_VARIABLES, threads)
    return {**env, **spec.env.vars, **work.env}


def limits_of(work: Work) -> Limits:
    """Resources, timeout and retries of a section, in numbers."""
    memory, timeout = work.resources.memory, work.timeout
    return Limits(
        cpus=work.resources.cpus,
        gpus=work.resources.gpus,
        memory_bytes=size_bytes(memory) if memory else None,
        timeout_s=duration_s(timeout) if timeout else None,
        retries=work.retries,
        workers=work.resources.workers,
        priority=work.resources.priority,
    )


def source_paths(data: DataSet) -> tuple[tuple[str, ...], bool]:
    """Paths of the checkout that a dataset is read from, and whether what it is made of can change unseen."""
    source = data.source
    if data.span is not None and (source is None or source.path):
        base = f"{source.path.rstrip('/')}/" if source is not None and source.path else ""
        return (base + span_glob(data.span.pattern),), False
    if source is None or source.call:
        return (), False
    if source.path:
        return (source.path,), False
    if source.glob:
        return (source.glob,), False
    if source.dvc and not source.repo:
        return (source.dvc,), not source.dvc.endswith(".dvc")
    if source.dvc:
        return (), not _is_commit(source.rev)
    return (), source.sha256 is None


def span_glob(pattern: str) -> str:
    """The pattern of the files of all spans."""
    return _SPAN_PART.sub("*", pattern)


def _is_commit(rev: str | None) -> bool:
    return rev is not None and len(rev) == 40 and all(letter in "0123456789abcdef" for letter in rev)


def _datasets(inputs: Mapping[str, Ref]) -> dict[str, object]:
    roles = [role for role in inputs if role.startswith("data.")]
    return {"data": roles[0] if len(roles) == 1 else None, "datasets": {role: role for role in roles}}
