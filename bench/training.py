"""The same training bare and through Fiat: what the start costs, and that the loop itself costs nothing more."""

import json
from pathlib import Path

from stopwatch import Line, Room, medians

LIMIT = 1.05

# Multiplies matrices as training does and logs ten times a second; counts its work, not its time, so that
# both sides do the same.
WORK = '''\
"""Fixed work: `python work.py ROUNDS OUT.json`."""
import json, sys, time
import numpy as np

rounds, out = int(sys.argv[1]), sys.argv[2]
started = time.perf_counter()
draw = np.random.default_rng(7)
weights = draw.normal(size=(256, 256)) / 16
x = draw.normal(size=(256, 256))
said = started
for index in range(rounds):
    x = np.tanh(x @ weights)
    if time.perf_counter() - said > 0.1:
        said = time.perf_counter()
        print(f"FIAT_METRIC norm={float(np.abs(x).mean())!r} step={index}", flush=True)
with open(out, "w") as file:
    json.dump({"loop_s": time.perf_counter() - started}, file)
'''


def measure(folder: Path, *, seconds: float, repeats: int) -> list[Line]:
    """Bare script, Fiat with a warm Ray and Fiat from nothing, for work of about so many seconds."""
    room = Room(folder / "training")
    checkout = room.checkout("fiat")
    (checkout / "work.py").write_text(WORK)
    python = room.env["PATH"].split(":")[0] + "/python"
    trial = room.folder / "trial.json"
    probe = 500
    room.run(checkout, python, "work.py", str(probe), str(trial))
    rounds = max(probe, round(probe * seconds / json.loads(trial.read_text())["loop_s"]))
    salts = iter(range(1000))
    loops: dict[str, list[float]] = {"bare": [], "fiat": []}

    def bare() -> float:
        taken = room.run(checkout, python, "work.py", str(rounds), str(trial))
        loops["bare"].append(json.loads(trial.read_text())["loop_s"])
        return taken

    def through() -> float:
        run = f"python work.py {rounds} {{out.result}} && cp {{out.result}} {trial}"
        spec = {"run": run, "out": {"result": "file"}, "code": ["work.py"], "env": {"SALT": str(next(salts))}}
        spec["env"]["OMP_NUM_THREADS"] = "1"
        (checkout / "spec.yaml").write_text(
            json.dumps({"fiat": 1, "name": "training", "steps": {"work": spec}})
        )
        taken = room.run(checkout, "fiat", "run", "spec.yaml")
        loops["fiat"].append(json.loads(trial.read_text())["loop_s"])
        return taken

    fresh, plain = medians(repeats, through, bare)
    room.run(checkout, "fiat", "up")
    try:
        warm, plain_again = medians(repeats, through, bare)
    finally:
        room.run(checkout, "fiat", "down")
    loop_ours, loop_bare = min(loops["fiat"]), min(loops["bare"])
    return [
        Line(f"work of {seconds:g} s, Ray started for it", fresh, plain, "bare script", LIMIT),
        Line(f"work of {seconds:g} s, warm Ray", warm, plain_again, "bare script", LIMIT),
        Line("its loop alone, best of all", loop_ours, loop_bare, "bare script", 1.02),
    ]
