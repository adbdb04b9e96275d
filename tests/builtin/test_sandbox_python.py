import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import fiat
from fiat.builtin.sandbox_python import python_paths

ROOT = Path(fiat.__file__).parent.parent
_ASK = (
    "import sys; sys.path.append(sys.argv[1]); from fiat.builtin.sandbox_python import python_paths;"
    "print(*python_paths(), sep='\\n')"
)


def seen_by(python: Path, **env: str) -> list[Path]:
    """What that interpreter says that its jobs must see."""
    done = subprocess.run(
        [python, "-c", _ASK, str(ROOT)],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", **env},
    )
    return [Path(line) for line in done.stdout.splitlines()]


def covers(paths: list[Path], place: Path) -> bool:
    return any(place.is_relative_to(path) for path in paths)


def test_this_interpreter_its_packages_and_ours_are_seen() -> None:
    paths = list(python_paths())
    assert len(set(paths)) == len(paths)
    usr = [Path("/usr")]
    for place in (
        Path(sys.executable),
        Path(sys.executable).resolve(),
        Path(json.__file__),
        Path(os.__file__),
    ):
        assert covers(paths + usr, place)
    assert covers(paths, Path(fiat.__file__))
    assert not covers(paths, ROOT / "README.md")
    assert not covers(paths, ROOT / ".git")
    home = Path.home()
    assert not any(home.is_relative_to(path) for path in paths)


def test_of_a_working_tree_only_its_packages_are_seen(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / "notes").mkdir()
    (home / "secret.txt").write_text("x")
    for name in ("pkg", "mapped"):
        (home / name).mkdir()
        (home / name / "__init__.py").touch()
    (home / "single.py").touch()
    venv.create(home / "venv", symlinks=True)
    site = next((home / "venv/lib").glob("python*/site-packages"))
    (site / "path_entry.pth").write_text(f"{home}\n")
    about = site / "mapped-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mapped\nVersion: 1\n")
    (about / "top_level.txt").write_text("mapped\n")
    (about / "direct_url.json").write_text('{"dir_info": {"editable": true}, "url": "file:///x"}')
    paths = seen_by(home / "venv/bin/python")
    assert covers(paths, home / "venv/bin/python")
    assert {path for path in paths if path.parent == home} == {
        home / name for name in ("venv", "pkg", "mapped", "single.py")
    }


def test_packages_of_another_environment_come_with_their_libraries(tmp_path: Path) -> None:
    other = tmp_path / "other"
    for name in ("numpy", "numpy.libs", "numpy-2.dist-info", "notes"):
        (other / name).mkdir(parents=True)
    (other / "numpy" / "__init__.py").touch()
    venv.create(tmp_path / "venv", symlinks=True)
    site = next((tmp_path / "venv/lib").glob("python*/site-packages"))
    (site / "other.pth").write_text(f"{other}\n")
    seen = {path for path in seen_by(tmp_path / "venv/bin/python") if path.parent == other}
    assert seen == {other / "numpy", other / "numpy.libs", other / "numpy-2.dist-info"}


def test_a_path_from_a_variable_of_ours_is_not_the_job_s(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "tool.py").touch()
    python = Path(sys.executable)
    assert seen_by(python, PYTHONPATH=str(tmp_path / "mine")) == seen_by(python)


def test_what_lies_beside_a_script_of_ours_or_where_we_stand_is_not_the_job_s(tmp_path: Path) -> None:
    (tmp_path / "diary.py").touch()
    script = tmp_path / "run.py"
    script.write_text(_ASK)
    python = Path(sys.executable)
    for start in ([str(script)], ["-m", "run"]):
        done = subprocess.run(
            [python, *start, str(ROOT)], capture_output=True, text=True, check=True, cwd=tmp_path, env={}
        )
        assert [Path(line) for line in done.stdout.splitlines()] == seen_by(python)


def test_a_program_behind_links_is_seen_at_each_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "py").symlink_to(sys.executable)
    (tmp_path / "py").symlink_to("bin/py")
    paths = seen_by(tmp_path / "py")
    assert covers(paths, tmp_path / "py")
    assert covers(paths, tmp_path / "bin" / "py")
