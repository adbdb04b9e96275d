"""Prediction servers side by side: ours, a bare ASGI app, and peers, on the same graph with the same requests.

Ratios of requests a second are shown as peer over ours, so that less is better as everywhere in the table: a limit of
0.1667 means six times as many requests.
"""

import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import serving_peers
from serving_load import Request, Take, ask, first_answer, free_port, has_wrk, memory_mib, running
from serving_models import Perceptron, binary_body, json_body, make_perceptron, raw_body
from serving_swaps import measure_swaps
from stopwatch import Line

from fiat.serving.session import Session

SMALL, LARGE = (64, 256, 10), (1024, 4096, 100)
_JSON = {"Content-Type": "application/json"}
_RAW = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": "0"}
_BARE = Path(__file__).parent / "serving_bare.py"


def measure(folder: Path, *, seconds: float, repeats: int) -> list[Line]:
    """All lines about serving; none, and a word why, where wrk is missing.

    Args:
        folder: for packages and scripts.
        seconds: of each take.
        repeats: takes; the median counts.
    """
    if not has_wrk():
        print("serving is not measured: wrk is missing (apt-get install wrk)")
        return []
    small = make_perceptron(folder, SMALL)
    return [
        *measure_bare(folder, small, seconds=seconds, repeats=repeats),
        *measure_labels(folder, small, seconds=seconds, repeats=repeats),
        *measure_peers(folder, small, seconds=seconds, repeats=repeats),
        *measure_batching(folder, seconds=seconds, repeats=repeats),
        *measure_log(folder, small, seconds=seconds, repeats=repeats),
        *measure_swaps(folder, swaps=100 if seconds > 1 else 20),
        *measure_start(small, repeats=repeats),
    ]


def measure_bare(folder: Path, model: Perceptron, *, seconds: float, repeats: int) -> list[Line]:
    """Ours and an app that only decodes, runs the session and encodes: one row as JSON, 32 rows as bytes."""
    body, length = binary_body(model.n_inputs, 32)
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(length)}
    asked = (
        ("one row JSON, 32 connections", _infer(json_body(model.n_inputs)), 1 / 0.7),
        ("32 rows binary, 32 connections", Request("/v2/models/m/infer", body, headers), 1 / 0.8),
    )
    lines = []
    ports = free_port(), free_port()
    bare = [sys.executable, str(_BARE), str(model.graph), str(ports[1])]
    with running(server_command(model.package, ports[0]), ports[0]), running(bare, ports[1]):
        for what, request, limit in asked:
            ours, theirs = _takes(folder, [(ports[0], request), (ports[1], request)], seconds, repeats)
            lines.append(_speed(what, ours, theirs, "bare ASGI app", limit))
    return lines


def measure_labels(folder: Path, model: Perceptron, *, seconds: float, repeats: int) -> list[Line]:
    """What labels and probabilities beside the scores cost."""
    labelled = make_perceptron(folder, SMALL, labelled=True)
    ports, request = (free_port(), free_port()), _infer(json_body(model.n_inputs))
    with ExitStack() as stack:
        for package, port in zip((labelled.package, model.package), ports, strict=True):
            stack.enter_context(running(server_command(package, port), port))
        ours, plain = _takes(folder, [(port, request) for port in ports], seconds, repeats)
    return [_speed("one row JSON with label and probabilities", ours, plain, "scores only", None)]


def measure_peers(folder: Path, model: Perceptron, *, seconds: float, repeats: int) -> list[Line]:
    """Ours and other model servers, one row as JSON, 32 connections."""
    lines = []
    for name, start, factor in (
        ("mlserver", serving_peers.mlserver, 6),
        ("mlflow", serving_peers.mlflow, 10),
    ):
        python = serving_peers.environment(name)
        if isinstance(python, str):
            print(f"{name} is not measured: {python}")
            continue
        port, request = free_port(), _infer(json_body(model.n_inputs))
        with running(server_command(model.package, port), port), start(python, folder / name, model) as peer:
            _check(port, request)
            _check(peer.port, peer.request)
            ours, theirs = _takes(folder, [(port, request), (peer.port, peer.request)], seconds, repeats)
        lines.append(_speed("one row JSON, 32 connections", ours, theirs, name, 1 / factor))
        lines.append(
            Line("p99 of that", _p99(ours), _p99(theirs), f"{name}", most_ratio=0.25),
        )
    return lines


