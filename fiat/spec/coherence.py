"""Contradictions between sections, as far as the spec alone can tell."""

from collections.abc import Iterator

from fiat.spec.check_section import CHECKS
from fiat.spec.data_section import DataSet
from fiat.spec.graph import Contradiction, find_misfits, meant, outputs_of, works_of
from fiat.spec.metric_names import CLASSIFICATION, METRICS, REGRESSION
from fiat.spec.model import Spec
from fiat.spec.training_coherence import training_contradictions
from fiat.spec.tree import KeyPath

RESERVED_STEPS = (
    "data",
    "out",
    "transform",
    "train",
    "tune",
    "export",
    "evaluate",
    "gates",
    "package",
    "deploy",
    "params",
    "env",
)


def find_contradictions(spec: Spec) -> list[Contradiction]:
    """Every contradiction of a valid spec, in the order of the language's sections."""
    return [
        *_sections(spec),
        *_secrets(spec),
        *find_misfits(spec),
        *_datasets(spec),
        *_checks(spec),
        *_columns(spec),
        *_metrics(spec),
        *_gates(spec),
        *_targets(spec),
        *training_contradictions(spec),
    ]


def _sections(spec: Spec) -> Iterator[Contradiction]:
    if not (spec.data or spec.steps or spec.train):
        yield Contradiction((), "the spec says nothing to do", "add `steps`, or `data` and `train`")
    for section in ("export", "evaluate", "deploy", "tune", "model", "transform"):
        if getattr(spec, section) and spec.train is None:
            yield Contradiction((section,), f"`{section}` needs `train`, which makes the model")
    for section in ("gates", "deploy", "model"):
        if (
            getattr(spec, section)
            and spec.evaluate is None
            and (spec.train is not None or section == "gates")
        ):
            yield Contradiction((section,), f"`{section}` needs `evaluate`, which measures the model")
    if (
        spec.train is not None
        and spec.train.run is not None
        and spec.train.out
        and "model" not in spec.train.out
    ):
        yield Contradiction(("train", "out"), "`train` has no output `model`", "add `model: model`")
    for name in spec.steps:
        if name in RESERVED_STEPS:
            yield Contradiction(("steps", name), f"a step can't be called `{name}`", "the name is taken")


def _secrets(spec: Spec) -> Iterator[Contradiction]:
    declared = spec.env.secrets
    for name in declared:
        if name in spec.env.vars:
            yield Contradiction(("env", "vars", name), f"`{name}` is a secret, so its value can't stand here")
    for step, work in works_of(spec).items():
        path: KeyPath = ("train",) if step == "train" else ("steps", step)
        for index, secret in enumerate(work.secrets):
            if secret not in declared:
                hint = meant(secret, declared) or "declare it under `env.secrets`"
                yield Contradiction((*path, "secrets", index), f"`{secret}` is not in `env.secrets`", hint)
    for name, data in spec.data.items():
        connection = data.source.connection if data.source is not None else None
        if connection is not None and connection not in declared:
            place: KeyPath = ("data", name, "source", "connection")
            yield Contradiction(place, f"`{connection}` is not in `env.secrets`", meant(connection, declared))


def _datasets(spec: Spec) -> Iterator[Contradiction]:
    outputs = outputs_of(spec)
    made = [
        f"{step}.{name}" for step in spec.steps for name, kind in outputs[step].items() if kind == "dataset"
    ]
    named = [*spec.data, *made]
    wanted: list[tuple[KeyPath, str]] = []
    if spec.train is not None and spec.train.data is not None:
        wanted.append((("train", "data"), spec.train.data))
    if spec.evaluate is not None and spec.evaluate.data is not None:
        wanted.append((("evaluate", "data"), spec.evaluate.data))
    listed = f"there is: {', '.join(named)}" if named else ""
    for path, name in wanted:
        if name.removeprefix("data.") not in named:
            yield Contradiction(path, f"there is no dataset `{name}`", meant(name, named) or listed)
    if spec.train is None or wanted or len(spec.data) == 1:
        return
    path = ("train",) if spec.evaluate is None else ("evaluate",)
    if named:
        message = "several datasets" if spec.data else "the dataset is made by a step"
        yield Contradiction(path, f"{message}: which one is the model judged by?", f"set `data`; {listed}")
    else:
        yield Contradiction(("train",), "there is no dataset to train on", "add `data`")


def _checks(spec: Spec) -> Iterator[Contradiction]:
    for name, data in spec.data.items():
        others = [f"data.{other}" for other in spec.data if other != name]
        for index, check in enumerate(data.checks):
            kind = next(key for key in CHECKS if getattr(check, key) is not None)
            splits = {"rows": [], "label": ["train"]}  # what clients send has no label, and no end
            known = ["previous", *splits.get(kind, ["train", "serving"]), *others]
            if check.against and check.against not in known:
                hint = meant(check.against, known) or f"one of: {', '.join(known)}"
                path: KeyPath = ("data", name, "checks", index, kind)
                yield Contradiction(path, f"there is no `{check.against}` to compare with", hint)
            if kind == "columns" and any(other.columns for other in data.checks[:index]):
                message = "`columns` is checked twice, and only the first would count"
                yield Contradiction(("data", name, "checks", index), message, "make one of the two")
            if data.label is None and kind in ("leak", "label"):
                message = f"`{kind}` is about the label, and data.{name} has none"
                yield Contradiction(("data", name, "checks", index), message, "set `label`")


