"""What a training's code gets of the baseline, in a child process as the engine starts it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from child_stage import Ended, Stage, table

pytestmark = pytest.mark.slow
NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self, hidden=3, bias=True):
        super().__init__()
        self.first = torch.nn.Linear(2, 4)
        self.last = torch.nn.Linear(4, hidden, bias=bias)
    def forward(self, features):
        return self.last(self.first(features))

def first(run):
    net = Net()
    torch.nn.init.constant_(net.first.weight, 0.5)
    return net

def second(run, hidden=3, bias=True):
    net = Net(hidden, bias)
    started = run.warm_start(net)
    print("started", started, "half", bool((net.first.weight == 0.5).all()))
    return net

def by_argument(baseline):
    print("given", type(baseline).__name__)
    return baseline if baseline is not None else Net()

def wrapped(run):
    net = torch.nn.DataParallel(Net())
    print("started", run.warm_start(net), "half", bool((net.module.first.weight == 0.5).all()))
    return net
"""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    pytest.importorskip("fiat_torch")
    made = Stage(tmp_path)
    made.module("net", NET)
    return made


def train(stage: Stage, call: str, output: str = "model", **more: object) -> Ended:
    folder = stage.work / "in" / "data.d"
    if not folder.exists():
        stage.dataset(table(), "kind")
    return stage.run(
        call,
        "train",
        data="data.d",
        datasets={"data.d": str(folder)},
        outputs={"model": str(stage.work / output)},
        **more,
    )


@pytest.fixture
def baseline(stage: Stage) -> str:
    assert train(stage, "net:first", "before").code == 0
    return str(stage.work / "before")


def test_the_weights_of_the_baseline_are_loaded_and_counted(stage: Stage, baseline: str) -> None:
    ended = train(stage, "net:second", warm=baseline)
    assert "starts from the baseline: 4 of 4 weights\n" in ended.out, ended.err
    assert "started True half True" in ended.out


def test_what_does_not_fit_is_named_and_stays_as_it_is(stage: Stage, baseline: str) -> None:
    ended = train(stage, "net:second", warm=baseline, params={"hidden": 5, "bias": False})
    said = "starts from the baseline: 2 of 3 weights; last.weight is (5, 4), was (3, 4); last.bias is gone"
    assert said in ended.out, ended.err
    assert "started True half True" in ended.out


def test_without_a_baseline_it_starts_anew_and_says_so(stage: Stage) -> None:
    ended = train(stage, "net:second", warm=None)
    assert "starts anew: there is no baseline yet" in ended.out, ended.err
    assert "started False" in ended.out
    assert "given NoneType" in train(stage, "net:by_argument", "other", warm=None).out


def test_a_module_that_workers_share_is_looked_through(stage: Stage, baseline: str) -> None:
    assert "started True half True" in train(stage, "net:wrapped", warm=baseline).out


def test_the_argument_is_the_loaded_model_itself(stage: Stage, baseline: str) -> None:
    ended = train(stage, "net:by_argument", warm=baseline)
    assert ended.code == 0, ended.err
    assert "given Net" in ended.out
    assert (stage.work / "model" / "model.pt").is_file()


def test_a_spec_that_names_no_warm_start_is_told_where_to_write_it(stage: Stage) -> None:
    asked = train(stage, "net:second")
    assert asked.code == 1
    assert "there is no baseline to start from" in asked.err
    assert "train.warm_start: baseline" in asked.err
    assert "asks for `baseline`, which there is not" in train(stage, "net:by_argument", "other").err


def test_a_class_that_is_gone_is_an_error_with_the_way_out(stage: Stage, baseline: str) -> None:
    stage.module("net", NET.replace("class Net(", "class Network(").replace("Net(", "Network("))
    ended = train(stage, "net:second", warm=baseline)
    assert ended.code == 1
    assert "error: the baseline's model can't be read with the code of now" in ended.err
    assert "keep its class under its name" in ended.err


def test_another_framework_s_baseline_is_given_as_it_was_and_takes_no_part_in_a_torch_module(
    stage: Stage,
) -> None:
    pytest.importorskip("fiat_sklearn")
    stage.module(
        "trees",
        """
        from sklearn.linear_model import LogisticRegression
        def first(data):
            return LogisticRegression().fit(data.train.features, data.train.labels)
        def second(data, baseline):
            print("had", baseline.n_iter_[0] > 0)
            return baseline
        def asks(data, run):
            run.warm_start(LogisticRegression())
        """,
    )
    assert train(stage, "trees:first", "before").code == 0
    before = str(stage.work / "before")
    assert "had True" in train(stage, "trees:second", warm=before).out
    assert (
        "starts anew: the baseline is no torch module but a LogisticRegression"
        in train(stage, "net:second", "third", warm=before).out
    )
    refused = train(stage, "trees:asks", "fourth", warm=before).err
    assert "run.warm_start takes a torch module, not a LogisticRegression" in refused
    assert "name the argument `baseline`" in refused