def measure_batching(folder: Path, *, seconds: float, repeats: int) -> list[Line]:
    """The same server with and without joined runs, a larger model, 32 connections, each with a row of plain bytes.

    What joined runs can bring is known beforehand: how much less a row takes in a run of 32 rows than in a run of its own.
    """
    model = make_perceptron(folder, LARGE)
    ports, request = (free_port(), free_port()), Request("/v2/models/m/infer", raw_body(LARGE[0]), _RAW)
    off = [*server_command(model.package, ports[1]), "--batch-rows", "1"]
    with running(server_command(model.package, ports[0]), ports[0]), running(off, ports[1]):
        ours, theirs = _takes(folder, [(port, request) for port in ports], seconds, repeats)
    joined, single = row_seconds(model, 32, repeats=10 * repeats), row_seconds(model, 1, repeats=10 * repeats)
    return [
        _speed("1024-4096-100, one row, 32 connections", ours, theirs, "batching off", 1 / 6),
        Line("bare limit of that: a row of 32 in onnxruntime alone", joined, single, "a row of 1"),
        Line("p99 of that", _p99(ours), _p99(theirs), "batching off"),
    ]


def row_seconds(model: Perceptron, n_rows: int, *, repeats: int) -> float:
    """Seconds of a row in runs of so many, with the server's settings and nothing around them: the least of all runs."""
    session = Session(model.graph.read_bytes(), threads=1)
    feed = {"features": np.random.default_rng(7).normal(size=(n_rows, model.n_inputs)).astype(np.float32)}
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        session.run(feed, n_rows)
        times.append(time.perf_counter() - started)
    return min(times) / n_rows


def measure_log(folder: Path, model: Perceptron, *, seconds: float, repeats: int) -> list[Line]:
    """The same server with and without a prediction log."""
    ports, request = (free_port(), free_port()), _infer(json_body(model.n_inputs))
    logged = [*server_command(model.package, ports[0]), "--log", str(folder / "log")]
    with running(logged, ports[0]), running(server_command(model.package, ports[1]), ports[1]):
        ours, theirs = _takes(folder, [(port, request) for port in ports], seconds, repeats)
    return [_speed("one row JSON, every request logged", ours, theirs, "no log", 1 / 0.95)]


def measure_start(model: Perceptron, *, repeats: int) -> list[Line]:
    """From the start of the process to the first answer that it is ready, and the memory that it has then."""
    times, sizes = [], []
    for _ in range(max(3, repeats)):
        port = free_port()
        started = time.perf_counter()
        with running(server_command(model.package, port), port) as process:
            while first_answer(port, _infer(json_body(model.n_inputs))) != 200:
                time.sleep(0.005)
            times.append(time.perf_counter() - started)
            sizes.append(memory_mib(process.pid))
    return [
        Line("server: start to first answer", statistics.median(times), most=1.0),
        Line("server: memory", statistics.median(sizes), most=150.0, unit="MiB"),
    ]


def server_command(package: Path, port: int) -> list[str]:
    """Our server with one worker, one thread an operator, as the bare app."""
    command = [sys.executable, "-m", "fiat.serving.main", "--model", "m", "1", "", str(package)]
    return [*command, "--port", str(port), "--threads", "1"]


def _infer(body: bytes) -> Request:
    return Request("/v2/models/m/infer", body, _JSON)


def _check(port: int, request: Request) -> None:
    status = first_answer(port, request)
    if status != 200:
        sys.exit(f"the server on port {port} answers {status}: nothing that could be measured")


def _takes(
    folder: Path, asked: Sequence[tuple[int, Request]], seconds: float, repeats: int
) -> list[list[Take]]:
    """Takes of each server, in turns, so that a busy minute hits all of them; the first round warms up."""
    for port, request in asked:
        _check(port, request)
        ask(folder, port, request, seconds=min(1.0, seconds))
    rounds = [
        [ask(folder, port, request, seconds=seconds) for port, request in asked] for _ in range(repeats)
    ]
    bad = sum(take.bad for takes in rounds for take in takes)
    if bad:
        print(f"{bad} requests failed while serving was measured")
    return [list(takes) for takes in zip(*rounds, strict=True)]


def _speed(what: str, ours: Sequence[Take], theirs: Sequence[Take], name: str, limit: float | None) -> Line:
    """Seconds a request, as their inverse is what counts: the ratio is ours over theirs."""
    mine = 1 / statistics.median(take.per_s for take in ours)
    other = 1 / statistics.median(take.per_s for take in theirs)
    return Line(what, mine, other, name, most_ratio=limit)


def _p99(takes: Sequence[Take]) -> float:
    return statistics.median(take.p99_s for take in takes)


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    from stopwatch import show

    with TemporaryDirectory(prefix="fiat-bench-") as place:
        print(show(measure(Path(place), seconds=float(sys.argv[1]), repeats=int(sys.argv[2]))))
