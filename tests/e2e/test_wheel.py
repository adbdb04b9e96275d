"""The built wheels work like the checkout: installed into an environment of their own, used on a copied example."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from checkout import ROOT, ExampleCheckout, make_checkout

PARTS = (".", "plugins/fiat-torch")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Wheels of the core and of the torch plugin, built from copies, so that the checkout stays as it is."""
    folder = tmp_path_factory.mktemp("wheels")
    for part in PARTS:
        source = folder / "source" / (Path(part).name or "core")
        _export(ROOT / part, source)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        command += ["--wheel-dir", str(folder)]
        subprocess.run([*command, str(source)], check=True, timeout=250)
    return sorted(folder.glob("*.whl"))


def _export(part: Path, target: Path) -> None:
    """The files that git tracks or would track below a folder."""
    listed = subprocess.run(
        ["git", "-C", str(part), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "."],
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        source = part / name
        if source.is_file() and not name.startswith(("specs/", "tests/", "bench/")):
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())


@pytest.fixture(scope="module")
def program(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`fiat` of an environment that has our wheels; what they require comes from the environment of this test.

    The editable installs of this environment must not count: their finders are start-up files, which a path
    in a .pth file does not run.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*command, "--no-deps", "--no-index", *map(str, wheels)], check=True, timeout=120)
    (site / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "fiat"


@pytest.mark.slow
def test_the_wheel_holds_the_package_its_data_and_nothing_else(wheels: list[Path]) -> None:
    core = next(path for path in wheels if path.name.startswith("fiat_ml-"))
    names = zipfile.ZipFile(core).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"fiat"}
    assert "fiat/py.typed" in names
    wanted = [
        path for path in (ROOT / "fiat").rglob("*") if path.suffix in {".html", ".css", ".md", ".yaml", ".j2"}
    ]
    for path in wanted:
        assert path.relative_to(ROOT).as_posix() in names, (
            "not in the wheel: see package-data in pyproject.toml"
        )
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_the_installed_wheel_runs_the_demo_spec_from_a_copied_folder(program: Path, tmp_path: Path) -> None:
    copied = make_checkout(tmp_path / "elsewhere", "digits")
    python = program.with_name("python")
    code = "import fiat, fiat_torch; print(fiat.__file__); print(fiat_torch.__file__)"
    places = subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout.split()
    assert all(place.startswith(str(program.parent.parent)) for place in places), places

    installed = ExampleCheckout(copied.folder, program)
    assert installed.fiat("--version").out.startswith("fiat ")
    done = installed.fiat("run", "specs/digits", "--json", "--compute", "local")
    assert done.code == 0, done.err
    assert done.document["verdict"] == "pass"
    assert (copied.folder / done.document["model"]["path"] / "model.onnx").is_file()
