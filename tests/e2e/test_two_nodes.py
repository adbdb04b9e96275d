"""A Ray of two nodes on loopback of which the second, where all steps run, sees neither the store nor the checkout."""

import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from checkout import ExampleCheckout, make_checkout
from tiny_specs import add_models, judged
from two_nodes import Cluster, two_nodes

from fiat.builtin.compute_ray import RayCompute
from fiat.builtin.sandbox_probe import probe_sandbox
from fiat.data.dvc_carry import Carrier, Remote
from fiat.ports.compute import Command, Job, JobResult, Resources, Sandbox
from fiat.testing.compute_jobs import is_alive, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
WAIT_S = 90.0
LARGE_BYTES = 16 << 20


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
    env = {**os.environ, **cluster.env}
    carrier = Carrier(Remote(str(cluster.folder / "remote")), "python", least_bytes=LARGE_BYTES)
    compute = RayCompute(cluster.folder / "state", address=cluster.address, env=env, carrier=carrier)
    compute.start([])
    yield compute
    compute.close()


class Bench:
    """A checkout with code and a scratch folder, both hidden from the second node."""

    def __init__(self, hidden: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=hidden))
        self.root = self.folder / "repo"
        self.work = self.folder / "store" / "work" / "step.1"
        self.log = self.folder / "log"
        self.root.mkdir()
        for name in ("in", "out", "tmp"):
            (self.work / name).mkdir(parents=True)

    def job(self, code: str, *, sandbox: Sandbox | None = None, **settings: object) -> Job:
        (self.root / "code.py").write_text(code)
        env = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(self.work),
            "IN": str(self.work / "in"),
            "OUT": str(self.work / "out"),
            "KEPT": str(self.folder / "kept"),
        }
        argv = (sys.executable, "-u", "code.py", str(self.work / "out"))
        command = Command(argv, self.root, env, self.work / "result.json", sandbox)
        settings.setdefault("resources", Resources())
        return Job("step.1", "step", log_path=self.log, work_dir=self.work, command=command, **settings)  # type: ignore[arg-type]  # checked by Job's own fields

    def stored(self, content: bytes) -> Path:
        """An object of a store."""
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        path = self.folder / "store" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        path.chmod(0o444)
        return path

    def texts(self) -> str:
        return self.log.read_text() if self.log.exists() else "no log"

    def run(self, compute: RayCompute, code: str, **settings: object) -> JobResult:
        return compute.submit(self.job(code, **settings)).result(WAIT_S)  # type: ignore[arg-type]  # see `job`


@pytest.fixture
def bench(hidden: Path) -> Bench:
    return Bench(hidden)


def test_code_and_inputs_go_there_and_outputs_and_what_it_says_come_home(
    compute: RayCompute, bench: Bench, cluster: Cluster
) -> None:
    (bench.root / "pkg").mkdir()
    (bench.root / "pkg" / "mod.py").write_text("ANSWER = 42\n")
    (bench.work / "in" / "rows").mkdir()
    (bench.work / "in" / "rows" / "a").write_text("a row")
    code = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, os.getcwd())
from pkg.mod import ANSWER
out = Path(os.environ["OUT"])
assert str(out) == sys.argv[1]
(out / "model").write_bytes(os.urandom(9_000_000) + b"end")
(out / "rows").mkdir()
(out / "rows" / "b").write_text(Path(os.environ["IN"], "rows", "a").read_text() + str(ANSWER))
place = Path(os.environ["HOME"], "result.json")
place.write_text(json.dumps({"error": {"file": os.path.abspath("code.py")}}))
print("I am in", os.getcwd())
print("FIAT_METRIC loss=0.5 step=1")
"""
    result = bench.run(compute, code)
    assert result.state == "done", (result, bench.texts())
    assert (bench.work / "out" / "rows" / "b").read_text() == "a row42"
    model = (bench.work / "out" / "model").read_bytes()
    assert (len(model), model[-3:]) == (9_000_003, b"end")
    assert result.result == {"error": {"file": str(bench.root / "code.py")}}
    assert [(metric.name, metric.value, metric.step) for metric in result.metrics] == [("loss", 0.5, 1)]
    log = bench.log.read_text()
    assert "which does not see the store: 3 of its 3 files were sent" in log
    assert f"I am in {bench.root}\n" in log
    assert list((cluster.node_folder / "j").iterdir()) == []


def test_files_that_are_there_are_not_sent_again(compute: RayCompute, bench: Bench) -> None:
    (bench.work / "in" / "rows").write_bytes(os.urandom(3_000_000))
    assert bench.run(compute, "").state == "done"
    assert "2 of its 2 files were sent" in bench.log.read_text()
    assert bench.run(compute, "").state == "done"
    assert "0 of its 2 files were sent (0" in bench.log.read_text()


def test_large_files_go_both_ways_by_the_remote(compute: RayCompute, bench: Bench, cluster: Cluster) -> None:
    content = b"r" * LARGE_BYTES
    (bench.work / "in" / "rows").symlink_to(bench.stored(content))
    code = """
