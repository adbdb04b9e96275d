"""Make the graph of steps of a spec. Pure: what it needs from outside are arguments.

Where each section of the YAML becomes steps:
`data` -> source.<name>, data.<name>, check.<name> | `steps` -> <name> | `transform` -> transform.<n>, transform |
`tune` -> tune | `train` -> train, export | `evaluate` -> evaluate, metric.<name> |
`baseline` -> evaluate.baseline | `gates` -> gates, gates.<n> (probes behind the package) | `model` -> package |
`deploy` -> deploy.<target>
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from fiat.errors import SpecError, Where
from fiat.plan.datasets import all_data, named_dataset, require_rows, role_of, training_data
from fiat.plan.fingerprint import digest_json
from fiat.plan.judge import PROBE, judging_steps, probe_steps
from fiat.plan.model import Plan, Ref, Step
from fiat.plan.prepared import (
    TRANSFORM,
    after_checks,
    data_steps,
    described_rows,
    through_transforms,
    transform_steps,
    transformed_data,
)
from fiat.plan.training import tune_steps, with_training
from fiat.plan.work import user_step, work_params
from fiat.spec.model import Spec


@dataclass(frozen=True)
class Outside:
    """What a plan needs to know beside the spec.

    Attributes:
        spec_dir: the spec's folder relative to the checkout root, `.` at the root.
        plugins: step kind to the versions that can change its results (plugin and packages).
        facts: commit, dirty, spec digest: told to steps, in no fingerprint.
    """

    spec_dir: str = "."
    plugins: Mapping[str, Mapping[str, str]] | None = None
    facts: Mapping[str, object] | None = None


def build_plan(spec: Spec, outside: Outside) -> Plan:
    """The graph of a spec, in walking order.

    Raises:
        SpecError: the graph can't be made, such as an evaluation that does not say which dataset it means.
    """
    steps = [*data_steps(spec), *_user_steps(spec), *transform_steps(spec)]
    if spec.train is not None:
        dataset = training_data(spec)
        train = with_training(spec, _train_step(spec))
        steps += [*tune_steps(spec, train), _export_step(spec, dataset)]
        if spec.evaluate is not None:
            require_rows(spec, spec.evaluate.split, dataset)
            steps += judging_steps(spec, dataset)
        if spec.evaluate is not None:
            steps += [_package_step(spec), *probe_steps(spec, dataset)]
        steps += [_deploy_step(spec, name) for name in spec.deploy]
    steps = after_checks(steps)
    versions = outside.plugins or {}
    steps = [_shut_off(step, spec) for step in steps]
    steps = [replace(step, plugin=dict(versions.get(step.kind, {}))) for step in steps]
    digest = digest_json([_bare(step) for step in steps])
    facts = {**(outside.facts or {}), "plan_digest": digest, "spec": spec.name}
    steps = [replace(step, facts={**facts, **step.facts}) for step in steps]
    return Plan(spec.name, outside.spec_dir, digest, tuple(_in_order(steps)))


def _shut_off(step: Step, spec: Spec) -> Step:
    """User code with the spec's words about its surroundings."""
    if step.kind not in ("run", "call", "export"):
        return step
    return replace(step, network=spec.env.network, limits=replace(step.limits, sandbox=spec.env.sandbox))


def _user_steps(spec: Spec) -> list[Step]:
    return [user_step(spec, name, work) for name, work in spec.steps.items()]


def _train_step(spec: Spec) -> Step:
    assert spec.train is not None  # noqa: S101 - the caller looked
    work = spec.train
    outputs = {"model": "model", **work.out} if work.call else dict(work.out) or {"model": "model"}
    step = user_step(spec, "train", work, outputs=outputs)
    if not work.call:
        return through_transforms(spec, step)
    refs = [named_dataset(work.data)] if work.data else all_data(spec)
    inputs = {**{role_of(ref): ref for ref in refs}, **step.inputs}
    request = {
        **work_params(spec, work),
        "role": "train",
        "data": role_of(refs[0]) if len(refs) == 1 else None,
        "datasets": {role_of(ref): role_of(ref) for ref in refs},
    }
    step = replace(step, inputs=inputs, params={**step.params, "request": request})
    return through_transforms(spec, step)


