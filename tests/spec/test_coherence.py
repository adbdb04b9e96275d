from collections.abc import Callable

import pytest

from fiat.evaluate import catalog
from fiat.spec import metric_names
from fiat.spec.load import LoadedSpec

Load = Callable[..., LoadedSpec]
Complain = Callable[..., list[str]]

HEAD = "fiat: 1\nname: x\ndata: {raw: {source: {path: x}}}\n"
TRAIN = HEAD + "train: {call: 'm:f', metrics: [loss]}\n"
DATA = "fiat: 1\nname: x\ntrain: {{call: 'm:f'}}\ndata: {{d: {{source: {{path: x}}, {}}}}}\n"
TRANSFORM = "transform: [{{columns: [{}], apply: [standardize]}}]\n"
SLICED = TRAIN + "evaluate: {metrics: [accuracy, {call: 'm:cost'}], slices: [label, [sex, age]]}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "evaluate: {}\n", "spec.yaml:4:1: evaluate: `evaluate` needs `train`, which makes the model"),
        (HEAD + "export: {}\n", "spec.yaml:4:1: export: `export` needs `train`, which makes the model"),
        (HEAD + "deploy: {a: {to: directory, path: x}}\n",
         "spec.yaml:4:1: deploy: `deploy` needs `train`, which makes the model"),
        (HEAD + "gates: [{size: {max: 1MiB}}]\n",
         "spec.yaml:4:1: gates: `gates` needs `evaluate`, which measures the model"),
        (TRAIN + "deploy: {a: {to: directory, path: x}}\n",
         "spec.yaml:5:1: deploy: `deploy` needs `evaluate`, which measures the model"),
        ("fiat: 1\nname: x\ntrain: {call: 'm:f'}\n",
         "spec.yaml:3:1: train: there is no dataset to train on (add `data`)"),
        ("fiat: 1\nname: x\ndata: {a: {source: {path: x}}, b: {source: {path: y}}}\ntrain: {call: 'm:f'}\n",
         "spec.yaml:4:1: train: several datasets: which one is the model judged by? (set `data`; there is: a, b)"),
        (HEAD + "train: {run: 'x {out.w}', out: {w: model}}\n",
         "spec.yaml:4:27: train.out: `train` has no output `model` (add `model: model`)"),
        ("fiat: 1\nname: x\n", "spec.yaml:1:1: the spec says nothing to do (add `steps`, or `data` and `train`)"),
        (HEAD + "steps: {train: {run: x}}\n",
         "spec.yaml:4:9: steps.train: a step can't be called `train` (the name is taken)"),
        (HEAD + "env: {secrets: [TOKEN]}\nsteps: {a: {run: x, secrets: [TOKN]}}\n",
         "spec.yaml:5:31: steps.a.secrets[0]: `TOKN` is not in `env.secrets` (did you mean `TOKEN`?)"),
        (HEAD + "env: {secrets: [TOKEN], vars: {TOKEN: x}}\n",
         "spec.yaml:4:39: env.vars.TOKEN: `TOKEN` is a secret, so its value can't stand here"),
        (HEAD + "train: {call: 'm:f', data: rw}\n",
         "spec.yaml:4:28: train.data: there is no dataset `rw` (did you mean `raw`?)"),
        (TRAIN + "evaluate: {data: nothing}\n",
         "spec.yaml:5:18: evaluate.data: there is no dataset `nothing` (there is: raw)"),
        (TRAIN + "evaluate: {metrics: [acuracy]}\n",
         "spec.yaml:5:22: evaluate.metrics[0]: there is no metric `acuracy` (did you mean `accuracy`?)"),
        (TRAIN + "evaluate: {task: regression, metrics: [accuracy]}\n",
         "spec.yaml:5:40: evaluate.metrics[0]: `accuracy` is a metric of classification, the task is regression"),
        (TRAIN + "evaluate: {metrics: [mcc]}\ngates: [{metric: rmse, min: 1}]\n",
         "spec.yaml:6:18: gates[0].metric: no step makes the metric `rmse` (there is: mcc, loss)"),
        (SLICED + "gates: [{metric: acuracy, min: 1}]\n",
         "spec.yaml:6:18: gates[0].metric: no step makes the metric `acuracy` (did you mean `accuracy`?)"),
        (SLICED + "gates: [{metric: accuracy, against: baseline}]\n",
         ("spec.yaml:6:37: gates[0].against: there is no `baseline` to compare with "
          "(such as `baseline: {from: main}`)")),
        (SLICED + "gates: [{metric: accuracy, min: 1, slice: sx}]\n",
         ("spec.yaml:6:43: gates[0].slice: `sx` is not in `evaluate.slices` "
          "(add it to `evaluate.slices`, which has: ")),
        (DATA.format("label: y, drop: [y]"), "spec.yaml:4:48: data.d.drop[0]: `y` is the label of data.d (take it out)"),
        (DATA.format("checks: [{drift: {against: yesterday, max: 1}}]"),
         "spec.yaml:4:41: data.d.checks[0].drift: there is no `yesterday` to compare with (one of: previous, train"),
        (DATA.format("label: y, checks: [{label: {against: serving}}]"),
         "spec.yaml:4:51: data.d.checks[0].label: there is no `serving` to compare with (one of: previous, train)"),
        (DATA.format("checks: [{leak: {}}]"),
         "spec.yaml:4:40: data.d.checks[0]: `leak` is about the label, and data.d has none (set `label`)"),
        (DATA.format("checks: [{columns: {missing: warn}}, {columns: {unexpected: warn}}]"),
         "spec.yaml:4:68: data.d.checks[1]: `columns` is checked twice, and only the first would count"),
        (DATA.format("label: y") + TRANSFORM.format("y"),
         "spec.yaml:5:24: transform[0].columns[0]: `y` is no feature of data.d: it is the label"),
        (DATA.format("drop: [z]") + TRANSFORM.format("z"),
         "spec.yaml:5:24: transform[0].columns[0]: `z` is no feature of data.d: it is dropped"),
        (DATA.format("derive: {big: a > 1}") + TRANSFORM.format("big"),
         "spec.yaml:5:24: transform[0].columns[0]: `big` is no feature of data.d: it is derived"),
        (DATA.format("split: {train: 1, key: id}") + TRANSFORM.format("id"),
         "spec.yaml:5:24: transform[0].columns[0]: `id` is no feature of data.d: the split goes by it"),
        (DATA.format("features: [area]") + TRANSFORM.format("aera"),
         "spec.yaml:5:24: transform[0].columns[0]: `aera` is not among data.d.features (did you mean `area`?)"),
        (TRAIN + "evaluate: {}\nmonitor: {drift: {max: 0.1}}\n",
         ("spec.yaml:6:1: monitor: `monitor` watches a service, and the spec deploys none "
          "(add a target such as `production: {to: service}`)")),
    ],
)  # fmt: skip
def test_sections_that_contradict_each_other_are_told_at_their_place(
    complain: Complain, text: str, message: str
) -> None:
    (found,) = complain(text)
    assert found.startswith(message)


