"""Steps between the raw data and the training: sources that are called, checks of data, the transforms. Pure."""

from dataclasses import replace

from fiat.plan.datasets import named_dataset, role_of, training_data
from fiat.plan.model import Ref, Step
from fiat.plan.work import source_paths
from fiat.spec.data_section import DataSet, Source
from fiat.spec.model import Spec

PREVIOUS = Ref("@previous", "profile")
COMPARED_WITH = "previous"
"""Role of the input of a check of data that it compares them with."""
SERVING = Ref("@serving", "profile")
SERVED = "serving"
"""Role of the input of a check of data that says what clients sent to the served model."""
TRANSFORM = "transform"
_CLOUD_VARIABLES = ("AWS_", "AZURE_", "GOOGLE_", "STORAGE_EMULATOR_HOST")


def data_steps(spec: Spec) -> list[Step]:
    """For each dataset: the call that makes it, where there is one; what reads it; what checks it."""
    steps: list[Step] = []
    for name, data in spec.data.items():
        if data.source is None and data.span is None:
            continue
        if data.source is not None and data.source.call is not None:
            steps.append(_source_step(spec, name, data.source))
        steps.append(_data_step(spec, name, data))
        if data.checks or data.schema_:
            steps.append(_check_step(spec, name, data))
    return steps


def after_checks(steps: list[Step]) -> list[Step]:
    """Let everything that reads a dataset wait for its checks."""
    checks = {step.inputs["dataset"].step: step.name for step in steps if step.kind == "check"}
    found = []
    for step in steps:
        waits = [
            checks[ref.step]
            for ref in step.inputs.values()
            if ref.step in checks and step.kind not in ("check", "package")
        ]
        found.append(replace(step, after=(*step.after, *dict.fromkeys(waits))) if waits else step)
    return found


def transform_steps(spec: Spec) -> list[Step]:
    """The transforms of the training data, and before them the calls that make graphs for them."""
    dataset = transformed_data(spec)
    if dataset is None:
        return []
    role = role_of(dataset)
    steps: list[Step] = []
    inputs = {"dataset": dataset}
    entries: list[dict[str, object]] = []
    for index, entry in enumerate(spec.transform):
        key = f"transform[{index}]"
        if entry.call is None:
            apply = [item.model_dump(mode="json", exclude_none=True) for item in entry.apply or ()]
            entries.append({"columns": list(entry.columns), "apply": apply, "key": key})
            continue
        request = {
            "role": TRANSFORM,
            "params": dict(entry.with_),
            "seed": 0,
            "data": role,
            "datasets": {role: role},
            "columns": list(entry.columns),
        }
        name = f"transform.{index}"
        steps.append(
            Step(
                name=name,
                kind="call",
                params={"request": request},
                inputs={role: dataset},
                outputs=("graph",),
                call=entry.call,
                env=dict(spec.env.vars),
                key=key,
            )
        )
        inputs[f"graph.{index}"] = Ref(name, "graph")
        entries.append({"columns": list(entry.columns), "graph": f"graph.{index}", "key": key})
    params: dict[str, object] = {"transform": entries}
    outputs = ("dataset", "transform")
    return [*steps, Step(TRANSFORM, TRANSFORM, params, inputs, outputs=outputs, key=TRANSFORM)]


def transformed_data(spec: Spec) -> Ref | None:
    """The dataset that the transforms are fitted on: what is trained on; None without transforms.

    Raises:
        SpecError: there are several and the spec names none.
    """
    if not spec.transform or spec.train is None:
        return None
    return named_dataset(spec.train.data) if spec.train.data else training_data(spec)


def described_rows(spec: Spec) -> dict[str, Ref]:
    """What a package describes the rows by that its model learned from: their check's profile, else they themselves."""
    assert spec.train is not None  # noqa: S101 - the caller looked
    raw = named_dataset(spec.train.data) if spec.train.data else training_data(spec)
    data = spec.data.get(raw.step.removeprefix("data."))
    if raw.step.startswith("data.") and data is not None and (data.checks or data.schema_):
        return {"profile": Ref(f"check.{raw.step.removeprefix('data.')}", "profile")}
    return {"dataset": raw}


