"""Seeds, as child processes see them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from child_stage import Ended, Stage

pytest.importorskip("torch")

DRAWS = """
def go():
    import random, numpy, torch
    print(random.random(), numpy.random.rand(), torch.rand(2).tolist(), torch.initial_seed())
"""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_what_a_function_imports_itself_is_seeded_when_it_comes(stage: Stage) -> None:
    stage.module("late", DRAWS)
    stage.module("early", "import random, numpy, torch\n" + DRAWS)
    late, early, other = (
        stage.run(call, seed=seed).out for call, seed in (("late:go", 5), ("early:go", 5), ("late:go", 6))
    )
    assert late == early != other
    assert late.split()[-1] == "5"


def test_a_library_that_is_not_there_is_missed_as_ever(stage: Stage) -> None:
    stage.module("work", "def go():\n    import torch.nothing_there\n")
    assert "No module named 'torch.nothing_there'" in stage.run("work:go").err


def test_a_library_that_was_only_looked_for_is_seeded_when_it_comes(stage: Stage) -> None:
    look = "\n    import importlib.util\n    assert importlib.util.find_spec('torch')"
    stage.module("looked", DRAWS.replace("def go():", f"def go():{look}"))
    stage.module("late", DRAWS)
    looked, late = (stage.run(call, seed=5) for call in ("looked:go", "late:go"))
    assert looked.out == late.out != ""


def test_what_a_module_draws_as_it_is_loaded_is_the_same_each_time(stage: Stage) -> None:
    stage.module(
        "drawn",
        """
        import random, numpy, torch
        WEIGHTS = torch.rand(2).tolist(), numpy.random.rand(), random.random()

        def go():
            print(WEIGHTS, torch.rand(1).item())
        """,
    )
    one, same, other = (stage.run("drawn:go", seed=seed).out for seed in (5, 5, 6))
    assert one == same != other
    stage.module("none", "import torch\ndef go():\n    print(torch.rand(1).item())\n")
    # Whatever the module drew, the function begins at the seed.
    assert stage.run("none:go", seed=5).out.split()[-1] == one.split()[-1]


def deterministic(stage: Stage, line: str, **more: object) -> Ended:
    stage.module("work", f"import torch\ndef go():\n    x = torch.zeros(4)\n    {line}\n")
    return stage.run("work:go", deterministic=True, **more)


def test_an_operation_that_can_not_be_deterministic_is_named_with_the_users_line(stage: Stage) -> None:
    ended = deterministic(stage, "x.put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))")
    assert ended.code == 1
    assert ended.result is not None
    error = ended.result["error"]
    assert error["type"] == "SpecError"
    assert error["message"].startswith("put_ can't give the same result bit by bit each time")
    assert (Path(error["file"]).name, error["line"]) == ("work.py", 4)
    assert "error: put_ can't give the same result" in ended.err


def test_without_deterministic_the_same_line_runs(stage: Stage) -> None:
    stage.module(
        "work", "import torch\ndef go():\n    torch.zeros(4).put_(torch.tensor([0]), torch.ones(1))\n"
    )
    assert stage.run("work:go").code == 0


def test_libraries_are_told_to_give_the_same_each_time_before_they_are_loaded(stage: Stage) -> None:
    facts = (
        "import os; b = torch.backends.cudnn; print(os.environ['CUBLAS_WORKSPACE_CONFIG'], os.environ['MKL_CBWR'],"
        " os.environ['MKL_DYNAMIC'], torch.are_deterministic_algorithms_enabled(), b.deterministic, b.benchmark)"
    )
    assert deterministic(stage, facts).out == ":4096:8 AUTO FALSE True True False\n"
    assert deterministic(stage, facts, env={"MKL_CBWR": "SSE2"}).out.split()[1] == "SSE2"


CONV = """
import hashlib
import torch
from torch import nn

def go(run):
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.AdaptiveMaxPool2d(2), nn.Flatten(),
        nn.Linear(16, 3),
    )
    optimizer = torch.optim.AdamW(net.parameters())
    for step in range(5):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(torch.rand(16, 1, 8, 8)), torch.randint(3, (16,)))
        loss.backward()
        optimizer.step()
    bits = b"".join(part.detach().numpy().tobytes() for part in net.state_dict().values())
    print(hashlib.sha256(bits).hexdigest())
"""


def test_a_deterministic_training_gives_the_same_weights_bit_by_bit(stage: Stage) -> None:
    stage.module("conv", CONV)
    one, same, other = (stage.run("conv:go", seed=seed, deterministic=True) for seed in (1, 1, 2))
    assert (one.code, one.err) == (0, "")
    assert len(one.out) == 65
    assert one.out == same.out != other.out