@pytest.mark.parametrize(
    "gate",
    [
        "{metric: accuracy, min: 0.5}",
        "{metric: cost, max: 3}",
        "{metric: loss, max: 1}",
        "{metric: recall, slice: label, min: 0.6, min_examples: 100}",
        "{metric: accuracy, slice: [age, sex], min: 0.6}",
    ],
)
def test_a_gate_may_name_what_is_evaluated_logged_or_known_by_slice(load: Load, gate: str) -> None:
    assert len(load(SLICED + f"gates: [{gate}]\n").spec.gates) == 1


def test_without_a_list_of_metrics_gates_may_name_any_of_the_task(load: Load, complain: Complain) -> None:
    classification = TRAIN + "evaluate: {task: classification}\ngates: [{metric: mcc, min: 0}]\n"
    assert load(classification).spec.evaluate is not None
    assert "no step makes" in complain(classification.replace("mcc", "rmse"))[0]


def test_a_step_made_dataset_may_be_trained_on(load: Load) -> None:
    text = HEAD + "steps: {c: {run: 'x {out.d}', out: {d: dataset}}}\ntrain: {call: 'm:f', data: c.d}\n"
    assert load(text).spec.train is not None


def test_the_names_of_metrics_are_those_that_evaluation_computes() -> None:
    by_task = {
        task: tuple(name for name, info in catalog.METRICS.items() if info.task == task)
        for task in ("classification", "regression")
    }
    assert sorted(metric_names.CLASSIFICATION) == sorted(by_task["classification"])
    assert sorted(metric_names.REGRESSION) == sorted(by_task["regression"])
