"""The example of the README does what the README says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.slow
def test_the_example_of_the_readme_passes_its_gate(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    area, rooms = random.uniform(20, 120, 600).round(1), random.integers(1, 6, 600)
    city = random.integers(0, 3, 600)
    rent = (8 * area + 30 * rooms + 200 * city + random.normal(0, 20, 600)).round()
    lines = [
        f"{area[row]},{rooms[row]},{('Ulm', 'Bonn', 'Kiel')[city[row]]},{rent[row]}" for row in range(600)
    ]
    (tmp_path / "flats.csv").write_text("\n".join(["area,rooms,city,rent", *lines]))
    (tmp_path / "spec.yaml").write_text(block("yaml"))
    (tmp_path / "rents.py").write_text(block("python"))
    program = str(Path(sys.executable).with_name("fiat"))
    command = [program, "run", "spec.yaml", "--compute", "local", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["verdict"] in ("pass", "warn"), document
    assert document["metrics"]["mae"] <= 120