import os
from pathlib import Path
content = Path(os.environ["IN"], "rows").read_bytes()
Path(os.environ["OUT"], "model").write_bytes(content + b"!")
Path(os.environ["OUT"], "small").write_bytes(b"small")
"""
    result = bench.run(compute, code)
    assert result.state == "done", (result, bench.texts())
    assert (bench.work / "out" / "model").read_bytes() == content + b"!"
    assert not (bench.work / "out" / "model").is_symlink()
    assert (bench.work / "out" / "small").read_bytes() == b"small"
    assert "pieces" not in bench.texts()
    sizes = sorted(path.stat().st_size for path in (cluster.folder / "remote").rglob("*") if path.is_file())
    assert sizes == [LARGE_BYTES, LARGE_BYTES + 1]


def test_a_remote_that_refuses_is_told_and_the_files_come_all_the_same(
    compute: RayCompute, bench: Bench, cluster: Cluster
) -> None:
    (bench.work / "in" / "rows").symlink_to(bench.stored(b"s" * LARGE_BYTES))
    remote = cluster.folder / "remote"
    remote.rename(cluster.folder / "away")
    remote.touch()  # no folder
    try:
        result = bench.run(
            compute, "import os; assert os.path.getsize(os.environ['IN'] + '/rows') == 16 << 20"
        )
    finally:
        remote.unlink()
        (cluster.folder / "away").rename(remote)
    assert result.state == "done", (result, bench.texts())
    assert "comes in pieces, since the way by the remote failed: dvc push with" in bench.texts()


def test_lines_come_home_while_it_runs_and_a_cancelled_job_is_gone(
    compute: RayCompute, bench: Bench, cluster: Cluster
) -> None:
    job = bench.job("import os, time; print('pid', os.getpid()); time.sleep(100)")
    future = compute.submit(job)
    wait_for(lambda: bench.log.exists() and "pid" in bench.log.read_text(), "it says its id", WAIT_S)
    pid = int(bench.log.read_text().split()[-1])
    assert is_alive(pid)
    compute.cancel(job.id)
    assert future.result(WAIT_S).state == "cancelled"
    wait_for(lambda: not is_alive(pid), "it is gone")
    wait_for(lambda: list((cluster.node_folder / "j").iterdir()) == [], "its folder is gone")


OWNER = """
import os, pickle, sys, time
from pathlib import Path
from fiat.builtin.compute_ray import RayCompute
address, state, job = sys.argv[1:]
compute = RayCompute(Path(state), address=address)
compute.start([])
compute.submit(pickle.loads(Path(job).read_bytes()))
time.sleep(200)
"""


def test_when_its_owner_is_killed_a_job_there_is_gone_too(bench: Bench, cluster: Cluster) -> None:
    job = bench.job("import os, time; print('pid', os.getpid()); time.sleep(200)")
    (bench.folder / "job").write_bytes(pickle.dumps(job))
    argv = [
        sys.executable,
        "-c",
        OWNER,
        cluster.address,
        str(bench.folder / "state"),
        str(bench.folder / "job"),
    ]
    owner = subprocess.Popen(argv, env={**os.environ, **cluster.env})
    try:
        wait_for(lambda: bench.log.exists() and "pid" in bench.texts(), "it says its id", WAIT_S)
    finally:
        owner.kill()
        owner.wait()
    pid = int(bench.texts().split()[-1])
    wait_for(lambda: not is_alive(pid), "it is gone", WAIT_S)


def test_a_job_over_its_time_is_ended_and_says_so(compute: RayCompute, bench: Bench) -> None:
    result = bench.run(compute, "import time; print('on'); time.sleep(100)", timeout_s=1.0)
    assert (result.state, result.reason) == ("failed", "ran longer than its limit of 1 s")
    assert "on\n" in bench.log.read_text()


def test_an_output_that_leads_out_of_itself_is_refused(compute: RayCompute, bench: Bench) -> None:
    result = bench.run(compute, "import os; os.symlink('/etc/passwd', os.environ['OUT'] + '/model')")
    assert (result.state, result.reason) == ("failed", "output model has a link that leads out of it")
    assert list((bench.work / "out").iterdir()) == []


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


def test_a_sandboxed_job_sees_there_what_it_would_see_at_home(
    compute: RayCompute, bench: Bench, cluster: Cluster
) -> None:
    probe = probe_sandbox(os.environ)
    if not probe.ok:
        if os.environ.get("CI"):
            pytest.fail(f"{probe.found}; CI must test the sandbox")
        pytest.skip(probe.found)
    (bench.work / "in" / "rows").symlink_to(bench.stored(b"r" * (2 << 20)))
    sandbox = Sandbox(
        "bubblewrap",
        read_only=(bench.root,),
        inputs=(bench.work / "in",),
        writable=(bench.work, bench.work / "out"),
        hidden=(bench.folder / "store", bench.root / ".git"),
    )
    code = f"""
