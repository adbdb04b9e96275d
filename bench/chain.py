"""Chained trivial steps, side by side with `dvc repro`: nothing to do, and cold with a warm Ray."""

from pathlib import Path

from stopwatch import Line, Room, medians

# Source: the project's targets for a machine with two cores.
IDLE_LIMITS = {100: 0.6, 300: 0.3}
COLD_LIMITS = {300: 0.4}
OVERHEAD_LIMIT_S = 0.05
GROWTH_LIMIT = 1.3


def measure(folder: Path, *, sizes: tuple[int, ...], repeats: int) -> list[Line]:
    """Idle and cold times of each size, the cost of a step, and how time grows with the number of steps."""
    lines: list[Line] = []
    ours_cold: dict[int, float] = {}
    for size in sizes:
        room = Room(folder / f"chain-{size}")
        ours, peer = room.checkout("fiat"), room.checkout("dvc")
        room.run(peer, "dvc", "init", "-q")
        salt = iter(range(1000))

        def cold_ours(room=room, ours=ours, size=size, salt=salt) -> float:
            write_fiat(ours, size, next(salt))
            return room.run(ours, "fiat", "run", "spec.yaml")

        def cold_peer(room=room, peer=peer, size=size, salt=salt) -> float:
            write_dvc(peer, size, next(salt))
            return room.run(peer, "dvc", "repro", "-q")

        write_fiat(ours, 1, next(salt))
        room.run(ours, "fiat", "up")
        try:
            room.run(ours, "fiat", "run", "spec.yaml")
            cold = medians(1 if size > 100 else repeats, cold_ours, cold_peer)
        finally:
            room.run(ours, "fiat", "down")
        ours_cold[size] = cold[0]
        idle = medians(
            repeats,
            lambda room=room, ours=ours: room.run(ours, "fiat", "run", "spec.yaml"),
            lambda room=room, peer=peer: room.run(peer, "dvc", "repro", "-q"),
        )
        command = medians(repeats, lambda room=room, ours=ours: _bare(room, ours))[0]
        lines += [
            Line(f"{size} steps, nothing to do", *idle, "dvc repro", IDLE_LIMITS.get(size)),
            Line(f"{size} steps, cold, warm Ray", *cold, "dvc repro", COLD_LIMITS.get(size)),
            Line(f"one of {size} steps over its command", cold[0] / size - command, most=OVERHEAD_LIMIT_S),
        ]
    if len(sizes) > 1:
        few, many = min(sizes), max(sizes)
        growth = (ours_cold[many] / many) / (ours_cold[few] / few)
        what = f"a step of {many} against a step of {few} (1 is linear)"
        lines.append(Line(what, growth, most=GROWTH_LIMIT, unit=""))
    return lines


def write_fiat(folder: Path, size: int, salt: int) -> None:
    """A spec of so many chained steps; another salt makes all of them new work."""
    lines = ["fiat: 1", "name: chain", "steps:"]
    for index in range(size):
        lines.append(f'  s{index}: {{run: "echo {salt} {index} > {{out.o}}", out: {{o: file}}, code: []')
        lines[-1] += f", inputs: [s{index - 1}.o]}}" if index else "}"
    (folder / "spec.yaml").write_text("\n".join(lines) + "\n")


def write_dvc(folder: Path, size: int, salt: int) -> None:
    """The same chain for DVC."""
    lines = ["stages:"]
    for index in range(size):
        lines += [f"  s{index}:", f"    cmd: echo {salt} {index} > o{index}.txt"]
        lines += [f"    deps: [o{index - 1}.txt]"] if index else []
        lines += [f"    outs: [o{index}.txt]"]
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n")


def _bare(room: Room, cwd: Path) -> float:
    count = 50
    script = f"for i in $(seq {count}); do /bin/sh -ec 'echo 1 > bare.txt'; done"
    seconds = room.run(cwd, "/bin/sh", "-c", script) / count
    (cwd / "bare.txt").unlink()
    return seconds