def _columns(spec: Spec) -> Iterator[Contradiction]:
    """Columns that can't be what they are named for."""
    for name, data in spec.data.items():
        for key, names in (("features", data.features or ()), ("drop", data.drop)):
            if data.label is not None and data.label in names:
                message = f"`{data.label}` is the label of data.{name}"
                yield Contradiction(("data", name, key, names.index(data.label)), message, "take it out")
    if not spec.transform or spec.train is None:
        return
    named = (spec.train.data or next(iter(spec.data), "")).removeprefix("data.")
    trained = spec.data.get(named) if spec.train.data or len(spec.data) == 1 else None
    if trained is None:
        return
    no_features = _no_features(trained)
    for index, entry in enumerate(spec.transform):
        for place, column in enumerate(entry.columns):
            path: KeyPath = ("transform", index, "columns", place)
            if column in no_features:
                message = f"`{column}` is no feature of data.{named}: {no_features[column]}"
                yield Contradiction(path, message, "only what the model is given can be transformed")
            elif trained.features is not None and column not in trained.features:
                hint = meant(column, trained.features) or f"there is: {', '.join(trained.features)}"
                yield Contradiction(path, f"`{column}` is not among data.{named}.features", hint)


def _no_features(data: DataSet) -> dict[str, str]:
    """Columns that the model is not given, each with the reason."""
    found = dict.fromkeys(data.derive, "it is derived, so a served model is not given it")
    found |= dict.fromkeys(data.drop, "it is dropped")
    split = data.split
    duties = [split.key, split.column, split.time.column if split.time else None] if split else []
    found |= {column: "the split goes by it" for column in duties if column}
    if data.label is not None:
        found[data.label] = "it is the label"
    return {column: why for column, why in found.items() if column not in (data.features or ())}


def _metrics(spec: Spec) -> Iterator[Contradiction]:
    if spec.evaluate is None:
        return
    task = spec.evaluate.task
    for index, metric in enumerate(spec.evaluate.metrics):
        if metric.name is None:
            continue
        path: KeyPath = ("evaluate", "metrics", index)
        if metric.name not in METRICS:
            hint = meant(metric.name, METRICS) or f"known are: {', '.join(METRICS)}"
            yield Contradiction(path, f"there is no metric `{metric.name}`", hint)
        elif task is not None and metric.name in (REGRESSION if task == "classification" else CLASSIFICATION):
            other = "regression" if task == "classification" else "classification"
            yield Contradiction(path, f"`{metric.name}` is a metric of {other}, the task is {task}")


def _gates(spec: Spec) -> Iterator[Contradiction]:
    evaluated = _evaluated(spec)
    logged = [name for work in works_of(spec).values() for name in work.metrics]
    slices = {frozenset(columns) for columns in spec.evaluate.slices} if spec.evaluate is not None else set()
    for index, gate in enumerate(spec.gates):
        if gate.metric is None:
            continue
        known = [*evaluated, *logged]
        if gate.slice is not None and spec.evaluate is not None:
            known += [name for name in METRICS if name not in known]
        if gate.metric not in known:
            hint = meant(gate.metric, known) or (f"there is: {', '.join(known)}" if known else "")
            if not hint:
                hint = "add `evaluate`, or name logged metrics under `metrics` of the step"
            yield Contradiction(("gates", index, "metric"), f"no step makes the metric `{gate.metric}`", hint)
        if gate.against is not None and spec.baseline is None:
            hint = "such as `baseline: {from: main}`"
            yield Contradiction(("gates", index, "against"), "there is no `baseline` to compare with", hint)
        if gate.slice is not None and frozenset(gate.slice) not in slices:
            shown = " x ".join(gate.slice)
            names = [" x ".join(sorted(columns)) for columns in slices]
            hint = meant(shown, names) or f"add it to `evaluate.slices`{_there_is(names)}"
            yield Contradiction(("gates", index, "slice"), f"`{shown}` is not in `evaluate.slices`", hint)


def _targets(spec: Spec) -> Iterator[Contradiction]:
    """What can be watched."""
    if spec.monitor is not None and not any(target.to == "service" for target in spec.deploy.values()):
        hint = "add a target such as `production: {to: service}`"
        yield Contradiction(("monitor",), "`monitor` watches a service, and the spec deploys none", hint)


def _evaluated(spec: Spec) -> list[str]:
    """Metrics that `evaluate` makes; without a list, the usual ones of the task, or of either."""
    if spec.evaluate is None:
        return []
    if spec.evaluate.metrics:
        return [metric.title for metric in spec.evaluate.metrics]
    usual = {"classification": CLASSIFICATION, "regression": REGRESSION, None: METRICS}
    return list(usual[spec.evaluate.task])


def _there_is(names: list[str]) -> str:
    return f", which has: {', '.join(names)}" if names else ""
