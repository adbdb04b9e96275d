"""Two processes that share each batch: started by Fiat, and by torchrun, with the same script."""

import json
from pathlib import Path

from stopwatch import Line, Room, medians

from fiat.engine.jobs import HEAP

LIMIT = 1.10
WORKERS = 2
# Fixed work for any launcher that sets torch's variables; each worker takes its half of each batch of 64.
WORK = '''\
"""Fixed work: `python work.py STEPS OUT.json`."""
import json, sys, time
import torch
from torch import distributed, nn
from torch.nn import functional

steps, out = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo")
rank, size = distributed.get_rank(), distributed.get_world_size()
torch.manual_seed(7)
net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(32 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10),
)
model = nn.parallel.DistributedDataParallel(net)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
draw = torch.Generator().manual_seed(rank)
images = torch.rand(64 // size, 1, 28, 28, generator=draw)
labels = torch.randint(0, 10, (64 // size,), generator=draw)
started = time.perf_counter()
for step in range(steps):
    optimizer.zero_grad()
    loss = functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"FIAT_METRIC loss={loss.item()!r} step={step}", flush=True)
seconds = time.perf_counter() - started
distributed.barrier()
distributed.destroy_process_group()
if rank == 0:
    with open(out, "w") as file:
        json.dump({"loop_s": seconds}, file)
'''


def measure(folder: Path, *, seconds: float, repeats: int) -> list[Line]:
    """Work of about so many seconds with a warm Ray and in one process less, beside torchrun; all of them with `HEAP`."""
    room = Room(folder / "gang")
    checkout = room.checkout("fiat")
    (checkout / "work.py").write_text(WORK)
    out = room.folder / "out.json"
    probe = 200
    room.run(checkout, *_torchrun(probe, out), env=HEAP)
    steps = max(probe, round(probe * seconds / json.loads(out.read_text())["loop_s"]))
    salts = iter(range(1000))
    loops: dict[str, list[float]] = {"fiat": [], "torchrun": []}

    def launched() -> float:
        taken = room.run(checkout, *_torchrun(steps, out), env=HEAP)
        loops["torchrun"].append(json.loads(out.read_text())["loop_s"])
        return taken

    def through(*more: str) -> float:
        (checkout / "spec.yaml").write_text(json.dumps(_spec(steps, out, next(salts))))
        taken = room.run(checkout, "fiat", "run", "spec.yaml", *more)
        loops["fiat"].append(json.loads(out.read_text())["loop_s"])
        return taken

    room.run(checkout, "fiat", "up")
    try:
        warm, peer = medians(repeats, through, launched)
    finally:
        room.run(checkout, "fiat", "down")
    local, peer_again = medians(repeats, lambda: through("--compute", "local"), launched)
    ours, theirs = min(loops["fiat"]), min(loops["torchrun"])
    what = f"{WORKERS} workers, work of {seconds:g} s"
    return [
        Line(f"{what}, warm Ray", warm, peer, "torchrun", LIMIT),
        Line(f"{what}, without Ray", local, peer_again, "torchrun", LIMIT),
        Line("their loop alone, best of all", ours, theirs, "torchrun", LIMIT),
    ]


def _torchrun(steps: int, out: Path) -> tuple[str, ...]:
    return ("torchrun", "--standalone", f"--nproc-per-node={WORKERS}", "work.py", str(steps), str(out))


def _spec(steps: int, out: Path, salt: int) -> dict[str, object]:
    work = {
        "run": f"python work.py {steps} {{out.result}} && if [ $RANK = 0 ]; then cp {{out.result}} {out}; fi",
        "out": {"result": "file"},
        "code": ["work.py"],
        "env": {"SALT": str(salt), "OMP_NUM_THREADS": "1"},
        "resources": {"workers": WORKERS, "cpus": 1},
    }
    return {"fiat": 1, "name": "gang", "steps": {"work": work}}
