"""Four trainings of the fashion example side by side, as trials of a search and as bare processes."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from fashion_rows import lay_images
from stopwatch import Line, Room, medians

from fiat.data.dataset import open_dataset
from fiat.engine.jobs import HEAP
from fiat.store.store import open_store
from fiat.wiring.desk import utc_now

LIMIT = 1.15
EXAMPLE = Path(__file__).parent.parent / "specs" / "fashion" / "fashion.py"
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
BATCH_SIZE = 64
# What the example's function is given by Fiat, as short as a person would write it.
BARE = '''\
"""One training without Fiat: `python bare.py ROWS.npz EPOCHS RATE`."""
import sys
from types import SimpleNamespace as Bag
import numpy as np
import torch
from fashion import train

rows = np.load(sys.argv[1])
images, codes = rows["images"], rows["codes"]

class Split:
    def __len__(self):
        return len(images)

    def batches(self, size, shuffle=None):
        order = np.random.default_rng(shuffle).permutation(len(images))
        for start in range(0, len(order), size):
            some = order[start : start + size]
            yield Bag(features=images[some], codes=codes[some])

class Run:
    seed, device = 7, "cpu"
    def parallel(self, model):
        return model
    def log(self, step, **metrics):
        print(step, metrics, flush=True)
    def restore(self):
        return None
    def checkpoint(self, state, step):
        pass

torch.manual_seed(7)
data = Bag(train=Split(), eval=(), classes=range(10))
torch.save(train(data, Run(), int(sys.argv[2]), float(sys.argv[3]), %(batch_size)d), "model.pt")
'''


def measure(folder: Path, *, rows: int, epochs: int, repeats: int) -> list[Line]:
    """The search with a warm Ray beside four processes that are started at once, as they are and with `HEAP`."""
    room = Room(folder / "tuning")
    checkout, bare = room.checkout("fiat"), room.folder / "bare"
    which = lay_images(checkout / "images", rows=rows)
    bare.mkdir()
    for place in (checkout, bare):
        shutil.copy(EXAMPLE, place)
    (bare / "bare.py").write_text(BARE % {"batch_size": BATCH_SIZE})
    salts = iter(range(1, 1000))

    def trials() -> float:
        (checkout / "spec.yaml").write_text(json.dumps(spec(rows, epochs, next(salts))))
        room.run(checkout, "fiat", "run", "spec.yaml")
        with open_store(checkout / ".fiat", now=utc_now) as store:
            tune = next(step for step in store.runs.find("last").steps if step.name == "tune")
        if tune.started_at is None or tune.ended_at is None:
            sys.exit(f"the search did not run: {tune.reason}")
        return (tune.ended_at - tune.started_at).total_seconds()

    def processes(**more: str) -> float:
        python = room.env["PATH"].split(":")[0] + "/python"
        started = time.perf_counter()
        running = [
            subprocess.Popen(
                [python, "bare.py", "rows.npz", str(epochs), str(rate)],
                cwd=bare,
                env={**room.env, **more},
                stdout=subprocess.DEVNULL,
            )
            for rate in RATES
        ]
        codes = [process.wait() for process in running]
        if any(codes):
            sys.exit("a bare training failed")
        return time.perf_counter() - started

    room.run(checkout, "fiat", "up")
    try:
        trials()
        count = _share_rows(checkout, bare / "rows.npz")
        ours, peer, alike = medians(repeats, trials, processes, lambda: processes(**HEAP))
    finally:
        room.run(checkout, "fiat", "down")
    what = f"4 trials side by side, {epochs} epochs of {count:,} {which} images"
    return [
        Line(what, ours, peer, "4 bare processes", LIMIT),
        Line(what, ours, alike, "the same, told to keep freed memory, too", LIMIT),
    ]


def spec(rows: int, epochs: int, salt: int) -> dict[str, object]:
    """A search over four learning rates, all at once; each salt makes it new work."""
    return {
        "fiat": 1,
        "name": "tuning",
        "data": {
            "images": {
                "source": {"path": "images"},
                "format": "idx",
                "label": "label",
                "split": {"files": {"train": "train-*", "test": "t10k-*"}},
                "sample": {"rows": rows},
            }
        },
        "env": {"vars": {"SALT": str(salt), "OMP_NUM_THREADS": "1"}},
        "train": {
            "call": "fashion:train",
            "with": {"epochs": epochs, "lr": RATES[0], "batch_size": BATCH_SIZE},
            "resources": {"cpus": 0.5},
        },
        "tune": {
            "search": {"lr": list(RATES)},
            "sampler": "grid",
            "objective": {"minimize": "loss"},
            "trials": len(RATES),
            "parallel": len(RATES),
        },
    }


def _share_rows(checkout: Path, path: Path) -> int:
    """Give the bare processes the rows that the trials are given; tells how many."""
    folder = path.parent / "dataset"
    with open_store(checkout / ".fiat", now=utc_now) as store:
        steps = {step.name: step for step in store.runs.find("last").steps}
        store.artifacts.materialize(steps["data.images"].outputs["dataset"].digest, folder)
    train = open_dataset(folder).train
    np.savez(path, images=train.features, codes=train.codes)
    return len(train)