import os
from pathlib import Path
rows = Path(os.environ["IN"], "rows").read_bytes()
assert not Path({str(cluster.node_folder / "fetch.lock")!r}).exists()
Path(os.environ["OUT"], "n").write_text(str(len(rows)))
"""
    result = bench.run(compute, code, sandbox=sandbox)
    assert result.state == "done", (result, bench.texts())
    assert (bench.work / "out" / "n").read_text() == str(2 << 20)


def test_several_workers_run_there_and_the_first_ones_outputs_come_home(
    compute: RayCompute, bench: Bench
) -> None:
    code = """
import os
from pathlib import Path
print("worker", os.environ["RANK"], "of", os.environ["WORLD_SIZE"])
if os.environ["RANK"] == "0":
    Path(os.environ["OUT"], "model").write_text("by the first")
"""
    result = bench.run(compute, code, resources=Resources(workers=2))
    assert result.state == "done", (result, bench.texts())
    assert (bench.work / "out" / "model").read_text() == "by the first"
    assert "worker 0 of 2" in bench.log.read_text()
    assert "worker 1 of 2" in (bench.work / "workers" / "1.log").read_text()


def test_the_example_digits_passes_with_all_that_computes_there(cluster: Cluster, hidden: Path) -> None:
    checkout = make_checkout(hidden / "digits", "digits")
    done = checkout.fiat("run", "specs/digits", "--json", "--compute", "ray", env=cluster.env)
    assert done.code == 0, done.err
    assert done.document["verdict"] == "pass", done.document["gates"]
    assert (checkout.folder / done.document["model"]["path"] / "model.onnx").is_file()
    for step in ("train", "export", "evaluate", "package"):
        log = checkout.fiat("logs", done.document["run"], step).out
        assert "which does not see the store" in log, step
    data = checkout.fiat("logs", done.document["run"], "data.scans").out
    assert "does not see" not in data
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
        in_the_middle = lambda: any("in the middle" in text for text in texts(log))  # noqa: E731
        wait_for(lambda: in_the_middle() or process.poll() is not None, "it is in the middle", WAIT_S)
        assert in_the_middle(), (process.communicate(), texts(log))
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
    said = "".join(texts(log))
    assert "there were []" in said
    assert f"there were ['00000001-{'a' * 64}.pt']" in said
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


def texts(folder: Path, pattern: str = "*") -> list[str]:
    return [path.read_text() for path in folder.rglob(pattern) if path.is_file()]
