from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from fiat.spec.load import LoadedSpec

Load = Callable[..., LoadedSpec]
Complain = Callable[..., list[str]]

HEAD = "fiat: 1\nname: x\ndata: {d: {source: {path: x}}}\n"
SMALL = "call: m:small\nwith: {lr: 1, epochs: 3, deep: {a: 1}}\n"
BIG = "defaults: [small]\ncall: m:big\nretries: 2\n"
FILES = {"train/small.yaml": SMALL, "train/big.yaml": BIG}


def train_of(loaded: LoadedSpec) -> object:
    return loaded.config["train"]


def test_a_choice_brings_in_its_file_under_its_group(load: Load) -> None:
    loaded = load("defaults: [train: small, _self_]\n" + HEAD, files=FILES)
    assert train_of(loaded) == {"call": "m:small", "with": {"lr": 1, "epochs": 3, "deep": {"a": 1}}}
    assert [path.name for path in loaded.files] == ["spec.yaml", "small.yaml"]
    assert str(loaded.where("train.with.epochs")) == "train/small.yaml:2:23"


def test_the_spec_itself_has_the_last_word_unless_it_says_otherwise(load: Load) -> None:
    own = HEAD + "train:\n  with: {lr: 9}\n"
    after = load("defaults: [train: small]\n" + own, files=FILES)
    assert train_of(after) == {"call": "m:small", "with": {"lr": 9, "epochs": 3, "deep": {"a": 1}}}
    assert str(after.where("train.with.lr")) == "spec.yaml:6:14"
    before = load("defaults: [_self_, train: small]\n" + own, files=FILES)
    assert train_of(before) == {"call": "m:small", "with": {"lr": 1, "epochs": 3, "deep": {"a": 1}}}


def test_the_command_line_chooses_another_option(load: Load) -> None:
    text = "defaults: [train: small, _self_]\n" + HEAD
    loaded = load(text, ["train=big", "train.retries=5"], FILES)
    assert train_of(loaded) == {
        "call": "m:big",
        "retries": 5,
        "with": {"lr": 1, "epochs": 3, "deep": {"a": 1}},
    }


def test_a_group_can_be_added_and_left_out(load: Load) -> None:
    text = HEAD + "steps: {a: {run: x}}\n"
    assert train_of(load(text, ["+train=small"], FILES)) == {
        "call": "m:small",
        "with": {"lr": 1, "epochs": 3, "deep": {"a": 1}},
    }
    chosen = "defaults: [train: small, _self_]\n" + text
    assert "train" not in load(chosen, ["~train"], FILES).config


def test_a_file_beside_the_spec_may_go_to_the_top(load: Load) -> None:
    files = {"common.yaml": "# @package _global_\nparams: {a: 1, b: 2}\n", **FILES}
    loaded = load("defaults: [common, train: small, _self_]\n" + HEAD + "params: {b: 3}\n", files=files)
    assert loaded.spec.params == {"a": 1, "b": 3}


def test_a_choice_can_be_put_elsewhere(load: Load) -> None:
    files = {"work/hello.yaml": "run: echo hello\n"}
    text = "defaults: [work@steps.one: hello, work@steps.two: hello, _self_]\n" + HEAD
    assert list(load(text, files=files).spec.steps) == ["one", "two"]


def test_a_nested_file_overrides_a_choice(load: Load) -> None:
    files = {
        "experiment/deep.yaml": "# @package _global_\ndefaults:\n  - override /train: big\nparams: {deep: true}\n",
        "train/big.yaml": "call: m:big\n",
        "train/small.yaml": SMALL,
    }
    loaded = load("defaults: [train: small, experiment: deep, _self_]\n" + HEAD, files=files)
    assert train_of(loaded) == {"call": "m:big"}
    assert loaded.spec.params == {"deep": True}


def test_an_optional_file_may_be_missing(load: Load) -> None:
    text = "defaults: [train: small, optional local: mine, _self_]\n" + HEAD
    assert train_of(load(text, files=FILES))


def test_lists_are_replaced_and_not_joined(load: Load) -> None:
    files = {"evaluate/all.yaml": "metrics: [accuracy, f1, mcc]\n", **FILES}
    text = "defaults: [train: small, evaluate: all, _self_]\n" + HEAD
    loaded = load(text + "evaluate: {metrics: [mcc]}\n", files=files)
    assert loaded.config["evaluate"] == {"metrics": ["mcc"]}


