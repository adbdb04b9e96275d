"""What each of several workers does in its own process."""

import sys
from pathlib import Path

import pytest

from fiat.builtin.child_gang import Gang, gang_of, joined, own_request, spread, unwrapped
from fiat.builtin.gang_door import find_port
from fiat.errors import SpecError

sys.path.insert(0, str(Path(__file__).parent))
from child_stage import Stage

REQUEST = {"outputs": {"model": "/w/out/model"}, "result": "/w/result.json", "seed": 0}


def test_a_process_knows_its_place_by_torchs_variables() -> None:
    assert gang_of({}) == Gang(0, 1)
    assert gang_of({"RANK": "2", "WORLD_SIZE": "4", "FIAT_STORE_FD": "7"}) == Gang(2, 4, 7)


def test_only_the_first_worker_writes_to_the_places_of_the_outputs() -> None:
    assert own_request(dict(REQUEST), Gang(0, 2), {}) == REQUEST
    own = own_request(dict(REQUEST), Gang(1, 2), {"HOME": "/w/workers/1"})
    assert own == {
        "outputs": {"model": "/w/workers/1/out/model"},
        "result": "/w/workers/1/result.json",
        "seed": 0,
    }


def test_a_worker_that_is_alone_keeps_its_model_as_it_is() -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Linear(2, 1)
    assert spread(net, Gang(), "cpu") is net
    assert unwrapped(net) is net
    assert spread("an estimator", Gang(), "cpu") == "an estimator"


def test_what_has_no_gradients_can_not_be_trained_by_several() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(SpecError, match="run.parallel was given a str"):
        spread("an estimator", Gang(0, 2), "cpu")
    frozen = torch.nn.Linear(2, 1).requires_grad_(False)
    assert spread(frozen, Gang(0, 2), "cpu") is frozen


def test_several_workers_without_torch_are_told_what_they_miss(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.module("torch", "raise ModuleNotFoundError('no torch', name='torch')")
    stage.module("work", "def train(run): print('trained')")
    env = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    ended = stage.run("work:train", env=env)
    assert ended.code == 1
    assert "several workers talk to each other through torch, which is not installed" in ended.err
    assert "pip install torch" in ended.err
    assert "trained" not in ended.out
    assert stage.run("work:train").out == "trained\n"


def test_a_worker_that_waits_for_the_others_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    port = find_port("127.0.0.1")
    env = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with (
        pytest.raises(torch.distributed.DistStoreError, match="1/2 clients joined"),
        joined(Gang(0, 2), env, patience_s=1.0, say_after_s=0.2),
    ):
        pass
    assert capsys.readouterr().out == f"[fiat] worker 0 of 2 still waits for the others at 127.0.0.1:{port}\n"
