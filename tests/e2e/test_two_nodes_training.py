"""Trainings on a Ray of two nodes on loopback, of which the second sees neither the store nor the checkout."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from checkout import ExampleCheckout, make_checkout
from node_bench import WAIT_S, Bench
from tiny_specs import add_models, judged
from two_nodes import Cluster, two_nodes

from fiat.builtin.compute_ray import RayCompute
from fiat.ports.compute import Resources
from fiat.testing.compute_jobs import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def hidden() -> Iterator[Path]:
    """A folder that the second node does not see."""
    with tempfile.TemporaryDirectory(prefix="fiat-hidden-", ignore_cleanup_errors=True) as name:
        yield Path(name).resolve()


@pytest.fixture(scope="module")
def cluster(hidden: Path) -> Iterator[Cluster]:
    with two_nodes([hidden]) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def compute(cluster: Cluster) -> Iterator[RayCompute]:
    compute = RayCompute(cluster.folder / "state", address=cluster.address, env={**os.environ, **cluster.env})
    compute.start([])
    yield compute
    compute.close()


@pytest.fixture
def bench(hidden: Path) -> Bench:
    return Bench(hidden)


def test_the_example_digits_passes_with_all_that_computes_there(cluster: Cluster, hidden: Path) -> None:
    checkout = make_checkout(hidden / "digits", "digits")
    done = checkout.fiat("run", "specs/digits", "--json", "--compute", "ray", env=cluster.env)
    assert done.code == 0, done.err
    assert done.document["verdict"] == "pass", done.document["gates"]
    assert (checkout.folder / done.document["model"]["path"] / "model.onnx").is_file()
    logs = checkout.folder / ".fiat" / "runs" / done.document["run"]
    for step in ("train", "export", "evaluate", "package"):
        assert "which does not see the store" in (logs / f"{step}.log").read_text(), step
    assert "does not see" not in (logs / "data.scans.log").read_text()
    again = checkout.fiat("run", "specs/digits", "--json", env={"RAY_ADDRESS": "127.0.0.1:1"})
    assert {step["state"] for step in again.document["steps"]} <= {"reused", "skipped"}


SEARCHED = """
import json, os, shutil, sys
from pathlib import Path
params = json.loads(os.environ["FIAT_PARAMS"])
print("FIAT_METRIC closeness=%g step=1" % -abs(params["x"] - 3))
shutil.copy("specs/scale/1.onnx", sys.argv[1])
"""
TUNE = """
params: {x: 0}
tune: {search: {x: [1, 3, 9]}, objective: {maximize: closeness}, trials: 3, parallel: 2, sampler: grid}
"""


def test_the_trials_of_a_search_run_there_and_its_training_too(cluster: Cluster, hidden: Path) -> None:
    checkout = make_scale(hidden / "tuned", SEARCHED, "", TUNE)
    done = checkout.fiat("run", "specs/scale", "--json", "--compute", "ray", env=cluster.env)
    assert done.code == 0, (done.err, texts(checkout.folder / ".fiat" / "runs"))
    shown = checkout.fiat("tune", "show", "specs/scale", "--json").document
    assert shown["record"]["best_params"] == {"x": 3}, shown
    trials = texts(checkout.folder / ".fiat" / "studies", "*.log")
    assert sorted(re.findall(r"FIAT_METRIC \S+", "".join(trials))) == [
        "FIAT_METRIC closeness=-2",
        "FIAT_METRIC closeness=-6",
        "FIAT_METRIC closeness=0",
    ]
    assert list((cluster.node_folder / "j").iterdir()) == []


MIDDLE = "in the middle"
TRAINING = """
import os, shutil, sys, time
from pathlib import Path
kept = Path(os.environ["FIAT_CHECKPOINTS"])
found = sorted(path.name for path in kept.iterdir())
print("there were", found)
if not found:
    (kept / f"00000001-{'a' * 64}.pt").write_text("half of the work")
    print("in the middle", os.getpid())
    time.sleep(200)
assert (kept / found[0]).read_text() == "half of the work"
shutil.copy("specs/scale/1.onnx", sys.argv[1])
"""


def test_when_the_second_node_dies_its_step_is_done_again_from_its_checkpoint(
    cluster: Cluster, hidden: Path
) -> None:
    checkout = make_scale(hidden / "dying", TRAINING, ", checkpoint: {}")
    argv = [str(checkout.program), "run", "specs/scale", "--json", "--compute", "ray"]
    env = {**checkout.env, **cluster.env}
    process = subprocess.Popen(
        argv, cwd=checkout.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    log = checkout.folder / ".fiat" / "runs"
    try:
        wait_for(lambda: said(log, MIDDLE) or process.poll() is not None, "it is in the middle", WAIT_S)
        assert said(log, MIDDLE), (process.communicate(), texts(log))
        wait_for(
            lambda: list((checkout.folder / ".fiat" / "checkpoints").rglob("*.pt")) != [],
            "it is safe",
            WAIT_S,
        )
        cluster.kill_second()
        cluster.start_second()
        out, err = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert json.loads(out)["verdict"] == "pass"
    assert said(log, "there were []")
    assert said(log, f"there were ['00000001-{'a' * 64}.pt']")
    assert list((cluster.node_folder / "j").iterdir()) == []  # what the dead node left is gone too


def make_scale(folder: Path, code: str, more: str = "", head: str = "") -> ExampleCheckout:
    """A checkout with a spec whose model multiplies by 1, which this code copies.

    Args:
        folder: where.
        code: of the training, which is given the path of its output.
        more: further keys of `train`, starting with a comma.
        head: further sections.
    """
    checkout = make_checkout(folder, "digits")
    add_models(folder, 1)
    place = folder / "specs" / "scale"
    (place / "train.py").write_text(code)
    command = "python -u specs/scale/train.py {out.model}"
    train = f'train: {{run: "{command}", code: ["specs/scale/*"]{more}}}'
    spec = re.sub(r"^train: .*$", train, judged(1, 0.5, head=head), flags=re.MULTILINE)
    (place / "spec.yaml").write_text(spec)
    return checkout


def said(folder: Path, words: str) -> bool:
    return any(words in text for text in texts(folder))


def texts(folder: Path, pattern: str = "*") -> list[str]:
    return [path.read_text() for path in folder.rglob(pattern) if path.is_file()]


def test_checkpoints_come_home_while_it_runs_and_go_along_with_the_next_attempt(
    compute: RayCompute, bench: Bench, hidden: Path
) -> None:
    kept = bench.folder / "kept"
    kept.mkdir()
    name = f"00000001-{'a' * 64}.pt"
    code = f"""
