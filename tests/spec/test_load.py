import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from fiat.errors import SpecErrors
from fiat.spec.load import LoadedSpec, load_spec
from fiat.spec.model import Spec

Load = Callable[..., LoadedSpec]
Complain = Callable[..., list[str]]

SMALL = """\
fiat: 1
name: digits
params: {seed: 7, lr: 1e-3}
data:
  images:
    source: {path: "${dir}/images.csv"}
    label: label
train:
  call: digits.model:train
  with: {lr: "${params.lr}"}
evaluate:
  metrics: [accuracy]
gates:
  - {metric: accuracy, min: 0.9}
"""


def test_a_spec_of_few_lines_is_useful(load: Load) -> None:
    loaded = load('fiat: 1\nname: hello\nsteps:\n  hi: {run: "echo hi > {out.o}", out: {o: file}}\n')
    assert loaded.spec.steps["hi"].out == {"o": "file"}
    assert loaded.spec.train is None


def test_references_are_resolved_with_their_type(load: Load) -> None:
    loaded = load(SMALL)
    assert loaded.spec.train is not None
    assert loaded.spec.train.with_ == {"lr": 0.001}
    assert loaded.spec.data["images"].source is not None
    assert loaded.spec.data["images"].source.path == "./images.csv"
    assert loaded.config["train"] == {"call": "digits.model:train", "with": {"lr": 0.001}}


def test_the_folder_of_a_spec_is_known_relative_to_the_root(tmp_path: Path) -> None:
    path = tmp_path / "specs" / "digits" / "spec.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(SMALL)
    loaded = load_spec(path, root=tmp_path, builtins={})
    assert loaded.dir == "specs/digits"
    assert loaded.spec.data["images"].source is not None
    assert loaded.spec.data["images"].source.path == "specs/digits/images.csv"
    assert str(loaded.where("gates[0].min")) == "specs/digits/spec.yaml:14:29"
    assert str(loaded.where("train.with")) == "specs/digits/spec.yaml:10:3"
    assert str(loaded.where("train.timeout")) == "specs/digits/spec.yaml:8:1"
    assert loaded.where("train.with.lr").key == "train.with.lr"


def test_the_digest_does_not_depend_on_the_order_of_keys(load: Load) -> None:
    data = yaml.safe_load(SMALL)
    turned = yaml.safe_dump({key: data[key] for key in reversed(data)}, sort_keys=False)
    assert load(SMALL).digest == load(turned).digest
    assert load(SMALL).digest != load(SMALL, ["params.lr=0.002"]).digest
    assert load(SMALL).digest != load(SMALL.replace("[accuracy]", "[accuracy, mcc]")).digest


def test_the_config_is_plain_json(load: Load) -> None:
    loaded = load(SMALL)
    assert json.loads(json.dumps(loaded.config)) == loaded.config
    assert Spec.model_validate(loaded.config) == loaded.spec


def test_a_loaded_spec_cannot_be_changed(load: Load) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(SMALL).spec.name = "other"


def test_every_fault_is_told_at_once_each_at_its_place(complain: Complain) -> None:
    found = complain(
        """\
fiat: 1
name: Bad Name
parms: {a: 1}
params: {lr: 1}
data:
  img:
    source: {path: x, url: y}
    format: idz
    split:
  b: {source: {pth: x}}
train:
  call: a.b
  timeot: 2h
  timeout: 2hours
  with: {a: "${nam}"}
  resources: {cpus: "4", gpus: -1}
env: {vars: {A: 2}}
evaluate: {metrics: [accuracy, {cal: x}], slices: [1], confidence: 95}
gates:
  - {metric: accuracy, min: 0.9, sevrity: warn}
  - {metric: accuracy}
  - 5
steps:
  Up: {run: x}
"""
    )
    assert found == [
        (
            "spec.yaml:2:7: name: expected a name of a-z, 0-9, _ and - that starts with a letter or digit, 64 at most, "
            "found `Bad Name`"
        ),
        "spec.yaml:3:1: parms: unknown key `parms` (did you mean `params`?)",
        (
            "spec.yaml:7:28: data.img.source.url: a source takes only one of `path`, `glob`, `url`, `dvc`, `s3`, `gs`, "
            "`az`, `sql`, `call`, not `path` and `url`"
        ),
        (
            "spec.yaml:8:13: data.img.format: expected `csv`, `parquet`, `jsonl`, `arrow`, `npy`, `idx`, `images` or "
            "`text`, found `idz` (did you mean `idx`?)"
        ),
        "spec.yaml:9:5: data.img.split: `split` has no value (write its value, or take the key out)",
        "spec.yaml:10:16: data.b.source.pth: unknown key `pth` (did you mean `path`?)",
        "spec.yaml:12:9: train.call: expected a function as `package.module:function`, found `a.b`",
        "spec.yaml:13:3: train.timeot: unknown key `timeot` (did you mean `timeout`?)",
        "spec.yaml:14:12: train.timeout: expected a duration such as `90s`, `10m`, `2h` or `30d`, found `2hours`",
        "spec.yaml:15:13: train.with.a: ${nam}: there is no `nam` (did you mean `name`?)",
        "spec.yaml:16:21: train.resources.cpus: expected a number, found `4`",
        "spec.yaml:16:32: train.resources.gpus: expected 0 or more, found `-1`",
        'spec.yaml:17:17: env.vars.A: expected text, found `2` (quote it: "2")',
        "spec.yaml:18:33: evaluate.metrics[1].cal: unknown key `cal` (did you mean `call`?)",
        "spec.yaml:18:52: evaluate.slices[0]: expected a list, found `1`",
        "spec.yaml:18:68: evaluate.confidence: expected less than 1, found `95`",
        "spec.yaml:20:34: gates[0].sevrity: unknown key `sevrity` (did you mean `severity`?)",
        "spec.yaml:21:5: gates[1]: a gate on a metric needs `min`, `max` or `against: baseline`",
        "spec.yaml:22:5: gates[2]: expected a mapping, found `5`",
        (
            "spec.yaml:24:3: steps.Up: expected a name of a-z, 0-9, _ and - that starts with a letter or digit, "
            "64 at most, found `Up`"
        ),
    ]