def test_references_cross_files(load: Load) -> None:
    files = {"train/small.yaml": 'call: m:f\nwith: {lr: "${params.lr}"}\n'}
    loaded = load("defaults: [train: small, _self_]\n" + HEAD + "params: {lr: 0.5}\n", files=files)
    assert train_of(loaded) == {"call": "m:f", "with": {"lr": 0.5}}


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ("[train: huge]", ("spec.yaml:1:12: defaults[0]: there is no file train/huge.yaml beside the spec "
                          "(options of `train`: big, small)")),
        ("[nothing]", "spec.yaml:1:12: defaults[0]: there is no file nothing.yaml beside the spec"),
        ("[../outside]", "spec.yaml:1:12: defaults[0]: not the name of a file or group"),
        ("[train: ../../x]", "spec.yaml:1:12: defaults[0]: not the name of a file or group"),
        ("[/etc/passwd]", "spec.yaml:1:12: defaults[0]: there is no file etc/passwd.yaml beside the spec"),
        ("[train: /etc/passwd]", "spec.yaml:1:12: defaults[0]: expected the name of a file in the group's folder"),
        ("[train: '${name}']", "spec.yaml:1:12: defaults[0]: references are not allowed in `defaults`"),
        ("[hydra/launcher: x]", "spec.yaml:1:12: defaults[0]: settings of Hydra can't be changed"),
        ("[override hydra/launcher: x]", "spec.yaml:1:12: defaults[0]: settings of Hydra can't be changed"),
        ("[train@hydra.searchpath: small]", "spec.yaml:1:12: defaults[0]: settings of Hydra can't be changed"),
        ("[pkg://os]", "spec.yaml:1:12: defaults[0]: not the name of a file or group"),
        ("[train: 5]", "spec.yaml:1:12: defaults[0]: expected the name of an option"),
        ("[[train]]", "spec.yaml:1:12: defaults[0]: expected `_self_`, a file, or `group: option`"),
        ("{train: small}", "spec.yaml:1:1: defaults: expected a list"),
        ("small", "spec.yaml:1:11: defaults: expected a list"),
        ("[_self_, _self_]", "spec.yaml:1:1: defaults: "),
        ("[train: small, train: big]", "spec.yaml:1:1: defaults: "),
        ("[override train: small]", "spec.yaml:1:1: defaults: "),
        ("[train: '???']", "spec.yaml:1:1: defaults: "),
    ],
)  # fmt: skip
def test_wrong_defaults_are_told_at_their_place(complain: Complain, defaults: str, message: str) -> None:
    (found,) = complain(f"defaults: {defaults}\n{HEAD}", files=FILES)
    assert found.startswith(message)


def test_a_choice_that_is_none_is_told_with_the_options(complain: Complain) -> None:
    text = "defaults: [train: small, _self_]\n" + HEAD
    expected = "<override> train=huge: there is no file train/huge.yaml beside the spec (options of `train`: big, small)"
    assert complain(text, ["train=huge"], FILES) == [expected]
    assert complain(text, ["train='../x'"], FILES)[0].startswith(
        "<override> train='../x': not the name of a file"
    )


def test_defaults_that_go_in_a_circle_are_refused(complain: Complain) -> None:
    files = {"a.yaml": "defaults: [b]\n", "b.yaml": "defaults: [a]\n"}
    assert "go in a circle" in complain("defaults: [a]\n" + HEAD, files=files)[0]


def test_defaults_that_multiply_are_refused(complain: Complain) -> None:
    files = {f"f{n}.yaml": f"defaults: [f{n + 1}@a, f{n + 1}@b]\n" for n in range(30)}
    assert "more than 256 times" in complain("defaults: [f0]\n" + HEAD, files=files)[0]


def test_a_defaults_file_behind_a_symlink_is_refused(tmp_path: Path, complain: Complain) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "small.yaml").symlink_to("/etc/passwd")
    (found,) = complain("defaults: [train: small]\n" + HEAD)
    assert "is a symlink" in found
    assert "root:" not in found


def test_a_defaults_file_is_read_as_strictly_as_the_spec(complain: Complain) -> None:
    (found,) = complain("defaults: [common]\n" + HEAD, files={"common.yaml": "a: &x 1\n"})
    assert found.startswith("common.yaml:1:4: anchors")
    (found,) = complain(
        "defaults: [common]\n" + HEAD, files={"common.yaml": "hydra: {searchpath: ['file:///etc']}\n"}
    )
    assert found == "common.yaml:1:1: hydra: settings of Hydra can't be changed"


def test_hydra_is_left_as_it_was(load: Load) -> None:
    before = dict(ConfigStore.instance().repo)
    load("defaults: [train: small, _self_]\n" + HEAD, files=FILES)
    assert ConfigStore.instance().repo == before