import os, time
from pathlib import Path
kept = Path(os.environ["KEPT"])
print("found", sorted(path.name[:8] for path in kept.iterdir()))
if not list(kept.iterdir()):
    (kept / ".part").write_text("half")
    (kept / ".part").rename(kept / "{name}")
    (kept / "index.json").write_text("1")
    time.sleep(100)
"""
    job = bench.job(code, checkpoints=kept)
    future = compute.submit(job)
    wait_for(lambda: (kept / "index.json").exists(), "the checkpoint is at home", WAIT_S)
    assert (kept / name).read_text() == "half"
    compute.cancel(job.id)
    assert future.result(WAIT_S).state == "cancelled"
    (bench.work / f".{job.id}.cancel").unlink()
    assert bench.run(compute, code, checkpoints=kept).state == "done"
    assert "found ['00000001', 'index.js']" in bench.log.read_text()


IN_PLACE = """
import os, shutil, time
from pathlib import Path
kept = Path(os.environ["KEPT"])
for number in (1, 2):
    (kept / f"c{number}").mkdir()
    with open(kept / f"c{number}" / "model", "wb") as file:
        for _ in range(6):
            file.write(os.urandom(1 << 20))
            file.flush()
            time.sleep(0.25)
    shutil.rmtree(kept / f"c{number - 1}", ignore_errors=True)
"""


def test_checkpoints_that_a_framework_writes_in_their_place_come_home_and_go_there(
    compute: RayCompute, bench: Bench
) -> None:
    kept = bench.folder / "kept"
    kept.mkdir()
    result = bench.run(compute, IN_PLACE, checkpoints=kept)
    assert result.state == "done", (result, bench.texts())
    found = {
        path.relative_to(kept).as_posix(): path.stat().st_size for path in kept.rglob("*") if path.is_file()
    }
    assert found == {"c2/model": 6 << 20}
    assert not (kept / "c1").exists()


MEETING = """
import os, socket, time
from pathlib import Path
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
print("worker", rank, "of", size, "at home" if Path(os.environ["KEPT"]).exists() else "away")
assert all(Path(os.environ[name]).is_dir() for name in ("HOME", "TMPDIR"))
if rank == 0:
    with socket.create_server(place) as server:
        for _ in range(size - 1):
            server.accept()[0].close()
    Path(os.environ["OUT"], "model").write_text("by the first")
while rank:
    try:
        socket.create_connection(place).close()
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
"""


def test_workers_on_two_nodes_meet_and_the_first_ones_outputs_come_home(
    compute: RayCompute, bench: Bench, cluster: Cluster
) -> None:
    (bench.folder / "kept").mkdir()
    need = Resources(cpus=0.5, workers=5)  # the second node has two cores
    with cluster.node_at_home():
        result = bench.run(compute, MEETING, resources=need, timeout_s=60)
    assert result.state == "done", (result, bench.texts())
    assert (bench.work / "out" / "model").read_text() == "by the first"
    logs = [bench.log, *(bench.work / "workers" / f"{rank}.log" for rank in range(1, 5))]
    places = [re.findall(r"^worker (\d) of 5 (.+)$", log.read_text(), re.MULTILINE) for log in logs]
    assert [found[0][0] for found in places] == ["0", "1", "2", "3", "4"]
    assert {found[0][1] for found in places} == {"at home", "away"}


CHECKPOINTED = """
def train(run):
    for step, value in enumerate([0.9, 0.1]):
        run.checkpoint({"at": step}, step, f1=value)
    run.log(best=run.best().state["at"], newest=run.restore().state["at"])
    (run.checkpoint_dir / f"of-{run.rank}").write_text("what a framework keeps of each worker")
"""


def test_workers_there_go_on_from_what_the_first_one_wrote_and_only_that_comes_home(
    compute: RayCompute, bench: Bench
) -> None:
    pytest.importorskip("torch")
    kept = bench.folder / "kept"
    kept.mkdir()
    (bench.root / "net.py").write_text(CHECKPOINTED)
    keeping = {"keep": 1, "every_s": 0, "metric": "f1", "mode": "max", "folder": str(kept)}
    job = bench.calling("net:train", checkpoint=keeping)
    job = replace(job, checkpoints=kept, resources=Resources(workers=2))
    result = compute.submit(job).result(WAIT_S)
    assert result.state == "done", (result, bench.texts())
    # The mean over both: each found the same.
    assert {metric.name: metric.value for metric in result.metrics} == {"best": 0, "newest": 1}
    names = sorted(path.name for path in kept.iterdir())
    assert [name.partition("-")[0] for name in names] == ["00000001", "00000002", "index.json", "of"]
    assert names[-1] == "of-0"