def test_faults_between_sections_are_told_beside_a_misspelled_key(complain: Complain) -> None:
    text = SMALL.replace("  metrics: [accuracy]", "  metrcs: [f1]\n  confidence: 2").replace(
        "  with:", "  wth:"
    )
    assert complain(text) == [
        "spec.yaml:10:3: train.wth: unknown key `wth` (did you mean `with`?)",
        "spec.yaml:12:3: evaluate.metrcs: unknown key `metrcs` (did you mean `metrics`?)",
        "spec.yaml:13:15: evaluate.confidence: expected less than 1, found `2`",
        "spec.yaml:15:14: gates[0].metric: no step makes the metric `accuracy` (there is: f1)",
    ]


def test_a_key_without_a_value_is_never_a_silent_null(complain: Complain) -> None:
    assert (
        complain("fiat: 1\nname: x\nsteps:\nparams:\n  a:\n  b: ~\nenv: {vars: ~}\n")
        == [
            "spec.yaml:3:1: steps: `steps` has no value (write its value, or take the key out)",
            "spec.yaml:5:3: params.a: `a` has no value (write its value, or take the key out)",
            "spec.yaml:7:13: env.vars: null is not allowed here (write its value, or take the key out)",
            "spec.yaml:1:1: the spec says nothing to do (add `steps`, or `data` and `train`)",
        ][:3]
    )


def test_null_is_a_value_among_the_users_own(load: Load) -> None:
    loaded = load("fiat: 1\nname: x\nparams: {a: ~, b: null}\nsteps:\n  s: {run: x, with: {c: ~}}\n")
    assert loaded.spec.params == {"a": None, "b": None}
    assert loaded.spec.steps["s"].with_ == {"c": None}


def test_a_missing_key_is_told_where_it_belongs(complain: Complain) -> None:
    assert complain("fiat: 1\nsteps:\n  a: {run: x}\ndeploy:\n  shelf: {path: x}\ngates:\n  - size: {}\n")[
        :3
    ] == [
        "spec.yaml:1:1: name: `name` is missing",
        "spec.yaml:5:3: deploy.shelf.to: `to` is missing",
        "spec.yaml:7:5: gates[0].size.max: `max` is missing",
    ]


def test_a_wrong_key_of_a_defaults_file_is_told_in_that_file(complain: Complain) -> None:
    text = "defaults: [train: big, _self_]\nfiat: 1\nname: x\ndata: {d: {source: {path: x}}}\n"
    files = {"train/big.yaml": "call: a.b:c\n\nretires: 2\nresources:\n  gpus: many\n"}
    assert complain(text, files=files) == [
        "train/big.yaml:3:1: train.retires: unknown key `retires` (did you mean `retries`?)",
        "train/big.yaml:5:9: train.resources.gpus: expected a number, found `many`",
    ]


def test_faults_of_overrides_are_told_with_the_override(complain: Complain) -> None:
    overrides = [
        "params.lrr=1",
        "train.wiht.lr=2",
        "gates[0].min=high",
        "+params.new=1",
        "evaluate.confidence=7",
    ]
    assert complain(SMALL, overrides) == [
        "<override> evaluate.confidence=7: evaluate.confidence: expected less than 1, found `7`",
        "<override> gates[0].min=high: gates[0].min: expected a number, found `high`",
        "<override> params.lrr=1: params.lrr: `params` has no `lrr` (did you mean `lr`?)",
        "<override> train.wiht.lr=2: train.wiht: unknown key `wiht` (did you mean `with`?)",
    ]


def test_errors_survive_a_trip_to_another_process(load: Load) -> None:

    with pytest.raises(SpecErrors) as caught:
        load("fiat: 2\nname: x\n")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_loading_a_plain_spec_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SMALL)
    code = (
        "import sys; from pathlib import Path; from fiat.spec.load import load_spec\n"
        "load_spec(Path('spec.yaml'), root=Path('.'), builtins={})\n"
        "print([m for m in ('hydra', 'omegaconf', 'antlr4', 'numpy', 'pyarrow', 'ray') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
