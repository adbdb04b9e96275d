"""Jobs on a Ray of two nodes on loopback, of which the second, where all run, sees neither the store nor the checkout."""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from node_bench import WAIT_S, Bench
from two_nodes import Cluster, two_nodes

from fiat.builtin import job_tree
from fiat.builtin.compute_ray import RayCompute
from fiat.builtin.sandbox_probe import probe_sandbox
from fiat.data.dvc_carry import Carrier, Remote
from fiat.ports.compute import Sandbox
from fiat.testing.compute_jobs import is_alive, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
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


LOOKING = """
def step():
    try:
        open("local.cfg")
    except FileNotFoundError:
        print("without it")
"""


def test_code_that_looks_for_a_file_that_did_not_travel_has_no_result(
    compute: RayCompute, bench: Bench
) -> None:
    subprocess.run(["git", "init", "-q", str(bench.root)], check=True)
    (bench.root / ".gitignore").write_text("local.cfg\n")
    (bench.root / "looking.py").write_text(LOOKING)
    result = compute.submit(bench.calling("looking:step")).result(WAIT_S)
    assert result.state == "done", (result, bench.texts())
    (bench.root / "local.cfg").write_text("of this machine")
    result = compute.submit(bench.calling("looking:step")).result(WAIT_S)
    assert result.state == "failed"
    assert result.reason.startswith("looked for local.cfg, which git ignores or which is too large for code")


LIVING_ON = """
import os, time
from pathlib import Path
while not Path(os.environ["HOME"], "go").exists():
    print("still")
    time.sleep(0.2)
Path(os.environ["OUT"], "model").write_bytes(os.urandom(9_000_000))
"""


def test_jobs_live_on_when_the_desk_is_killed_and_the_next_ones_are_served(
    compute: RayCompute, bench: Bench, cluster: Cluster
) -> None:
    future = compute.submit(bench.job(LIVING_ON))
    wait_for(lambda: "still" in bench.texts(), "it runs", WAIT_S)
    family = [psutil.Process(pid) for pid in job_tree.descendants(cluster.head_pid)]
    (desk,) = [process for process in family if process.cmdline()[:1] == ["ray::Desk"]]
    desk.kill()
    n_before = bench.texts().count("still")
    wait_for(lambda: bench.texts().count("still") > n_before + 2, "its lines come home again", WAIT_S)
    (scratch,) = cluster.node_folder.glob("j/*/w")
    (scratch / "go").touch()
    result = future.result(WAIT_S)
    assert result.state == "done", (result, bench.texts())
    assert (bench.work / "out" / "model").stat().st_size == 9_000_000

    rows = bench.stored(b"d" * LARGE_BYTES)
    (bench.work / "in" / "rows").symlink_to(rows)
    again = bench.run(compute, "import os; assert os.path.getsize(os.environ['IN'] + '/rows') == 16 << 20")
    assert again.state == "done", (again, bench.texts())
    assert "pieces" not in bench.texts()
    assert [path.parent.name for path in (cluster.folder / "remote").rglob(rows.name)] == [rows.parent.name]
