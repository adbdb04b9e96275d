import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fiat.builtin.deploy_batch import BatchTarget
from fiat.builtin.gpu_ledger import SETTING, GpuLedger
from fiat.builtin.gpu_pool import GpuPool
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Resources
from fiat.ports.deploy import DeployRequest
from fiat.testing.sample_columns import make_column_package

pytestmark = pytest.mark.slow


@pytest.fixture
def request_on(tmp_path: Path) -> DeployRequest:
    """A request over 24,000 rows."""
    package = make_column_package(tmp_path / "packages", 30)
    root = tmp_path / "root"
    root.mkdir()
    rows = {"age": [float(row % 60) for row in range(24_000)], "city": ["Bonn"] * 24_000}
    pq.write_table(pa.table(rows), root / "guests.parquet")
    settings = {"input": "guests.parquet", "output": "scores.parquet", "model": "guests", "rows": 500}
    return DeployRequest("nightly", settings, package.folder, package.digest, root)


def on_ray(state_dir: Path) -> dict[str, str]:
    """Also on a machine with GPUs there are those alone that this Ray thinks it has."""
    return {**os.environ, "CUDA_VISIBLE_DEVICES": "", "FIAT_COMPUTE": "ray", "FIAT_STORE": str(state_dir)}


def test_actors_of_ray_data_score_the_blocks_and_the_order_is_that_of_the_input(
    request_on: DeployRequest, ray_head: Path
) -> None:
    target = BatchTarget(on_ray(ray_head), block_rows=2_000)
    target.apply(request_on)
    scores = pq.read_table(request_on.root / "scores.parquet")
    assert scores.column("row").to_pylist() == list(range(24_000))
    assert scores.column("label").to_pylist() == ["yes" if row % 60 > 30 else "no" for row in range(24_000)]
    assert target.observe(request_on) == request_on.digest


def test_actors_that_fit_nowhere_are_told_and_nothing_changes(
    request_on: DeployRequest, ray_head: Path
) -> None:
    asked = {**request_on.settings, "gpus": 3}
    request = DeployRequest("nightly", asked, request_on.package, request_on.digest, request_on.root)
    target = BatchTarget(on_ray(ray_head), block_rows=2_000)
    with pytest.raises(EnvironmentFault, match="3 GPUs fits on Ray, which has 4 and 2"):
        target.apply(request)
    assert target.observe(request) is None


def test_actors_with_gpus_take_what_the_ledger_has_free(request_on: DeployRequest, tmp_path: Path) -> None:
    pool = GpuPool(tmp_path / "gpus", ("0", "1"), ("0", "1"))
    other = pool.enter_as("run", "train", Resources(gpus=1))
    assert other.take() is not None
    env = {**on_ray(tmp_path / "store"), "CUDA_VISIBLE_DEVICES": "0,1", SETTING: str(pool.folder)}
    request = replace(request_on, settings={**request_on.settings, "gpus": 1})
    thread = threading.Thread(target=BatchTarget(env, block_rows=2_000).apply, args=[request])
    thread.start()
    seen = set()
    while thread.is_alive():
        seen |= {(claim.run, claim.step, claim.keys) for claim in GpuLedger(pool.folder).look()[0]}
        time.sleep(0.02)
    other.leave()
    assert seen == {("run", "train", ("0",)), ("deploy", "guests", ("1",))}
    assert pq.read_table(request_on.root / "scores.parquet").num_rows == 24_000
    assert GpuLedger(pool.folder).look() == ((), ())


def test_killed_in_the_middle_ray_ends_too_and_the_next_deploy_goes_on(
    request_on: DeployRequest, tmp_path: Path
) -> None:
    code = (
        "import json, sys; from pathlib import Path; from fiat.builtin.deploy_batch import BatchTarget;"
        "from fiat.ports.deploy import DeployRequest; given = json.loads(sys.argv[1]);"
        "BatchTarget(block_rows=60).apply(DeployRequest('nightly', given['settings'], Path(given['package']),"
        "given['digest'], Path(given['root'])))"
    )
    given = {
        "settings": dict(request_on.settings),
        "package": str(request_on.package),
        "digest": request_on.digest,
        "root": str(request_on.root),
    }
    env = {**on_ray(tmp_path / "store"), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", code, json.dumps(given)], env=env)
    work = request_on.root / ".scores.parquet.batch" / "work"
    deadline = time.monotonic() + 90
    while not list(work.glob("*/part-*.arrow")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert any("raylet" in line for line in processes_of(tmp_path))
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while living := processes_of(tmp_path):
        assert time.monotonic() < deadline, living
        time.sleep(0.05)
    BatchTarget({**os.environ, "FIAT_COMPUTE": "local"}, block_rows=60).apply(request_on)
    account = json.loads((request_on.root / "scores.parquet.fiat.json").read_bytes())
    assert account["rows"] == 24_000
    assert 60 <= account["rows_from_an_earlier_try"] < 24_000


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that were given this folder for their temporary files."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"TMPDIR={folder}\0".encode() in path.read_bytes() + b"\0":
                line = path.with_name("cmdline").read_bytes()
                found.append(line.replace(b"\0", b" ").decode(errors="replace")[:200])
        except OSError:
            continue
    return found
