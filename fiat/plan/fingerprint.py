"""The fingerprint of a step: a digest over everything that can change its result."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from fiat.plan.model import Step

PARTS_VERSION = 1
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

_EXTENT = ("trials", "parallel", "timeout_s")

_PLACEHOLDER = re.compile(r"\{([a-z0-9][\w-]*\.[\w.-]+)\}")


@dataclass(frozen=True)
class Surroundings:
    """What the step's work meets beside the spec, each as digests or versions.

    Attributes:
        inputs: role to artifact digest.
        sources: path relative to the checkout to content digest.
        code: path relative to the checkout to content digest.
        python: interpreter and platform, such as `CPython 3.11.7 linux x86_64`; empty when it does not matter.
        packages: distribution to version.
        logged: metrics of earlier steps that this one judges.
    """

    inputs: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    logged: Mapping[str, float] = field(default_factory=dict)


def fingerprint_parts(step: Step, around: Surroundings) -> dict[str, object]:
    """Everything that goes into the fingerprint, by part.

    The step's own name, its facts and its limits are left out: the same work under another name is the same
    work. Names that the user's code can see (the inputs of a `run:`) stay in; and of what uses a secret or the network
    the repository that these are granted to: another one, which may have neither, must not be given its result.
    """
    parts: dict[str, object] = {
        "kind": {"kind": step.kind, "format": PARTS_VERSION, **step.plugin},
        "params": {key: _by_content(value, around.inputs) for key, value in step.params.items()},
        "call": step.call,
        "outputs": list(step.outputs),
        "inputs": dict(around.inputs),
        "sources": dict(around.sources),
        "code": dict(around.code),
        "env": {**step.env, **_granted(step)},
        "secrets": sorted(step.secrets),
        "python": around.python,
        "packages": dict(around.packages),
        "logged": {name: repr(value) for name, value in around.logged.items()},
    }
    return parts


def _granted(step: Step) -> dict[str, object]:
    asked = {"(network)": "asked for"} if step.network else {}
    owner = step.facts.get("granted_to") if step.network or step.secrets else None
    return {**asked, **({"(granted to)": owner} if owner else {})}


def fingerprint(parts: Mapping[str, object]) -> str:
    """SHA-256 over the canonical JSON of the parts, 64 hex digits."""
    return digest_json(parts)


def resume_key(parts: Mapping[str, object]) -> str:
    """What checkpoints and finished trials are remembered by, 64 hex digits.

    It is the fingerprint without what does not change the meaning of a state: how many workers or threads there are, how
    many trials are tried, how many of them side by side.
    """
    params = {key: value for key, value in _mapping(parts["params"]).items() if key != "workers"}
    if "study" in params:
        study = _mapping(params["study"])
        params["study"] = {key: value for key, value in study.items() if key not in _EXTENT}
    env = {key: value for key, value in _mapping(parts["env"]).items() if key not in THREAD_VARIABLES}
    return digest_json({**parts, "params": params, "env": env})


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def digest_json(value: object) -> str:
    """SHA-256 of a JSON value; the order of mapping keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _by_content(value: object, inputs: Mapping[str, str]) -> object:
    """Put the digest in place of `{step.output}`, so that a renamed producer changes nothing."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: "{=" + inputs.get(match[1], match[1]) + "}", value)
    if isinstance(value, Mapping):
        return {key: _by_content(item, inputs) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_by_content(item, inputs) for item in value]
    return value
