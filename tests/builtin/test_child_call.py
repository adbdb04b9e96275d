import sys
from pathlib import Path

import pytest

from fiat.builtin.child_call import Params, find_function
from fiat.errors import SpecError

sys.path.insert(0, str(Path(__file__).parent))
from child_stage import Stage, table


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_function_is_given_what_its_signature_names(stage: Stage) -> None:
    stage.module(
        "work",
        """
        def go(data, params, run, seed, lr, inputs, out, missing=5):
            print(len(data.train), data.layout, params.lr, params["net"]["width"], params.net.width)
            print(run.seed, seed, lr, run.device, missing)
            print(sorted(inputs), out["made"].name)
            out["made"].write_text("x")
        """,
    )
    folder = stage.dataset(table(), "kind")
    ended = stage.run(
        "work:go",
        params={"lr": 0.5, "net": {"width": 3}},
        seed=7,
        data="data.d",
        datasets={"data.d": str(folder)},
        inputs={"data.d": str(folder)},
        outputs={"made": str(stage.work / "made")},
    )
    assert ended.err == ""
    assert ended.out.splitlines() == ["40 matrix 0.5 3 3", "7 7 0.5 cpu 5", "['data.d'] made"]
    assert (stage.work / "made").read_text() == "x"


def test_several_datasets_come_as_a_mapping_by_their_names(stage: Stage) -> None:
    stage.module("work", "def go(data):\n    print({name: len(item.test) for name, item in data.items()})\n")
    one, two = stage.dataset(table(30), "kind", "one"), stage.dataset(table(60), "kind", "two")
    ended = stage.run("work:go", datasets={"data.one": str(one), "data.two": str(two)})
    assert ended.out == "{'one': 10, 'two': 20}\n"


def test_data_without_a_dataset_is_said(stage: Stage) -> None:
    stage.module("work", "def go(data):\n    pass\n")
    assert "asks for `data`, but the step reads no dataset" in stage.run("work:go").err


def test_any_further_parameters_go_to_double_starred_ones(stage: Stage) -> None:
    stage.module("work", "def go(lr, **rest):\n    print(lr, rest)\n")
    assert stage.run("work:go", params={"lr": 1, "depth": 2}).out == "1 {'depth': 2}\n"


def test_a_wrong_name_is_an_error_with_the_near_right_one(stage: Stage) -> None:
    stage.module("work", "def go(epoch, parms):\n    pass\n")
    first = stage.run("work:go", params={"epochs": 3})
    assert "asks for `epoch`, which there is not; did you mean `epochs`?" in first.err
    second = stage.run("work:go", params={"epoch": 3})
    assert "asks for `parms`, which there is not; did you mean `params`?" in second.err
    assert "it can have epoch, data, params, run, seed, inputs, out" in second.err


def test_a_wrong_function_or_module_is_an_error_with_the_near_right_one(stage: Stage) -> None:
    stage.module("work", "import nothing_there\n")
    stage.module("good", "number = 3\nclass Box:\n    @staticmethod\n    def go():\n        print('in')\n")
    assert "there is no module wrk" in stage.run("wrk:go").err
    assert "good has no function Bos; did you mean `Box`?" in stage.run("good:Bos").err
    assert "good:number is not a function" in stage.run("good:number").err
    assert stage.run("good:Box.go").out == "in\n"
    ended = stage.run("work:go")
    assert "No module named 'nothing_there'" in ended.err
    assert "Traceback" in ended.err


def test_a_wrong_parameter_on_params_is_an_error_with_the_near_right_one() -> None:
    params = Params({"epochs": 3, "net": {"width": 8}})
    assert (params.epochs, params["epochs"], params.net.width, len(params), dict(params.net)) == (
        3,
        3,
        8,
        2,
        {"width": 8},
    )
    with pytest.raises(AttributeError, match="there is no parameter epoch; did you mean `epochs`"):
        _ = params.epoch
    with pytest.raises(KeyError):
        _ = params["epoch"]
    assert repr(params.net) == "Params({'width': 8})"
    assert not hasattr(params, "__array__")


def test_random_numbers_follow_the_seed(stage: Stage) -> None:
    stage.module(
        "work", "import random\nimport numpy as np\ndef go():\n    print(random.random(), np.random.rand())\n"
    )
    one, same, other = (stage.run("work:go", seed=seed).out for seed in (1, 1, 2))
    assert one == same != other


def test_torch_follows_the_seed(stage: Stage) -> None:
    pytest.importorskip("torch")
    stage.module("work", "import torch\ndef go():\n    print(torch.rand(3).tolist())\n")
    one, same, other = (stage.run("work:go", seed=seed).out for seed in (1, 1, 2))
    assert one == same != other


def test_numbers_that_a_step_returns_or_logs_are_printed_as_metrics(stage: Stage) -> None:
    stage.module(
        "work", "def go(run):\n    run.log(3, loss=0.5)\n    run.log(f1=1)\n    return {'rows': 4}\n"
    )
    lines = stage.run("work:go").out.splitlines()
    assert [line.split() for line in lines] == [
        ["FIAT_METRIC", "loss=0.5", "step=3"],
        ["FIAT_METRIC", "f1=1.0"],
        ["FIAT_METRIC", "rows=4.0"],
    ]


def test_the_device_is_cuda_where_the_step_was_given_gpus(stage: Stage) -> None:
    stage.module("work", "def go(run):\n    print(run.device)\n")
    assert stage.run("work:go", env={"CUDA_VISIBLE_DEVICES": "1"}).out == "cuda\n"
    assert stage.run("work:go", env={"CUDA_VISIBLE_DEVICES": ""}).out == "cpu\n"


def test_a_function_of_a_library_can_be_called() -> None:
    assert find_function("json:dumps")({}) == "{}"
    with pytest.raises(SpecError, match="did you mean `dumps`"):
        find_function("json:dump_s")
