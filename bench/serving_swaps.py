"""A hundred swaps under load: what clients notice."""

import shutil
import statistics
import sys
import threading
import time
from pathlib import Path

from serving_load import Request, Take, ask, free_port, running
from serving_models import Perceptron, json_body, make_perceptron
from stopwatch import Line

from fiat.serving.counts import read_workers
from fiat.serving.release import ReleaseManifest, Version, write_manifest

_SIZES = (1024, 1024, 100)
_MODEL = "m"
ROUNDS, EVERY_S = 5, 0.5


class _Service:
    def __init__(self, folder: Path, models: list[Perceptron]) -> None:
        self.folder, self.models, self.serial = folder, models, 0
        folder.mkdir()
        for place, model in enumerate(models):
            shutil.copytree(model.package, folder / str(place))
        self.swap()

    def swap(self) -> None:
        place = self.serial % len(self.models)
        self.serial += 1
        versions = (Version(str(self.serial), "", str(place), 100.0),)
        write_manifest(self.folder / "release.json", ReleaseManifest(_MODEL, self.serial, versions))

    def wait(self) -> None:
        while not any(item.serial >= self.serial for item in read_workers(self.folder / "counts")):
            time.sleep(0.005)


def measure_swaps(folder: Path, *, swaps: int) -> list[Line]:
    """p99 of the answers with and without swaps, and how many requests failed.

    A swap comes half a second after the one before: ten times as often as anybody looks at git. Takes with and without swaps
    alternate.

    Args:
        folder: for packages.
        swaps: how many; a multiple of ROUNDS.
    """
    models = [make_perceptron(folder, _SIZES, seed=seed) for seed in (1, 2)]
    service, port = _Service(folder / "service", models), free_port()
    request = Request(
        f"/v2/models/{_MODEL}/infer", json_body(_SIZES[0]), {"Content-Type": "application/json"}
    )
    command = [sys.executable, "-m", "fiat.serving.main", "--release", str(service.folder / "release.json")]
    calm: list[Take] = []
    busy: list[Take] = []
    with running([*command, "--port", str(port), "--threads", "1"], port):
        service.wait()
        ask(folder, port, request, seconds=1)
        for _ in range(ROUNDS):
            # As long as the swaps take: a longer take has more of the rare slow answers.
            calm.append(ask(folder, port, request, seconds=swaps / ROUNDS * EVERY_S, connections=8))
            busy.append(_while_swapping(folder, port, request, service, swaps // ROUNDS))
    name = f"p99 during {swaps} swaps, one every {EVERY_S:g} s, 8 connections"
    return [
        Line(name, _p99(busy), _p99(calm), "no swaps", most_ratio=1.5),
        Line("failed requests during swaps", float(sum(take.bad for take in busy)), most=0.0, unit=""),
    ]


def _while_swapping(folder: Path, port: int, request: Request, service: _Service, swaps: int) -> Take:
    takes: list[Take] = []

    def load() -> None:
        takes.append(ask(folder, port, request, seconds=swaps * EVERY_S, connections=8))

    thread = threading.Thread(target=load)
    thread.start()
    for _ in range(swaps):
        due_s = time.monotonic() + EVERY_S
        service.swap()
        service.wait()
        time.sleep(max(0.0, due_s - time.monotonic()))
    thread.join()
    return takes[0]


def _p99(takes: list[Take]) -> float:
    return statistics.median(take.p99_s for take in takes)
