import os
import subprocess
import sys
from pathlib import Path

import pytest

from fiat.errors import SpecError
from fiat.serving.package_files import GRAPH
from fiat.testing.sample_packages import make_package
from fiat.wiring.serve import ServeRequest, read_limits, server_command
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(folder: Path, *models: str, **limits: str) -> list[str]:
    request = ServeRequest(models, "127.0.0.1", 0, 1, limits)
    with open_shelf(folder, read_settings({})) as shelf:
        return server_command(shelf, request)


def test_a_folder_is_served_under_its_models_name(tmp_path: Path) -> None:
    package = make_package(tmp_path, 2)
    words = command(tmp_path, str(package.folder), body="1MiB", queue="7")
    assert words[words.index("--model") + 1 :] == ["tiny", "1", "", str(package.folder)]
    assert words[words.index("--body-bytes") + 1] == str(1 << 20)
    assert words[words.index("--queue") + 1] == "7"


def test_a_folder_with_a_changed_or_hostile_graph_is_not_served(tmp_path: Path) -> None:
    package = make_package(tmp_path, 2)
    graph = package.folder / GRAPH
    graph.write_bytes(graph.read_bytes() + b"\0")
    with pytest.raises(SpecError, match=r"model\.onnx .* not as its manifest says"):
        command(tmp_path, str(package.folder))


def test_a_model_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    package = make_package(tmp_path, 2)
    with pytest.raises(SpecError, match="named twice"):
        command(tmp_path, str(package.folder), str(package.folder))


@pytest.mark.parametrize(
    "limits", [{"bod": "1MiB"}, {"body": "much"}, {"queue": "-1"}, {"timeout": "5"}, {"batch": "0"}]
)
def test_a_limit_that_is_none_is_refused_with_the_known_ones(limits: dict[str, str]) -> None:
    with pytest.raises(SpecError) as caught:
        read_limits(limits)
    assert next(iter(limits)) in str(caught.value)
    assert "concurrency" in caught.value.hint


def test_the_server_imports_nothing_heavy_and_starts_small(tmp_path: Path) -> None:
    heavy = [
        "onnx",
        "pyarrow",
        "pydantic",
        "fastapi",
        "scipy",
        "pandas",
        "sklearn",
        "ray",
        "duckdb",
        "polars",
        "cryptography",
        "jinja2",
        "yaml",
    ]
    script = f"import sys, fiat.serving.worker; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    light = "import sys, fiat.serving.main; print('onnxruntime' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_command_becomes_the_server(tmp_path: Path) -> None:
    package = make_package(tmp_path, 2)
    script = "import sys; from fiat.cli.serve import command; command([sys.argv[1]], port=0)"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(package.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
        env={**os.environ},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready: http://127.0.0.1:")
        lines = [process.stdout.readline() for _ in range(3)]
        assert lines[2].strip().startswith("curl http://127.0.0.1:")
        answer = subprocess.run(lines[2], shell=True, capture_output=True, text=True, check=True)
        assert '"model_name":"tiny"' in answer.stdout
    finally:
        process.terminate()
        assert process.wait(15) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "package2"]
