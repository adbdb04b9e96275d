"""`make bench`: measure Fiat and its peers side by side, print ratios, write bench-results.json.

Numbers depend on the machine and on what else it does; ratios much less. Nothing here is part of the test suite.
"""

import argparse
import json
import os
import platform
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import affected
import chain
import claims
import drift
import first_step
import gang
import monitor
import pages
import resident
import serving
import small_files
import start
import statistics_pass
import training
import transform
import tuning
import webhook
from stopwatch import Line, show

SPEC_PARTS = ("start", "chain", "files", "training")
RUNNER_PARTS = ("webhook", "affected", "claims", "pages", "first-step", "resident")
DATA_PARTS = ("statistics", "memory", "transform", "drift")
SERVING_PARTS = ("serving", "monitor")
TRAINING_PARTS = ("gang", "tuning")
PARTS = (*SPEC_PARTS, *RUNNER_PARTS, *DATA_PARTS, *SERVING_PARTS, *TRAINING_PARTS)
RESULTS = Path(__file__).parent.parent / "bench-results.json"


def main() -> None:
    """Read the arguments, measure, show."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer repeats: five minutes")
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part; may be repeated")
    parser.add_argument("--repeats", type=int, default=0, help="takes of each measurement; the median counts")
    options = parser.parse_args()
    repeats = options.repeats or (2 if options.quick else 5)
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="fiat-bench-") as folder:
        for part in options.only or PARTS:
            print(f"measuring {part} ...", flush=True)
            lines += measure(part, Path(folder), quick=options.quick, repeats=repeats)
    print(show(lines))
    RESULTS.write_text(json.dumps(document(lines, quick=options.quick), indent=1) + "\n")


def measure(part: str, folder: Path, *, quick: bool, repeats: int) -> list[Line]:
    """The lines of one part."""
    if part in RUNNER_PARTS:
        return measure_runner(part, folder, quick=quick, repeats=repeats)
    if part == "gang":
        return gang.measure(folder, seconds=5 if quick else 60, repeats=min(repeats, 3))
    if part == "tuning":
        # As long as in specs/fashion: all of its images, and as often.
        rows, epochs = (20_000, 1) if quick else (70_000, 3)
        return tuning.measure(folder, rows=rows, epochs=epochs, repeats=min(repeats, 3))
    if part == "serving":
        return serving.measure(folder, seconds=1 if quick else 5, repeats=repeats)
    if part == "monitor":
        return monitor.measure(folder, orders=4 if quick else 20, repeats=repeats)
    if part == "statistics":
        return statistics_pass.measure(
            folder, rows=1_000_000 if quick else 10_000_000, repeats=min(repeats, 3)
        )
    if part == "transform":
        return transform.measure(folder, rows=1_000_000 if quick else 10_000_000, repeats=min(repeats, 3))
    if part == "drift":
        return drift.measure(folder, rows=10_000 if quick else 100_000, repeats=repeats)
    if part == "memory":
        return statistics_pass.measure_memory(folder, size_gb=0.3 if quick else 1.0)
    if part == "start":
        return start.measure(folder, repeats=repeats)
    if part == "chain":
        return chain.measure(folder, sizes=(20, 60) if quick else (100, 300), repeats=repeats)
    if part == "files":
        return small_files.measure(folder, count=2_000 if quick else 50_000, repeats=repeats)
    return training.measure(folder, seconds=5 if quick else 60, repeats=min(repeats, 2))


def measure_runner(part: str, folder: Path, *, quick: bool, repeats: int) -> list[Line]:
    """The lines of one part about the runner."""
    if part == "webhook":
        return webhook.measure(folder, count=1_000 if quick else 10_000, repeats=min(repeats, 3))
    if part == "affected":
        return affected.measure(folder, count=1_000, repeats=repeats)
    if part == "claims":
        return claims.measure(folder, count=10_000, claims=100 if quick else 300, repeats=min(repeats, 3))
    if part == "pages":
        return pages.measure(folder, count=100_000 if quick else 1_000_000, takes=20 if quick else 100)
    if part == "first-step":
        return first_step.measure(folder, pushes=3 if quick else 10)
    return resident.measure(folder, deliveries=500 if quick else 2_000, runs=10 if quick else 100)


def document(lines: list[Line], *, quick: bool) -> dict[str, object]:
    """What is written to the results file."""
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    versions = {name: version(name) for name in ("fiat-ml", "dvc", "ray")}
    results = [{**asdict(line), "ratio": line.ratio, "good": line.good} for line in lines]
    return {"quick": quick, "machine": machine, "versions": versions, "lines": results}


if __name__ == "__main__":
    main()
