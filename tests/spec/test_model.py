import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from fiat.errors import SpecErrors
from fiat.spec.load import load_spec
from fiat.spec.model import Spec
from fiat.spec.section import duration_s, size_bytes
from fiat.spec.support import unsupported
from fiat.spec.yaml_events import parse

from fiat.spec.tree import to_plain  # isort: skip

EVERYTHING = """\
fiat: 1
name: all-of-it
params: {seed: 7, lr: 1e-3}
env: {vars: {OMP_NUM_THREADS: "2"}, secrets: [HUB_TOKEN, DB_URL], sandbox: bubblewrap, network: true}
data:
  images:
    source: {url: "https://example.org/a", sha256: "0000000000000000000000000000000000000000000000000000000000000000"}
    format: csv
    header: false
    columns: [id, a, b]
    delimiter: ";"
    label: b
    drop: [id]
    split: {train: 8, eval: 1, test: 1, key: id}
    schema: schemas/images.yaml
    checks:
      - rows: {min: 1000, change: {against: previous, max_ratio: 0.5}}
      - columns: {unexpected: warn}
      - drift: {against: previous, metric: js, max: 0.1, columns: {price: 0.2}}
      - skew: {against: serving, max: 0.1}
      - sql: "select count(*) from train where age < 0"
        severity: warn
  spans:
    span: {pattern: "data/{YYYY}-{MM}-{DD}.parquet", use: {last: 7}}
    split: {time: {column: at, test: "2024-01-01"}}
  newest: {span: {pattern: "data/{SPAN}", use: latest}, split: {column: part}}
  one: {span: {pattern: "data/{SPAN}", use: "2024-05-01"}, split: {files: {train: "train-*", eval: 0.1, test: "t10k-*"}}}
  dvc: {source: {dvc: data/x, repo: "https://example.org/r.git", rev: v1, remote: main}}
  bucket: {source: {s3: bucket/key, endpoint: "https://minio.example.org", anonymous: true}}
  db: {source: {sql: "select * from t", connection: DB_URL}}
  made: {source: {call: "m:make", with: {n: 3}}, features: [a, b]}
steps:
  clean:
    run: python clean.py --in {data.images} --out {out.clean}
    out: {clean: dataset, note: file, dir: folder, m: metrics}
    code: ["src/**"]
    env: {A: b}
    secrets: [HUB_TOKEN]
    retries: 1
    timeout: 90s
transform:
  - {columns: [age, hours], apply: [impute: median, standardize]}
  - {columns: [city], apply: [one_hot: {max: 50, unknown: other}]}
  - {columns: [distance], apply: [log1p, bucketize: 10, clip: {min: 0}, hash: 8, ordinal, min_max]}
train:
  call: fashion.model:train
  with: {epochs: 3}
  inputs: [clean.clean]
  data: images
  metrics: [loss]
  resources: {gpus: 1, cpus: 4, memory: 8GiB, workers: 2}
  checkpoint: {keep: 2, every: 10m}
  warm_start: baseline
  retries: 2
  timeout: 2h
tune:
  search: {lr: {log: [1e-4, 1e-1]}, batch_size: [64, 128], wd: {uniform: [0, 1]}, layers: {int: [1, 4]}}
  objective: {maximize: accuracy}
  trials: 20
  parallel: 4
  stop: asha
export: {to: onnx, opset: 18, quantize: dynamic}
evaluate:
  split: test
  data: images
  task: classification
  metrics: [accuracy, f1_macro, log_loss, {call: fashion.metrics:cost}]
  slices: [label, [sex, age_group]]
  confidence: 0.9
  plots: [confusion, roc, calibration]
baseline: {from: main, if_missing: warn}
gates:
  - {metric: accuracy, min: 0.88}
  - {metric: accuracy, against: baseline, max_drop: 0.002, significant: true}
  - {metric: recall, slice: label, min: 0.6, min_examples: 100}
  - {parity: {max_abs: 1e-4}}
  - {probe: {p95_ms: 5, load_s: 10, memory: 400MiB, size: 20MiB}}
  - {size: {max: 20MiB}}
  - {call: "gates.fairness:check", with: {k: 1}, severity: warn}
model: {name: fashion, alias: champion, card: MODEL.md}
deploy:
  production:
    to: service
    when: {branch: main}
    approval: false
    rollout: {steps: [10, 50, 100], hold: 2m, abort_on: {error_ratio: 0.01, p95_ms: 20}}
  scores: {to: batch, input: data.images, output: scores.parquet}
  phone: {to: edge, format: ort, quantize: dynamic}
  shelf: {to: directory, path: models/}
  box: {to: image, tag: "fashion:${commit}"}
monitor: {log: {sample_ratio: 1.0, keep: 30d}, drift: {metric: js, max: 0.1, window: 1000}, on_drift: retrain}
triggers:
  push: {branches: [main], paths: [src/**]}
  pull_request: {forks: approval}
  schedule: "0 3 * * 1"
  data: {every: 10m}
  comment: "/fiat run"
concurrency: {group: "${name}-${ref}", supersede: true}
"""


