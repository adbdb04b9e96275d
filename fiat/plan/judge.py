"""Steps that judge a model: evaluation, the user's metrics and gates, the baseline's evaluation, the gates."""

from fiat.plan.model import Ref, Step
from fiat.spec.gate_section import Gate
from fiat.spec.model import Spec

BASELINE = Ref("@baseline", "package")
PROBE = "probe"


def judging_steps(spec: Spec, dataset: Ref) -> list[Step]:
    """The steps from the exported graph to the gates' results, in order."""
    evaluate = spec.evaluate
    assert evaluate is not None  # noqa: S101 - the caller looked
    seed = spec.params.get("seed", 0)
    params = evaluate.model_dump(mode="json", by_alias=True, exclude={"metrics", "data"})
    params["metrics"] = [item.name for item in evaluate.metrics if item.name]
    params["seed"] = seed if isinstance(seed, int) else 0
    outputs = ("evaluation",)
    inputs = {"dataset": dataset, "onnx": Ref("export", "onnx")}
    steps = [Step("evaluate", "evaluate", params, inputs, outputs=outputs, key="evaluate")]
    if _needs_baseline(spec):
        against = {"dataset": dataset, "package": BASELINE}
        steps.append(Step("evaluate.baseline", "evaluate", params, against, outputs=outputs, key="baseline"))
    calls = [item for item in evaluate.metrics if item.call]
    steps += [_metric_step(spec, str(item.call), item.title) for item in calls]
    steps += [_gate_step(spec, gate, index) for index, gate in enumerate(spec.gates) if gate.kind == "call"]
    if spec.gates:
        steps.append(_gates_step(spec, [item.title for item in calls]))
    return steps


def _needs_baseline(spec: Spec) -> bool:
    return spec.baseline is not None and spec.baseline.none is None


def _metric_step(spec: Spec, call: str, title: str) -> Step:
    request = {"role": "metric", "params": dict(spec.params), "seed": 0, "data": None, "datasets": {}}
    return Step(
        name=f"metric.{title}",
        kind="call",
        params={"request": request},
        inputs={"evaluation": Ref("evaluate", "evaluation")},
        outputs=("metric",),
        call=call,
        env=dict(spec.env.vars),
        key="evaluate.metrics",
    )


def _gate_step(spec: Spec, gate: Gate, index: int) -> Step:
    params = gate.with_ if "with_" in gate.model_fields_set else spec.params
    request = {"role": "gate", "params": dict(params), "seed": 0, "data": None, "datasets": {}}
    inputs = {"evaluation": Ref("evaluate", "evaluation")}
    if _needs_baseline(spec):
        inputs["baseline"] = Ref("evaluate.baseline", "evaluation")
    return Step(
        name=f"gates.{index}",
        kind="call",
        params={"request": request},
        inputs=inputs,
        optional=("baseline",),
        outputs=("gate",),
        call=str(gate.call),
        env=dict(spec.env.vars),
        key=f"gates[{index}]",
    )


def probe_steps(spec: Spec, dataset: Ref) -> list[Step]:
    """The probes of the packaged model: they come last, since a package holds what the other gates said."""
    return [
        Step(
            name=f"gates.{index}",
            kind=PROBE,
            params={
                **gate.model_dump(mode="json", exclude_none=True, include={"probe"}),
                "severity": gate.severity,
                "key": f"gates[{index}]",
            },
            inputs={
                "package": Ref("package", "package"),
                "evaluation": Ref("evaluate", "evaluation"),
                "dataset": dataset,
            },
            outputs=("probe",),
            key=f"gates[{index}]",
        )
        for index, gate in enumerate(spec.gates)
        if gate.kind == PROBE
    ]


def _gates_step(spec: Spec, user_metrics: list[str]) -> Step:
    evaluate, baseline = spec.evaluate, spec.baseline
    gates = [
        {
            **gate.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True),
            "key": f"gates[{index}]",
            "severity": gate.severity,
        }
        for index, gate in enumerate(spec.gates)
        if gate.kind != PROBE  # judged by steps of their own: see `probe_steps`
    ]
    inputs = {"evaluation": Ref("evaluate", "evaluation")}
    if _needs_baseline(spec):
        inputs["baseline"] = Ref("evaluate.baseline", "evaluation")
    inputs |= {
        f"gate.{index}": Ref(f"gates.{index}", "gate")
        for index, gate in enumerate(spec.gates)
        if gate.kind == "call"
    }
    inputs |= {f"metric.{title}": Ref(f"metric.{title}", "metric") for title in user_metrics}
    seed = spec.params.get("seed", 0)
    params = {
        "gates": gates,
        "baseline": {
            "if_missing": baseline.if_missing if baseline else "warn",
            "declared": _needs_baseline(spec),
        },
        "confidence": evaluate.confidence if evaluate else 0.95,
        "seed": seed if isinstance(seed, int) else 0,
    }
    logs = tuple(name for name, work in spec.steps.items() if work.metrics)
    return Step(
        "gates",
        "gates",
        params,
        inputs,
        optional=("baseline",),
        after=("train", *logs),
        outputs=("gates",),
        key="gates",
    )
