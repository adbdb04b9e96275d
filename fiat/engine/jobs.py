"""Make a job of a step: folders, environment, command or task."""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote

from fiat.engine.decide import Decided
from fiat.engine.resume import Resume, resume_of, study_of, training_request, tuned, tuned_seed
from fiat.engine.sandbox import Places, SandboxPolicy, shut_off
from fiat.errors import EnvironmentFault, FiatError, SpecError
from fiat.plan.model import Limits, Step
from fiat.plan.training import TRIAL_OUTPUTS
from fiat.ports.compute import Command, Job, Resources
from fiat.ports.step import StepContext
from fiat.spec.command import fill, whole_reference
from fiat.store.faults import disk_faults
from fiat.store.store import Store

CHILD = "fiat.builtin.child"
HEAP = {"MALLOC_TRIM_THRESHOLD_": str(256 << 20), "MALLOC_MMAP_THRESHOLD_": str(32 << 20)}
"""Bytes. A training on CPUs gives back the memory of each batch, and gets it again page by page: a fifth of its time.

Source: mallopt(3), environment variables of the GNU C library; others pass them over.
"""
# Where clouds and proxies are looked for. Source: botocore, google-auth, azure-storage-blob and urllib on their variables.
_CLOUD = re.compile(
    r"(AWS|GOOGLE|AZURE)_[A-Z0-9_]+|STORAGE_EMULATOR_HOST|(http|https|no)_proxy|(HTTP|HTTPS|NO)_PROXY"
)


@dataclass(frozen=True)
class Bench:
    """Where the jobs of one run work.

    Attributes:
        store: gives inputs and work folders.
        root: the checkout.
        search: folders that `call:` modules are looked up in.
        run: id of the run.
        environment: the caller's environment; only PATH and, on a desk, declared secrets are taken from it.
        sandbox: how the operator of a runner shuts user code off; None on a desk.
        secrets: the secrets that are granted, name to value; None on a desk, whose environment has them.
    """

    store: Store
    root: Path
    search: tuple[Path, ...]
    run: str
    environment: Mapping[str, str] = field(repr=False)
    sandbox: SandboxPolicy | None = None
    secrets: Mapping[str, str] | None = field(default=None, repr=False)

    def log_path(self, step: str) -> Path:
        """The log file of a step."""
        return self.store.log_path(self.run, step)

    def secret(self, name: str) -> str | None:
        """The value of a secret, None when there is none that may be given."""
        return (self.environment if self.secrets is None else self.secrets).get(name)


@dataclass(frozen=True)
class Prepared:
    """A job with the places that its outputs will be at.

    Attributes:
        job: for the compute port.
        outputs: name to path.
        attempt: which try it is, counted from 1.
    """

    job: Job
    outputs: Mapping[str, Path]
    attempt: int


def prepare(bench: Bench, decided: Decided, attempt: int) -> Prepared:
    """Lay out inputs and outputs of a step and say how it is run.

    Raises:
        SpecError: a declared secret is not granted on this runner.
        EnvironmentFault: a declared secret is not in the environment, the store can't be read, or the disk refused.
    """
    work = bench.store.work.make(bench.run, decided.step.name, attempt)
    with disk_faults(work):
        return _prepare_in(bench, decided, attempt, work)


def _prepare_in(bench: Bench, decided: Decided, attempt: int, work: Path) -> Prepared:
    step = decided.step
    resume = resume_of(bench.store, decided)
    work.chmod(0o700)  # a program that is left here, with whatever rights, is nobody else's to run
    (work / "in").mkdir()
    inputs = {
        role: _lay(bench.store, digest, work / "in", role)
        for role, digest in decided.inputs.items()
        if not (step.kind == "package" and role.startswith("data."))
    }
    (work / "out").mkdir(parents=True, exist_ok=True)
    outputs = {name: work / "out" / name for name in step.outputs}
    command = task = None
    written = {name: work / "out" / name for name in _written(step)}
    if step.kind == "run":
        command = _shell(bench, step, inputs, written, work, resume)
    elif step.kind in ("call", "export"):
        command = _child(bench, step, inputs, written, work, resume)
    else:
        logged = {name: float(str(value)) for name, value in _mapping(decided.parts.get("logged")).items()}
        params = {**step.params, "logged": logged}
        data = {role: digest for role, digest in decided.inputs.items() if role.startswith("data.")}
        facts = {**step.facts, "data": data}
        if step.kind == "data":
            facts["env"] = source_environment(bench, step)
        task = StepContext(step.kind, params, inputs, outputs, bench.root, work, facts)
    job = Job(
        id=f"{bench.run}.{step.name}.{attempt}",
        step=step.name,
        resources=resources_of(step.limits),
        log_path=bench.log_path(step.name),
        work_dir=work,
        timeout_s=step.limits.timeout_s,
        owner_pid=os.getpid(),
        command=command,
        task=task,
        study=study_of(decided, resume, outputs) if resume.trials else None,
        checkpoints=resume.checkpoints,
        stop_on_nan=step.limits.stop_on_nan,
    )
    return Prepared(job, outputs, attempt)