def spec_of(tmp_path: Path, text: str) -> Spec:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    return load_spec(path, root=tmp_path, builtins={"commit": "abc", "ref": "main"}).spec


def test_every_section_parses_and_survives_a_round_trip_through_yaml(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, EVERYTHING)
    written = yaml.safe_dump(
        spec.model_dump(mode="json", by_alias=True, exclude_none=True), allow_unicode=True
    )
    assert spec_of(tmp_path, written) == spec
    assert Spec.model_validate(to_plain(parse(written.encode(), "s.yaml"))) == spec


def test_the_language_as_it_was_designed_parses(tmp_path: Path) -> None:
    design = Path(__file__).parents[3] / "shared" / "design" / "spec.md"
    if not design.exists():
        pytest.skip("the design folder is not beside the repository")
    found = re.search(r"```yaml\n(.*?)```", design.read_text(), re.DOTALL)
    assert found is not None
    spec = spec_of(tmp_path, found[1])
    assert spec.name == "fashion"
    assert set(Spec.model_fields) == spec.model_fields_set


def test_what_is_not_built_yet_is_named_and_triggers_are_not(tmp_path: Path) -> None:
    found = unsupported(spec_of(tmp_path, EVERYTHING))
    assert [path for path, _ in found] == ["export.quantize"]
    assert dict(found)["export.quantize"].endswith("is not built yet in this version")


def test_a_spec_of_what_is_built_has_nothing_unsupported(tmp_path: Path) -> None:
    text = (
        "fiat: 1\nname: x\ndata: {d: {source: {path: x}, split: {train: 8, test: 2}}}\ntrain: {call: 'm:f'}\n"
        "export: {}\nevaluate: {}\ngates: [{size: {max: 1MiB}}]\ndeploy: {d: {to: directory, path: x}}\n"
        "triggers: {schedule: '0 3 * * 1'}\nconcurrency: {group: x}\n"
    )
    assert unsupported(spec_of(tmp_path, text)) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("30d", 2592000), ("1.5h", 5400), ("250ms", 0.25)],
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [("8GiB", 8 * 2**30), ("20MB", 20_000_000), ("1.5KiB", 1536), ("400MiB", 400 * 2**20), ("7B", 7)],
)
def test_a_size_is_bytes(text: str, count: int) -> None:
    assert size_bytes(text) == count


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 h", "2w", "2hours", "1e3s", "2h\n", "9999999999s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        duration_s(text)


