"""The example of the README is a spec that Fiat takes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
DIGITS = Path(__file__).parents[3] / "specs" / "digits"


def test_the_example_of_the_readme_is_valid(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert found is not None
    shutil.copytree(DIGITS, tmp_path / "digits")
    (tmp_path / "digits" / "spec.yaml").write_text(found[1])
    program = str(Path(sys.executable).with_name("fiat"))
    done = subprocess.run(
        [program, "validate", "spec.yaml"],
        cwd=tmp_path / "digits",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