def _written(step: Step) -> tuple[str, ...]:
    """Names of what its command writes: its outputs, but those of a trial where it is a search."""
    names = step.params.get(TRIAL_OUTPUTS, step.outputs)
    return tuple(map(str, names)) if isinstance(names, (list, tuple)) else ()


def resources_of(limits: Limits) -> Resources:
    """What a step's limits ask of the compute."""
    return Resources(limits.cpus, limits.gpus, limits.memory_bytes, limits.workers, limits.priority)


def _lay(store: Store, digest: str, folder: Path, role: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / role
    store.artifacts.materialize(digest, target)
    return target


def _shell(
    bench: Bench,
    step: Step,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    work: Path,
    resume: Resume,
) -> Command:
    places = {role: quote(str(path)) for role, path in inputs.items()}
    places |= {f"out.{name}": quote(str(path)) for name, path in outputs.items()}
    text = fill(str(step.params["run"]), places)
    env = _environment(bench, step, work)
    env["FIAT_PARAMS"] = json.dumps(tuned(step.params.get("with"), inputs))
    env["FIAT_INPUTS"] = json.dumps({role: str(path) for role, path in inputs.items()})
    env["FIAT_OUTPUTS"] = json.dumps({name: str(path) for name, path in outputs.items()})
    if resume.checkpoints:
        env["FIAT_CHECKPOINTS"] = str(resume.checkpoints)
    return _shut(Command(("/bin/sh", "-ec", text), bench.root, env), bench, step, work, resume)


def _child(
    bench: Bench,
    step: Step,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    work: Path,
    resume: Resume,
) -> Command:
    places = {role: str(path) for role, path in inputs.items()}
    request = {
        **_fill_all(step.params.get("request", {}), places),
        "call": step.call or None,
        "path": [str(folder) for folder in bench.search],
        "root": str(bench.root),
        "inputs": places,
        "outputs": {name: str(path) for name, path in outputs.items()},
        "result": str(work / "result.json"),
    }
    request["params"] = tuned(request["params"], inputs)
    request |= tuned_seed(inputs)
    request |= training_request(step, resume, places)
    roles = _mapping(request.get("datasets"))
    request["datasets"] = {name: places[str(role)] for name, role in roles.items()}
    if step.kind == "export":
        request["export"] = {**_mapping(request.get("export")), "model": places["model"]}
    if "evaluation" in places:
        request["evaluation"] = places["evaluation"]
    if "baseline" in places:
        request["baseline"] = places["baseline"]
    path = work / "request.json"
    path.write_text(json.dumps(request))
    argv = (sys.executable, "-m", CHILD, str(path))
    command = Command(argv, bench.root, _environment(bench, step, work), work / "result.json")
    return _shut(command, bench, step, work, resume)


def _shut(command: Command, bench: Bench, step: Step, work: Path, resume: Resume) -> Command:
    """The command with what keeps it in, and what must not be shown of it."""
    return replace(
        command,
        sandbox=shut_off(step, Places(bench.store, bench.root, work, resume.folders), bench.sandbox),
        secrets=tuple(value for name in step.secrets if (value := bench.secret(name))),
    )


def _fill_all(value: object, places: Mapping[str, str]) -> dict[str, object]:
    """Put paths in place of `{step.output}` in the values of `with:`."""
    request = dict(_mapping(value))
    params = _mapping(request.get("params"))
    request["params"] = {
        key: places[str(found)] if (found := whole_reference(item)) else item for key, item in params.items()
    }
    return request


def _environment(bench: Bench, step: Step, work: Path) -> dict[str, str]:
    """The child's whole environment: nothing of ours but PATH, and what the spec declares."""
    (work / "tmp").mkdir(exist_ok=True)
    env = {
        "PATH": os.pathsep.join(
            [str(Path(sys.executable).parent), bench.environment.get("PATH", os.defpath)]
        ),
        "HOME": str(work),
        "TMPDIR": str(work / "tmp"),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        **HEAP,
        "FIAT_RUN": bench.run,
        "FIAT_STEP": step.name,
        **step.env,
    }
    return {**env, **_secrets(bench, step)}


def source_environment(bench: Bench, step: Step) -> dict[str, str]:
    """What a source may know: the secrets that the step names; on a desk also its user's own settings for the cloud."""
    env: dict[str, str] = {}
    if bench.secrets is None:
        env = {key: value for key, value in bench.environment.items() if _CLOUD.fullmatch(key)}
    return {**env, **_secrets(bench, step)}


def _secrets(bench: Bench, step: Step) -> dict[str, str]:
    """The secrets that the step names.

    Raises:
        FiatError: one is not there, or not granted.
    """
    found: dict[str, str] = {}
    for name in step.secrets:
        value = bench.secret(name)
        if value is None:
            raise _missing(bench, step, name)
        found[name] = value
    return found


def _missing(bench: Bench, step: Step, name: str) -> FiatError:
    if bench.secrets is None:
        return EnvironmentFault(
            f"secret {name} of step {step.name} is not in the environment",
            hint=f"export {name} before `fiat run`",
        )
    return SpecError(
        f"secret {name} of step {step.name} is not granted here",
        hint="the operator grants it in the runner's settings, under `secrets` of the repository; code from forks gets none",
    )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