def through_transforms(spec: Spec, step: Step) -> Step:
    """The training step with the transformed rows in place of the raw ones."""
    raw = transformed_data(spec)
    if raw is None:
        return step
    made = Ref(TRANSFORM, "dataset")
    return replace(step, inputs={role: made if ref == raw else ref for role, ref in step.inputs.items()})


def _source_step(spec: Spec, name: str, source: Source) -> Step:
    params = source.with_ if "with_" in source.model_fields_set else spec.params
    seed = spec.params.get("seed", 0)
    request = {
        "role": "source",
        "params": dict(params),
        "seed": seed if isinstance(seed, int) else 0,
        "data": None,
        "datasets": {},
    }
    return Step(
        name=f"source.{name}",
        kind="call",
        params={"request": request},
        outputs=("data",),
        call=source.call or "",
        env=dict(spec.env.vars),
        key=f"data.{name}.source",
    )


def _data_step(spec: Spec, name: str, data: DataSet) -> Step:
    params = data.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    for key in ("checks", "environment"):
        params.pop(key, None)
    sources, volatile = source_paths(data)
    inputs = {}
    if data.source is not None and data.source.call is not None:
        inputs["source"] = Ref(f"source.{name}", "data")
        params["source"] = {"call": data.source.call}
    return Step(
        name=f"data.{name}",
        kind="data",
        params=params,
        inputs=inputs,
        outputs=("dataset",),
        sources=(*sources, *((data.schema_,) if data.schema_ else ())),
        secrets=source_secrets(spec, data),
        volatile=volatile,
        facts={"max_bytes": None, "name": name},
        key=f"data.{name}",
    )


def source_secrets(spec: Spec, data: DataSet) -> tuple[str, ...]:
    """What a source may use of the declared secrets: the one that it names, or those that its kind goes by."""
    source = data.source
    if source is None:
        return ()
    if source.connection:
        return (source.connection,)
    if source.kind in ("s3", "gs", "az"):
        return tuple(name for name in spec.env.secrets if name.startswith(_CLOUD_VARIABLES))
    return ()


def _check_step(spec: Spec, name: str, data: DataSet) -> Step:
    checks = [
        {
            **check.model_dump(mode="json", by_alias=True, exclude_none=True),
            "severity": check.severity,
            "key": f"data.{name}.checks[{index}]",
        }
        for index, check in enumerate(data.checks)
    ]
    params: dict[str, object] = {
        "name": name,
        "checks": checks,
        "schema": data.schema_,
        "environment": data.environment,
        "label": data.label,
        "derived": list(data.derive),
        "unseen": _unseen(data),
        "slices": _slices(spec, name),
    }
    inputs = {"dataset": Ref(f"data.{name}", "dataset")}
    named = dict.fromkeys(check.against for check in data.checks if check.against)
    for against in named:
        other = against.removeprefix("data.")
        if against == "previous":
            inputs[COMPARED_WITH] = PREVIOUS
        elif against == SERVED:
            inputs[SERVED] = SERVING
            params |= _of_serving(spec)
        elif against.startswith("data.") and other in spec.data and other != name:
            checked = bool(spec.data[other].checks or spec.data[other].schema_)
            ref = Ref(f"check.{other}", "profile") if checked else Ref(against, "dataset")
            inputs[against] = ref
    return Step(
        name=f"check.{name}",
        kind="check",
        params=params,
        inputs=inputs,
        optional=(COMPARED_WITH, *([SERVED] if SERVED in inputs else [])),
        outputs=("profile",),
        sources=(data.schema_,) if data.schema_ else (),
        key=f"data.{name}",
    )


def _of_serving(spec: Spec) -> dict[str, object]:
    """What the log of served requests can't hold."""
    log = spec.monitor.log if spec.monitor is not None else None
    return {"is_logged": spec.monitor is not None, "redacted": list(log.redact) if log is not None else []}


def _unseen(data: DataSet) -> list[str]:
    """Columns that no model learns from: that they move is no drift."""
    key = data.split.key if data.split is not None else None
    return [name for name in (*data.drop, *([key] if key else [])) if name not in (data.features or ())]


def _slices(spec: Spec, name: str) -> list[list[str]]:
    """The slices that the model is judged by, where they are of this dataset."""
    evaluate = spec.evaluate
    if evaluate is None or (evaluate.data or name).removeprefix("data.") != name:
        return []
    return [[by] if isinstance(by, str) else list(by) for by in evaluate.slices]