@pytest.mark.parametrize("text", ["", "8", "8G", "8gib", "-1MiB", "8 GiB", "1MiB\n"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        size_bytes(text)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"data": {"d": {}}}, "a dataset needs a `source`"),
        ({"data": {"d": {"source": {}}}}, "a source needs one of"),
        ({"data": {"d": {"source": {"path": "x", "sha256": "0" * 64}}}}, "`sha256` goes with `url`, not with `path`"),
        ({"data": {"d": {"source": {"url": "file:///etc/passwd"}}}}, "starts with https:// or http://"),
        ({"data": {"d": {"source": {"s3": "b/k", "endpoint": "b:9000"}}}}, "starts with https:// or http://"),
        ({"data": {"d": {"source": {"url": "https://h/x", "anonymous": True}}}}, "`anonymous` goes with `s3`"),
        ({"data": {"d": {"source": {"path": "x"}, "columns": ["a"]}}}, "set `header: false`"),
        ({"data": {"d": {"source": {"path": "x"}, "split": {"eval": 1}}}}, "share of `train` above 0"),
        ({"data": {"d": {"source": {"path": "x"}, "split": {"train": 1, "column": "c"}}}}, "can't stand beside"),
        ({"data": {"d": {"source": {"path": "x"}, "split": {"files": {"train": "a", "eval": 1}}}}}, "a share above 0"),
        ({"data": {"d": {"source": {"path": "x"}, "split": {"files": {"train": "a", "eval": ""}}}}}, "expected a pattern"),
        ({"data": {"d": {"source": {"path": "x"}, "split": {"column": "c", "key": "k"}}}}, "`key` goes with shares"),
        ({"data": {"d": {"source": {"path": "x"}, "features": ["a"], "drop": ["b"]}}}, "not both"),
        ({"steps": {"s": {}}}, "a step needs one of `run`, `call`"),
        ({"steps": {"s": {"run": "x", "call": "m:f"}}}, "takes only one of"),
        ({"steps": {"s": {"call": "m:f", "code": ["x"]}}}, "`code` goes with `run`"),
        ({"steps": {"s": {"run": "x", "resources": {"gpus": 1.5}}}}, "a whole number of GPUs"),
        ({"gates": [{}]}, "a gate needs one of"),
        ({"gates": [{"metric": "a"}]}, "needs `min`, `max` or `against: baseline`"),
        ({"gates": [{"metric": "a", "min": 2, "max": 1}]}, "`min` 2 is above `max` 1"),
        ({"gates": [{"metric": "a", "min": 1, "max_drop": 1}]}, "`max_drop` goes with `against: baseline`"),
        ({"gates": [{"metric": "a", "min": 1, "min_examples": 1}]}, "`min_examples` goes with `slice`"),
        ({"gates": [{"metric": "a", "against": "baseline", "slice": "s"}]}, "takes `min` or `max`, not `against`"),
        ({"gates": [{"parity": {}, "min": 1}]}, "`min` goes with `metric`, not with `parity`"),
        ({"gates": [{"size": {"max": "1MiB"}, "with": {"a": 1}}]}, "`with` goes with `call`"),
        ({"gates": [{"probe": {}}]}, "a probe needs one or more of"),
        ({"baseline": {}}, "a baseline needs one of `from`, `alias`, `commit`, `none`"),
        ({"baseline": {"from": "main", "alias": "a"}}, "not `from` and `alias`"),
        ({"deploy": {"t": {"to": "directory"}}}, "`to: directory` needs `path`"),
        ({"deploy": {"t": {"to": "directory", "path": "x", "tag": "t"}}}, "`tag` goes with `to: image`"),
        ({"tune": {"search": {"a": {"log": [0, 1]}}, "objective": {"maximize": "m"}}}, "numbers above 0"),
        ({"tune": {"search": {"a": []}, "objective": {"maximize": "m"}}}, "at least one value"),
        ({"transform": [{"columns": ["a", "a"], "apply": ["log1p"]}]}, "a column is named twice"),
        ({"transform": [{"columns": ["a"], "apply": [{"bucketize": 10**9}]}]}, "less than or equal to 10000"),
        ({"transform": [{"columns": ["a"], "apply": [{"embed_index": {"length": 2**31}}]}]}, "equal to 65536"),
    ],
)  # fmt: skip
def test_a_section_that_contradicts_itself_is_refused(section: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        Spec.model_validate({"fiat": 1, "name": "x", **section})


def test_a_folder_by_url_has_a_digest_for_each_file(tmp_path: Path) -> None:
    head = "fiat: 1\nname: x\ndata:\n  d:\n    source:\n      url: https://example.org/data/\n      sha256:\n"
    good = spec_of(tmp_path, head + "        a.gz: " + "c" * 64 + "\n        b/c.csv: " + "b" * 64 + "\n")
    source = good.data["d"].source
    assert source is not None
    assert source.sha256 == {"a.gz": "c" * 64, "b/c.csv": "b" * 64}
    with pytest.raises(
        SpecErrors, match=r"^spec.yaml:8:15: data.d.source.sha256.a.gz: expected a SHA-256 digest .*quote it"
    ):
        spec_of(tmp_path, head + "        a.gz: 00\n")
    with pytest.raises(SpecErrors, match="expected the name of a file below the URL"):
        spec_of(tmp_path, head + "        ../a: " + "c" * 64 + "\n")
    with pytest.raises(SpecErrors, match="needs a mapping of files to digests"):
        spec_of(tmp_path, head.replace("data/\n      sha256:", f"data/\n      sha256: '{'c' * 64}'"))


def test_baseline_none_is_a_word_of_its_own(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "fiat: 1\nname: x\nsteps: {s: {run: x}}\nbaseline: none\n")
    assert spec.baseline is not None
    assert spec.baseline.none is True