def _export_step(spec: Spec, dataset: Ref) -> Step:
    assert spec.train is not None  # noqa: S101 - the caller looked
    export = spec.export
    role = role_of(dataset)
    request = {
        "role": "export",
        "params": {},
        "seed": 0,
        "data": role,
        "datasets": {role: role},
        "export": {
            "opset": export.opset if export else None,
            "quantize": export.quantize if export else "none",
        },
    }
    inputs = {"model": Ref("train", "model"), role: dataset}
    if transformed_data(spec) is not None:
        inputs[TRANSFORM] = Ref(TRANSFORM, TRANSFORM)
    return Step(
        name="export",
        kind="export",
        params={"request": request},
        inputs=inputs,
        outputs=("onnx",),
        call=spec.train.call or "",
        env=dict(spec.env.vars),
        key="export",
    )


def _package_step(spec: Spec) -> Step:
    model = spec.model
    card = model.card if model and model.card else None
    inputs = {"onnx": Ref("export", "onnx"), "evaluation": Ref("evaluate", "evaluation")}
    if spec.gates:
        inputs["gates"] = Ref("gates", "gates")
    inputs |= {f"data.{name}": Ref(f"data.{name}", "dataset") for name in spec.data}
    inputs |= described_rows(spec)
    params = {
        "name": model_name(spec),
        "alias": model.alias if model and model.alias else None,
        "spec": spec.name,
        "params": dict(spec.params),
        "card": card,
    }
    sources = (card,) if card else ()
    return Step("package", "package", params, inputs, outputs=("package",), sources=sources, key="model")


def model_name(spec: Spec) -> str:
    """The name that releases go by: `model.name`, or the spec's."""
    return spec.model.name if spec.model and spec.model.name else spec.name


def _deploy_step(spec: Spec, name: str) -> Step:
    target = spec.deploy[name]
    params = target.model_dump(mode="json", by_alias=True, exclude_none=True)
    inputs = {"package": Ref("package", "package")}
    if spec.gates:
        inputs["gates"] = Ref("gates", "gates")
    read = (target.input or "").removeprefix("data.")
    if target.input == f"data.{read}":
        inputs[f"data.{read}"] = Ref(f"data.{read}", "dataset")
    if target.to == "edge" and target.quantize == "static":
        dataset = training_data(spec)
        inputs["data." + role_of(dataset).removeprefix("data.")] = dataset
    probes = tuple(f"gates.{index}" for index, gate in enumerate(spec.gates) if gate.kind == PROBE)
    return Step(f"deploy.{name}", "deploy", params, inputs, after=probes, key=f"deploy.{name}")


def _bare(step: Step) -> dict[str, object]:
    return {
        "name": step.name,
        "kind": step.kind,
        "params": step.params,
        "inputs": {role: str(ref) for role, ref in step.inputs.items()},
        "outputs": step.outputs,
        "sources": step.sources,
        "call": step.call,
        "code": step.code,
        "env": step.env,
        "secrets": step.secrets,
        **({"network": True} if step.network else {}),
        "plugin": step.plugin,
    }


def _meant(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"there is: {', '.join(sorted(one for one in known if one.startswith('data.'))) or 'no dataset'}"


def _in_order(steps: list[Step]) -> list[Step]:
    """Inputs first; among what could come next, the spec's order.

    Raises:
        SpecError: steps need each other in a circle, or one that does not exist.
    """
    names = {step.name for step in steps}
    waits = {
        step.name: {ref.step for ref in step.inputs.values() if ref.step in names} | set(step.after)
        for step in steps
    }
    for step in steps:
        for ref in step.inputs.values():
            if ref.step not in names and not ref.step.startswith("@"):
                raise SpecError(
                    f"step {step.name} needs {ref}, which no step makes",
                    hint=_meant(ref.step, names),
                    where=Where("spec", key=step.key),
                )
    ordered: list[Step] = []
    done: set[str] = set()
    waiting = list(steps)
    while waiting:
        rest = []
        for step in waiting:
            if waits[step.name] <= done:
                ordered.append(step)
                done.add(step.name)
            else:
                rest.append(step)
        if len(rest) == len(waiting):
            circle = ", ".join(step.name for step in rest)
            raise SpecError(
                f"steps need each other in a circle: {circle}", where=Where("spec", key=rest[0].key)
            )
        waiting = rest
    return ordered
